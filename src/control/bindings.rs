//! From what an actor knows to what is put in force: compiled judges and routines.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::actor::{Peer, ToolLife};
use crate::domain::contract::{Schema, Sealed, Surface, Tool};
use crate::domain::message::{Digest, ToolName};
use crate::domain::negotiation::effectively_read_only;
use crate::domain::routine::CompiledRoutine;
use crate::live::{Binding, Mode, RequestSchema, ToolBinding, ToolState};
use crate::telemetry::Metrics;

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
    fn get(
        &self,
        contract: &Sealed,
        tool: &str,
        metrics: &Metrics,
    ) -> Result<Option<Arc<CompiledRoutine>>, String> {
        let Some(source) = contract.routine.0.get(tool) else { return Ok(None) };
        let key = (contract.hash, ToolName::from(tool));
        if let Some(known) = self.compiled.get(&key) {
            metrics.cache(true);
            return Ok(Some(known));
        }
        metrics.cache(false);
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
        if let Some(head) = &head {
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
                            tool,
                            life,
                            mode,
                            &self.shared.routines,
                            &self.shared.metrics,
                        ));
                        life.binding = Some(Arc::clone(&bound));
                        bound
                    }
                };
                tools.insert(name, current);
            }
        }
        let (promised_list, hidden) = match &head {
            Some(head) if mode != Mode::Observe => shown(head, self.offer.as_ref()),
            _ => (None, Vec::new()),
        };
        Binding {
            expiry: head.as_ref().map(|head| head.expiry),
            contract: head.as_deref().map(|sealed| Arc::new(sealed.contract().clone())),
            mode,
            tools,
            hidden,
            promised_list,
            first_use_told: AtomicBool::new(sealed),
            reviewed_to: self.reviewed_to,
            changed_offers: head
                .as_deref()
                .zip(self.offer.as_ref())
                .map(|(head, offer)| changed_offers(head, offer))
                .unwrap_or_default(),
        }
    }
}

/// Compiles what judges and carries one promised tool.
fn bind(
    contract: &Sealed,
    tool: &Tool,
    life: &ToolLife,
    mode: Mode,
    routines: &RoutineCache,
    metrics: &Metrics,
) -> ToolBinding {
    let mut state = life.state.clone();
    let routine = routines.get(contract, tool.name(), metrics).unwrap_or_else(|why| {
        // It was proven when it was sealed; read back damaged, it is not run.
        state = ToolState::Unhealable { drift: String::new(), why };
        None
    });
    let targets = routine
        .as_ref()
        .map_or_else(|| vec![tool.name().to_owned()], |routine| routine.targets(tool.name()));
    let mirrored = targets
        .iter()
        .filter_map(|target| Some((ToolName::from(target.as_str()), contract.offered(target)?)))
        .map(|(name, offered)| (name, headers_of(offered)))
        .collect();
    let offered_request = match targets.as_slice() {
        [one] if routine.is_some() => contract.offered(one).and_then(compiled_input),
        _ => None,
    };
    let read_only = effectively_read_only(tool, None);
    ToolBinding {
        name: tool.tool_name(),
        mode,
        reply: contract.reply_schema(tool.name()).and_then(compiled),
        request: RequestSchema::of(tool),
        offered_request,
        routine,
        shown_headers: headers_of(tool),
        mirrored,
        read_only,
        read_only_hint: tool.hints().read_only == Some(true),
        state,
        revision: life.revision,
        kept: AtomicBool::new(life.kept),
        record: tool.hints().read_only == Some(true),
    }
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

/// The list that agents are shown, and the names they are not; `None` where the peer's own list is
/// the promise.
fn shown(contract: &Sealed, offer: Option<&Surface>) -> (Option<Bytes>, Vec<ToolName>) {
    let promised = contract.promised_tools();
    let hidden: Vec<ToolName> = offer
        .into_iter()
        .flat_map(|offer| &offer.tools)
        .filter(|tool| contract.promised(tool.name()).is_none())
        .map(Tool::tool_name)
        .collect();
    let same = match offer {
        Some(offer) => {
            hidden.is_empty()
                && promised.iter().all(|tool| {
                    offer.tool(tool.name()).is_some_and(|now| now.definition() == tool.definition())
                })
        }
        None => contract.offer.is_none(),
    };
    if same {
        return (None, hidden);
    }
    let definitions: Vec<&Value> = promised.iter().map(|tool| tool.definition()).collect();
    let text = serde_json::to_vec(&definitions).unwrap_or_default();
    (Some(Bytes::from(text)), hidden)
}

/// Names that the contract knows as offered and that the peer offers otherwise now.
fn changed_offers(contract: &Sealed, offer: &Surface) -> HashMap<ToolName, Option<Arc<Schema>>> {
    let mut changed = HashMap::new();
    for tool in contract.promised_tools() {
        let now = offer.tool(tool.name());
        match now {
            None => {
                changed.insert(tool.tool_name(), None);
            }
            Some(now) if now.input_schema() != tool.input_schema() => {
                changed.insert(tool.tool_name(), compiled_input(now));
            }
            Some(_) => {}
        }
    }
    changed
}
