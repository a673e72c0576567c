//! From what an actor knows to what is put in force: compiled judges and routines.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::actor::{Peer, ToolLife};
use super::review::Spoken;
use crate::domain::contract::{Schema, Sealed, Surface, Tool};
use crate::domain::message::{Digest, ToolName};
use crate::domain::negotiation::effectively_read_only;
use crate::domain::routine::CompiledRoutine;
use crate::live::{Binding, Mode, RequestSchema, Sampler, ToolBinding, ToolState};

/// Compiled routines, by the contract and the tool they belong to: bounded, the least used goes.
pub(super) struct RoutineCache {
    compiled: Cache<(Digest, ToolName), Arc<CompiledRoutine>>,
}

impl RoutineCache {
    pub(super) fn new(entries: usize) -> Self {
        Self { compiled: Cache::new(entries.max(1)) }
    }

    /// The compiled routine of a tool, from the cache or compiled now; `None` where the tool has
    /// none, the error in words where it does not compile.
    fn get(&self, contract: &Sealed, tool: &str) -> Result<Option<Arc<CompiledRoutine>>, String> {
        let Some(source) = contract.routine.0.get(tool) else { return Ok(None) };
        let key = (contract.hash, ToolName::from(tool));
        if let Some(known) = self.compiled.get(&key) {
            return Ok(Some(known));
        }
        let compiled = CompiledRoutine::compile(tool, source).map(Arc::new).map_err(|faults| {
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        self.compiled.insert(key, Arc::clone(&compiled));
        Ok(Some(compiled))
    }
}

impl Peer {
    /// What is in force for this peer, built from what the actor knows. Tools that did not change
    /// since the last call are taken over as they are.
    pub(super) fn binding(&mut self) -> Binding {
        let head = self.chain.head().cloned();
        let sealed = head.is_some();
        let mode = self.mode_now(sealed);
        let mut tools = HashMap::new();
        let learns = (self.settings.inference_samples > 0, self.follows_meaning());
        let spoken = head.as_deref().map(Spoken::by);
        if let (Some(head), Some(spoken)) = (&head, &spoken) {
            for tool in head.promised_tools() {
                let name = tool.tool_name();
                let mode = self.mode_of(tool.name(), true);
                let life = self.tools.entry(name.clone()).or_default();
                let current = match &life.binding {
                    Some(bound) if bound.revision == life.revision && bound.mode == mode => {
                        Arc::clone(bound)
                    }
                    _ => {
                        let bound = Arc::new(bind(
                            head,
                            spoken,
                            tool,
                            life,
                            (mode, learns),
                            &self.shared.routines,
                        ));
                        life.binding = Some(Arc::clone(&bound));
                        bound
                    }
                };
                tools.insert(name, current);
            }
        }
        let shown = spoken.as_ref().map(|spoken| self.shown_of(spoken)).unwrap_or_default();
        let observing = mode == Mode::Observe;
        Binding {
            expiry: head.as_ref().map(|head| head.expiry),
            contract: head.as_deref().map(Sealed::shared),
            mode,
            tools,
            hidden: if observing { Vec::new() } else { shown.hidden },
            promised_list: shown.list.filter(|_| !observing),
            first_use_told: AtomicBool::new(sealed),
            reviewed_to: self.reviewed_to,
            changed_offers: shown.changed,
            health: Arc::clone(&self.health),
            deadline: self.deadline(),
            unsupported: self.capabilities.unsupported(),
        }
    }

    /// What agents are shown: made anew only where head or offer is another one.
    fn shown_of(&mut self, spoken: &Spoken<'_>) -> Shown {
        let of = (self.chain.head_hash(), self.offer_digest, self.read_as);
        if let Some(known) = self.shown.as_ref().filter(|known| known.of == of) {
            return known.clone();
        }
        let shown = Shown { of, ..shown(spoken, self.offer.as_ref()) };
        self.shown = Some(shown.clone());
        shown
    }
}

/// What agents are shown of a contract while its peer offers this.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// The head and the offer that it is made from.
    of: (Option<Digest>, Option<Digest>, Option<Digest>),
    /// The promised list; `None` where the peer's own list is the promise.
    list: Option<Bytes>,
    /// Names that are offered and not promised.
    hidden: Vec<ToolName>,
    /// Promised names that are offered otherwise: the input schema of now, `None` where it is gone.
    changed: HashMap<ToolName, Option<Arc<Schema>>>,
}

/// Compiles what judges and carries one promised tool.
fn bind(
    contract: &Sealed,
    spoken: &Spoken<'_>,
    tool: &Tool,
    life: &ToolLife,
    (mode, learns): (Mode, (bool, bool)),
    routines: &RoutineCache,
) -> ToolBinding {
    let mut state = life.state.clone();
    let routine = routines.get(contract, tool.name()).unwrap_or_else(|why| {
        // It was proven when it was sealed; read back damaged, it is not run.
        state = ToolState::Unhealable { drift: String::new(), why };
        None
    });
    let targets = routine
        .as_ref()
        .map_or_else(|| vec![tool.name().to_owned()], |routine| routine.targets(tool.name()));
    let mirrored = targets
        .iter()
        .filter_map(|target| Some((ToolName::from(target.as_str()), spoken.offered(target)?)))
        .map(|(name, offered)| (name, headers_of(offered)))
        .collect();
    let offered_request = match targets.as_slice() {
        [one] if routine.is_some() => spoken.offered(one).and_then(compiled_input),
        _ => None,
    };
    let read_only = effectively_read_only(tool, None);
    ToolBinding {
        name: tool.tool_name(),
        mode,
        reply: spoken.reply(tool.name()).and_then(compiled),
        request: RequestSchema::of(tool),
        offered_request,
        routine,
        shown_headers: headers_of(tool),
        mirrored,
        read_only,
        read_only_hint: tool.hints().read_only == Some(true),
        idempotent: read_only || tool.hints().idempotent == Some(true),
        state,
        revision: life.revision,
        kept: AtomicBool::new(life.kept),
        sampler: samples(tool, spoken, life, learns).then(Sampler::default),
        inferred: spoken.inferred(tool.name()),
        reported: life.reported.clone(),
        health: Arc::clone(&life.health),
    }
}

/// Whether exchanges of a tool are sampled: for replay, or as long as there is something to learn.
fn samples(
    tool: &Tool,
    spoken: &Spoken<'_>,
    life: &ToolLife,
    (infers, profiles): (bool, bool),
) -> bool {
    let infers = infers && spoken.reply(tool.name()).is_none();
    profiles || tool.hints().read_only == Some(true) || life.learning.wants(infers)
}

fn headers_of(tool: &Tool) -> Vec<(Vec<String>, String)> {
    let headers = tool.mirrored_headers().unwrap_or_default();
    headers.into_iter().map(|header| (header.path, header.name)).collect()
}

fn compiled_input(tool: &Tool) -> Option<Arc<Schema>> {
    tool.input_schema().and_then(compiled)
}

/// A schema that passed its gate when the contract was sealed; one that no longer does is left out.
fn compiled(schema: &Value) -> Option<Arc<Schema>> {
    Schema::compile(schema).ok().map(Arc::new)
}

fn shown(spoken: &Spoken<'_>, offer: Option<&Surface>) -> Shown {
    let (contract, offered) = (spoken.contract(), offer.map(Surface::by_name));
    let promised = contract.promised_tools();
    let new = offer.into_iter().flat_map(|offer| &offer.tools);
    let new = new.filter(|tool| !spoken.promises(tool.name()));
    let hidden: Vec<ToolName> = new.map(Tool::tool_name).collect();
    let same = match &offered {
        Some(offered) => {
            hidden.is_empty()
                && promised
                    .iter()
                    .all(|tool| offered.get(tool.name()).is_some_and(|now| *now == *tool))
        }
        None => contract.offer.is_none(),
    };
    let list = (!same).then(|| {
        let definitions: Vec<&Value> = promised.iter().map(|tool| tool.definition()).collect();
        Bytes::from(serde_json::to_vec(&definitions).unwrap_or_default())
    });
    let changed = offered.map(|offered| changed(&promised, &offered)).unwrap_or_default();
    Shown { list, hidden, changed, ..Shown::default() }
}

/// Promised names that the peer offers otherwise now.
fn changed(
    promised: &[&Tool],
    offered: &BTreeMap<&str, &Tool>,
) -> HashMap<ToolName, Option<Arc<Schema>>> {
    let now = promised.iter().map(|tool| (*tool, offered.get(tool.name())));
    now.filter_map(|(tool, now)| match now {
        None => Some((tool.tool_name(), None)),
        Some(now) if *now != tool && now.input_schema() != tool.input_schema() => {
            Some((tool.tool_name(), compiled_input(now)))
        }
        Some(_) => None,
    })
    .collect()
}
