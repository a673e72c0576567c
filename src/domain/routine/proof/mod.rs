//! The proof: does the routine carry every promised request, and every offered reply, over?
//!
//! Two ways at once. Instances of what goes in are generated and carried over by the compiled
//! routine: one that does not arrive refutes. And the image of the schema under the operations is
//! held to be contained in what must come out. Only where both agree is it proven.

mod image;
mod place;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::image::image;
use super::{CompiledRoutine, Failure, ToolRoutine};
use crate::domain::contract::{Containment, Schema, Tool, closed, contains, instances};
use crate::domain::json::{Limits, Tape};

/// How many generated instances a routine must carry over, each way.
const WITNESSES: usize = 400;

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
        let counter = |instance: &Value, why: String| {
            Some(CounterExample { face: Face::Request, instance: instance.clone(), why })
        };
        let samples = instances(&inner, WITNESSES);
        let mut carried = 0;
        for instance in &samples {
            let (call, mapped) = match self.carry(instance) {
                Ok(carried) => carried,
                Err(Failure::Refused { .. }) => {
                    self.partial = true;
                    continue;
                }
                Err(failure) => return counter(instance, failure.to_string()),
            };
            carried += 1;
            let target = call.unwrap_or_else(|| self.promised.name().to_owned());
            if !targets.contains_key(&target) {
                return counter(instance, format!("the peer does not offer {target:?}"));
            }
            if let Some(why) = schemas.get(target.as_str()).and_then(|it| refused(it, &mapped)) {
                return counter(instance, why);
            }
        }
        if carried == 0 {
            self.open.push("no generated call is carried over".to_owned());
        }
        self.request_image(&inner, &outers);
        None
    }

    fn request_image(&mut self, inner: &Value, outers: &BTreeMap<&str, Value>) {
        let ways = match image(&self.routine.request, inner) {
            Ok(ways) => ways,
            Err(why) => return self.open.push(format!("request: {why}")),
        };
        for way in ways {
            let target = way.call.as_deref().or(self.routine.call.as_deref());
            let target = target.unwrap_or(self.promised.name());
            match outers.get(target) {
                Some(outer) => self.hold("request", contains(outer, &way.schema)),
                None => self.open.push(format!("the peer does not offer {target:?}")),
            }
        }
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
        let samples = instances(&offered, WITNESSES);
        if samples.is_empty() {
            self.open.push("no reply of the offer could be generated".to_owned());
        }
        for instance in &samples {
            let why = match self.bring_back(instance) {
                Ok(mended) => refused(&schema, &mended),
                Err(failure) => Some(failure.to_string()),
            };
            if let Some(why) = why {
                return Some(CounterExample { face: Face::Reply, instance: instance.clone(), why });
            }
        }
        match image(&self.routine.reply, &offered) {
            Ok(ways) => {
                for way in ways {
                    self.hold("reply", contains(promised, &way.schema));
                }
            }
            Err(why) => self.open.push(format!("reply: {why}")),
        }
        None
    }

    fn hold(&mut self, face: &str, answer: Containment) {
        match answer {
            Containment::Yes => {}
            // The image may be wider than what the routine makes, so this instance refutes nothing.
            Containment::No(_) => {
                self.open.push(format!("{face}: the routine may make what the other side refuses"));
            }
            Containment::Unknown(why) => self.open.push(format!("{face}: {why}")),
        }
    }

    fn carry(&self, arguments: &Value) -> Result<(Option<String>, Value), Failure> {
        let text = arguments.to_string();
        let mut tape = Tape::default();
        let document = read(&mut tape, &text)?;
        let mut out = Vec::new();
        let mapped = self.compiled.request(Some(document), &mut out)?;
        Ok((mapped.call, written(&out)?))
    }

    fn bring_back(&self, structured: &Value) -> Result<Value, Failure> {
        let text = structured.to_string();
        let mut tape = Tape::default();
        let document = read(&mut tape, &text)?;
        let mut out = Vec::new();
        self.compiled.reply(document, &mut out)?;
        written(&out)
    }
}

fn read<'t>(tape: &'t mut Tape, text: &'t str) -> Result<crate::domain::json::Item<'t>, Failure> {
    tape.read(text.as_bytes(), Limits::default())
        .map(crate::domain::json::Document::root)
        .map_err(|error| broken(&error.to_string()))
}

fn written(out: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(out).map_err(|error| broken(&error.to_string()))
}

fn broken(what: &str) -> Failure {
    Failure::Operation { index: "-".to_owned(), what: what.to_owned() }
}

/// Arguments that a tool takes; any object where it does not say.
fn input_of(tool: &Tool) -> Value {
    tool.input_schema().cloned().unwrap_or_else(|| json!({"type": "object"}))
}

/// Why a schema refuses a value, or `None`.
fn refused(schema: &Schema, value: &Value) -> Option<String> {
    if schema.admits_value(value) {
        return None;
    }
    let text = value.to_string();
    let mut tape = Tape::default();
    let document = tape.read(text.as_bytes(), Limits::default()).ok()?;
    let violations = schema.violations(document.root());
    let words: Vec<String> = violations
        .iter()
        .take(3)
        .map(|violation| format!("{}: {}", violation.pointer, violation.message))
        .collect();
    Some(if words.is_empty() { "the other side refuses it".to_owned() } else { words.join("; ") })
}
