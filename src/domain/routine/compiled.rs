//! A routine compiled once and executed in microseconds.

use super::ToolRoutine;
use super::compile::{Compiler, LIMITS, Way};
use super::execute::{Run, too_large};
use super::fault::{CompileError, Failure};
use super::overlay::{Node, Overlay};
use super::step::Step;
use crate::domain::json::Item;

/// A tool's routine with its paths tokenised, its patterns compiled and its limits checked.
#[derive(Debug)]
pub struct CompiledRoutine {
    source: ToolRoutine,
    request: Vec<Step>,
    reply: Vec<Step>,
}

/// A request that was carried over; the arguments were appended to the caller's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The offered tool to call; `None` where it keeps the promised name.
    pub call: Option<String>,
}

impl CompiledRoutine {
    /// Compiles the routine of the promised tool `tool`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(tool: &str, source: &ToolRoutine) -> Result<Self, Vec<CompileError>> {
        let entry = format!("/{}", tool.replace('~', "~0").replace('/', "~1"));
        let mut compiler = Compiler::new();
        let request = compiler.list(Way::Request, &source.request, &format!("{entry}/request"));
        let reply = compiler.list(Way::Reply, &source.reply, &format!("{entry}/reply"));
        if source.call.as_ref().is_some_and(String::is_empty) {
            compiler.fault(&format!("{entry}/call"), "expected the name of an offered tool");
        }
        if source.errors.len() > LIMITS.operations {
            let what = format!("expected at most {} error codes", LIMITS.operations);
            compiler.fault(&format!("{entry}/errors"), what);
        }
        for (index, error) in source.errors.iter().take(LIMITS.operations).enumerate() {
            if source.errors[..index].iter().any(|earlier| earlier.from == error.from) {
                let pointer = format!("{entry}/errors/{index}/from");
                compiler.fault(&pointer, "expected each `from` once");
            }
        }
        let faults = compiler.faults();
        if faults.is_empty() {
            Ok(Self { source: source.clone(), request, reply })
        } else {
            Err(faults)
        }
    }

    /// The routine as data.
    #[must_use]
    pub fn source(&self) -> &ToolRoutine {
        &self.source
    }

    /// Every offered tool that it can call, in order of appearance; the promised name where it does
    /// not re-target.
    #[must_use]
    pub fn targets(&self, promised: &str) -> Vec<String> {
        let base = self.source.call.as_deref().unwrap_or(promised);
        called(&self.request, vec![base]).into_iter().map(str::to_owned).collect()
    }

    /// Carries promised arguments over; appends the offered arguments to `out`. Absent arguments stay
    /// absent (nothing is appended) where no operation writes any.
    ///
    /// # Errors
    /// [`Failure`]; `out` is then as it was.
    pub fn request(
        &self,
        arguments: Option<Item<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<Mapped, Failure> {
        let mut run = Run::default();
        carry(&mut run, &self.request, arguments, out)?;
        Ok(Mapped { call: run.call.map(str::to_owned).or_else(|| self.source.call.clone()) })
    }

    /// Carries the offered `structuredContent` back; appends the promised one to `out`.
    ///
    /// # Errors
    /// [`Failure`]; `out` is then as it was.
    pub fn reply(&self, structured: Item<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        carry(&mut Run::default(), &self.reply, Some(structured), out)
    }

    /// The promised code for one that the peer's error names itself by; `None` leaves it as it came.
    #[must_use]
    pub fn error_code(&self, code: &str) -> Option<&str> {
        let row = self.source.errors.iter().find(|row| row.from == code)?;
        Some(&row.to)
    }
}

fn carry<'a>(
    run: &mut Run<'a>,
    steps: &'a [Step],
    value: Option<Item<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut over = Overlay { root: value.map(Node::Raw) };
    run.list(steps, &mut over)?;
    let Some(root) = &over.root else { return Ok(()) };
    let size = root.size();
    if size > LIMITS.output {
        return Err(Failure::of(too_large()).inside(steps.len().saturating_sub(1)));
    }
    out.reserve(size);
    root.write(out);
    Ok(())
}

/// The tools that may stand chosen after the steps, if one of `before` stood chosen ahead of them;
/// each once.
fn called<'s>(steps: &'s [Step], before: Vec<&'s str>) -> Vec<&'s str> {
    steps.iter().fold(before, |chosen, step| match step {
        Step::Call { tool } => vec![tool.as_str()],
        Step::Cases { when, r#else, .. } => {
            let mut union = Vec::new();
            for steps in when.iter().map(|arm| &arm.steps).chain(r#else) {
                for name in called(steps, chosen.clone()) {
                    if !union.contains(&name) {
                        union.push(name);
                    }
                }
            }
            union
        }
        _ => chosen,
    })
}
