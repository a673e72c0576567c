//! The proof: does the routine carry every promised request, and every offered reply, over?
//!
//! Two ways. The image of the schema under the operations is held to be contained in what must come
//! out. And instances of what goes in are generated and carried over by the compiled routine: one that
//! does not arrive refutes. Only where both agree is it proven.
//!
//! ```text
//!   schema ──► image under the operations ──► contained? ── yes ──► a few instances ──► Proven
//!                                                  └── not shown ──► many instances ──► Unknown
//!                                                  an instance that does not arrive ──► Refuted
//! ```
//!
//! What the verdict rests on: **Proven** on the containment, which is about all values; the instances
//! beside it are there to tell of a fault in this room, so a few telling ones do (each place absent, and
//! in its first forms) where the keywords show it, and many where the algebra had a part, which is
//! experimental. **Refuted** on one instance, however it was come by. Where the containment is
//! not shown no number of instances makes it Proven; many are tried there, because one that fails says
//! more than that nothing is known. Each search is bounded by the bytes that it tries: what is left
//! untried leaves the verdict at Unknown, or at what was shown for all values.

mod image;
mod place;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Value, json};

use self::image::image;
use super::{CompiledRoutine, Failure, ToolRoutine};
use crate::domain::contract::{
    By, Effort, Schema, Tool, closed, covered, normal_schema, try_instances,
};
use crate::domain::json::{Item, Limits, Tape};

/// What is carried over, each way, beside a containment that the keywords show.
const SURE: Effort = Effort { most: 64, bytes: 48 << 10 };
/// What is carried over in search of a counter-example where none is shown, or by the algebra only.
const SEARCH: Effort = Effort { most: 400, bytes: 160 << 10 };

/// That every promised request becomes an offered one, and every offered reply a promised one, save
/// the calls that the routine refuses by name. Only [`prove`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Proven {
    partial: bool,
}

impl Proven {
    /// Whether the routine refuses some promised calls by name: its scope is then `partial`.
    #[must_use]
    pub const fn partial(&self) -> bool {
        self.partial
    }
}

/// Which way a counter-example goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Promised arguments that do not become offered ones.
    Request,
    /// An offered reply that does not become a promised one.
    Reply,
}

/// An instance that the routine does not carry over.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterExample {
    /// Which way.
    pub face: Face,
    /// The instance before the routine: generated from the schemas, never recorded.
    pub instance: Value,
    /// What goes wrong, in words.
    pub why: String,
}

/// What became of a proof.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// It holds.
    Proven(Proven),
    /// It does not.
    Refuted(CounterExample),
    /// Neither was shown; each reason in words.
    Unknown(Vec<String>),
}

impl Proof {
    /// The word that `diff --json` and records use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Proven(_) => "proven",
            Self::Refuted(_) => "refuted",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Proves, refutes or leaves open that `routine` carries `promised` over to what `offered` tells of
/// the peer's tools. It ranges over declared members: what neither schema names is left out of it.
pub fn prove<'o>(
    promised: &Tool,
    offered: impl Fn(&str) -> Option<&'o Tool>,
    routine: &ToolRoutine,
) -> Proof {
    let compiled = match CompiledRoutine::compile(promised.name(), routine) {
        Ok(compiled) => compiled,
        Err(faults) => return Proof::Unknown(faults.iter().map(ToString::to_string).collect()),
    };
    let mut judge = Judge { promised, routine, compiled, open: Vec::new(), partial: false };
    let targets: BTreeMap<String, &Tool> = judge
        .compiled
        .targets(promised.name())
        .into_iter()
        .filter_map(|name| offered(&name).map(|tool| (name, tool)))
        .collect();
    if let Some(counter) = judge.requests(&targets) {
        return Proof::Refuted(counter);
    }
    for target in targets.values() {
        if let Some(counter) = judge.replies(target) {
            return Proof::Refuted(counter);
        }
    }
    judge.open.dedup();
    if judge.open.is_empty() {
        Proof::Proven(Proven { partial: judge.partial })
    } else {
        Proof::Unknown(judge.open)
    }
}

struct Judge<'p> {
    promised: &'p Tool,
    routine: &'p ToolRoutine,
    compiled: CompiledRoutine,
    /// Why it is not proven.
    open: Vec<String>,
    partial: bool,
}

impl Judge<'_> {
    fn requests(&mut self, targets: &BTreeMap<String, &Tool>) -> Option<CounterExample> {
        let inner = closed(&input_of(self.promised));
        let outers: BTreeMap<&str, Value> =
            targets.iter().map(|(name, tool)| (name.as_str(), closed(&input_of(tool)))).collect();
        let mut schemas = BTreeMap::new();
        for (name, outer) in &outers {
            match Schema::compile(outer) {
                Ok(schema) => drop(schemas.insert(*name, schema)),
                Err(refused) => self.open.push(refused.to_string()),
            }
        }
        let (undecided, effort) = weighed(self.request_image(&inner, &outers));
        let mut carried = 0;
        let mut tape = Tape::default();
        let mut out = Vec::new();
        let counter = Schema::compile(&inner).ok().and_then(|schema| {
            try_instances(&schema, effort, |_, item| {
                out.clear();
                let call = match self.compiled.request(Some(item), &mut out) {
                    Ok(mapped) => mapped.call,
                    Err(Failure::Refused { .. }) => {
                        self.partial = true;
                        return ControlFlow::Continue(());
                    }
                    Err(failure) => return counter(Face::Request, item, failure.to_string()),
                };
                carried += 1;
                let target = call.as_deref().unwrap_or(self.promised.name());
                if !targets.contains_key(target) {
                    let why = format!("the peer does not offer {target:?}");
                    return counter(Face::Request, item, why);
                }
                match schemas.get(target).and_then(|it| refused(it, &out, &mut tape)) {
                    Some(why) => counter(Face::Request, item, why),
                    None => ControlFlow::Continue(()),
                }
            })
        });
        if carried == 0 {
            self.open.push("no generated call is carried over".to_owned());
        }
        self.open.extend(undecided);
        counter
    }

    /// By what the containment of each way that the request operations take is shown, or why it is not.
    fn request_image(
        &self,
        inner: &Value,
        outers: &BTreeMap<&str, Value>,
    ) -> Vec<Result<By, String>> {
        let ways = match image(&self.routine.request, inner) {
            Ok(ways) => ways,
            Err(why) => return vec![Err(format!("request: {why}"))],
        };
        let held = ways.iter().map(|way| {
            let target = way.call.as_deref().or(self.routine.call.as_deref());
            let target = target.unwrap_or(self.promised.name());
            match outers.get(target) {
                Some(outer) => covered(outer, &way.schema).map_err(|why| format!("request: {why}")),
                None => Err(format!("the peer does not offer {target:?}")),
            }
        });
        held.collect()
    }

    fn replies(&mut self, target: &Tool) -> Option<CounterExample> {
        let (offered, promised) = match (target.output_schema(), self.promised.output_schema()) {
            (Some(offered), Some(promised)) => (closed(offered), promised),
            (None, Some(_)) => {
                self.open
                    .push(format!("{:?} declares no reply where one was promised", target.name()));
                return None;
            }
            (_, None) if self.routine.reply.is_empty() => return None,
            (_, None) => {
                self.open.push("reply operations where no reply was promised".to_owned());
                return None;
            }
        };
        let schema = match Schema::compile(promised) {
            Ok(schema) => schema,
            Err(refused) => {
                self.open.push(refused.to_string());
                return None;
            }
        };
        let held = match image(&self.routine.reply, &offered) {
            Ok(ways) => {
                let promised = normal_schema(promised);
                let held = ways.iter().map(|way| covered(&promised, &way.schema));
                held.map(|held| held.map_err(|why| format!("reply: {why}"))).collect()
            }
            Err(why) => vec![Err(format!("reply: {why}"))],
        };
        let (undecided, effort) = weighed(held);
        let mut seen = false;
        let mut tape = Tape::default();
        let mut out = Vec::new();
        let counter = Schema::compile(&offered).ok().and_then(|offered| {
            try_instances(&offered, effort, |_, item| {
                seen = true;
                out.clear();
                let why = match self.compiled.reply(item, &mut out) {
                    Ok(()) => refused(&schema, &out, &mut tape),
                    Err(failure) => Some(failure.to_string()),
                };
                why.map_or(ControlFlow::Continue(()), |why| counter(Face::Reply, item, why))
            })
        });
        if !seen {
            self.open.push("no reply of the offer could be generated".to_owned());
        }
        self.open.extend(undecided);
        counter
    }
}

/// What is not shown, and how much is tried beside what is.
fn weighed(held: Vec<Result<By, String>>) -> (Vec<String>, Effort) {
    let keywords = held.iter().all(|held| held == &Ok(By::Keywords));
    let undecided = held.into_iter().filter_map(Result::err).collect();
    (undecided, if keywords { SURE } else { SEARCH })
}

fn counter(face: Face, item: Item<'_>, why: String) -> ControlFlow<CounterExample> {
    let instance = serde_json::from_str(item.raw()).unwrap_or_default();
    ControlFlow::Break(CounterExample { face, instance, why })
}

/// Arguments that a tool takes; any object where it does not say.
fn input_of(tool: &Tool) -> Value {
    tool.input_schema().cloned().unwrap_or_else(|| json!({"type": "object"}))
}

/// Why a schema refuses what a routine made, or `None`.
fn refused(schema: &Schema, made: &[u8], tape: &mut Tape) -> Option<String> {
    let document = match tape.read(made, Limits::default()) {
        Ok(document) => document,
        Err(error) => return Some(error.to_string()),
    };
    if schema.admits(document.root()) {
        return None;
    }
    let violations = schema.violations(document.root());
    let words: Vec<String> = violations
        .iter()
        .take(3)
        .map(|violation| format!("{}: {}", violation.pointer, violation.message))
        .collect();
    Some(if words.is_empty() { "the other side refuses it".to_owned() } else { words.join("; ") })
}
