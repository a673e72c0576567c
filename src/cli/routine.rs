//! `stipula routine check|run|explain`.

use std::path::Path;

use serde_json::{Value, json};

use super::arguments::{Routine, RoutineCheck, RoutineFile, RoutineRun};
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source};
use crate::domain::contract::Surface;
use crate::domain::json::{Item, Limits, Tape};
use crate::domain::routine::{self, CompiledRoutine, Proof, RoutineDoc, ToolRoutine};

pub(super) fn routine(command: Routine, screen: &Screen) -> Result<Answer, Failure> {
    match command {
        Routine::Check(options) => check(&options, screen),
        Routine::Run(options) => run(&options, screen),
        Routine::Explain(options) => explain(&options, screen),
    }
}

/// A routine document; a contract stands for the routine it holds.
fn read(path: &Path) -> Result<RoutineDoc, Failure> {
    let value = source::value(path)?;
    let document = match value.get("contract_id") {
        Some(_) => value.get("routine").cloned().unwrap_or_else(|| json!({})),
        None => value,
    };
    RoutineDoc::from_value(&document).map_err(|faults| {
        let lines: Vec<String> =
            faults.iter().map(|fault| format!("{}: {fault}", path.display())).collect();
        Failure::usage(lines.join("\n"))
    })
}

fn check(options: &RoutineCheck, screen: &Screen) -> Result<Answer, Failure> {
    let document = read(&options.routine)?;
    let surfaces = match (&options.old, &options.new) {
        (Some(old), Some(new)) => Some((source::surface(old)?, source::surface(new)?)),
        _ => None,
    };
    let mut tools = Vec::new();
    let mut good = true;
    for (tool, routine) in &document.0 {
        let (word, reasons) = match CompiledRoutine::compile(tool, routine) {
            Err(faults) => ("broken", faults.iter().map(ToString::to_string).collect()),
            Ok(_) => match &surfaces {
                None => ("compiles", Vec::new()),
                Some((old, new)) => prove(tool, routine, old, new),
            },
        };
        good &= !matches!(word, "broken" | "refuted");
        tools.push((tool.clone(), word, reasons));
    }
    if screen.is_json() {
        let tools: Vec<Value> = tools
            .iter()
            .map(|(tool, word, why)| json!({ "tool": tool, "proof": word, "why": why }))
            .collect();
        screen.json(&json!({ "good": good, "tools": tools }));
    } else {
        for (tool, word, reasons) in &tools {
            let tone = match *word {
                "proven" | "compiles" => Tone::Good,
                "unknown" => Tone::Warning,
                _ => Tone::Bad,
            };
            screen.line(format!("{}: {tool}", toned(tone, word)));
            for reason in reasons {
                screen.line(format!("  {reason}"));
            }
        }
    }
    Ok(if good { Answer::Yes } else { Answer::No })
}

fn prove(
    tool: &str,
    routine: &ToolRoutine,
    old: &Surface,
    new: &Surface,
) -> (&'static str, Vec<String>) {
    let Some(promised) = old.tool(tool) else {
        return ("broken", vec![format!("no tool `{tool}` was promised")]);
    };
    let proof = routine::prove(promised, |name| new.tool(name), routine);
    let reasons = match &proof {
        Proof::Proven(_) => Vec::new(),
        Proof::Refuted(example) => vec![format!("{}: {}", example.why, example.instance)],
        Proof::Unknown(reasons) => reasons.clone(),
    };
    (proof.word(), reasons)
}

fn run(options: &RoutineRun, screen: &Screen) -> Result<Answer, Failure> {
    let document = read(&options.routine)?;
    let input = source::value_or_stdin(options.input.as_deref())?;
    let text = input.to_string();
    let mut tape = Tape::default();
    let item = tape
        .read(text.as_bytes(), Limits::default())
        .map_err(|error| Failure::usage(error.to_string()))?
        .root();
    let outcome = match document.0.get(&options.tool) {
        None if options.reply => Ok(json!({ "reply": input })),
        None => Ok(json!({ "tool": options.tool, "arguments": input })),
        Some(routine) => {
            let compiled = CompiledRoutine::compile(&options.tool, routine).map_err(|faults| {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Failure::usage(lines.join("\n"))
            })?;
            carried(&compiled, options, item, &input)?
        }
    };
    match outcome {
        Ok(carried) => {
            screen.json(&carried);
            Ok(Answer::Yes)
        }
        Err(refused) => {
            screen.json(&json!({ "refused": refused }));
            Ok(Answer::No)
        }
    }
}

/// What the routine makes of the input, or why it refuses it.
fn carried(
    compiled: &CompiledRoutine,
    options: &RoutineRun,
    item: Item<'_>,
    input: &Value,
) -> Result<Result<Value, String>, Failure> {
    let mut out = Vec::new();
    let call = if options.reply {
        compiled.reply(item, &mut out).map(|()| None)
    } else {
        compiled.request(Some(item), &mut out).map(|mapped| mapped.call)
    };
    let call = match call {
        Ok(call) => call,
        Err(failure) => return Ok(Err(failure.to_string())),
    };
    let value = if out.is_empty() {
        input.clone()
    } else {
        serde_json::from_slice(&out)
            .map_err(|error| Failure::refused(format!("the routine wrote no JSON: {error}")))?
    };
    Ok(Ok(if options.reply {
        json!({ "reply": value })
    } else {
        json!({ "tool": call.unwrap_or_else(|| options.tool.clone()), "arguments": value })
    }))
}

fn explain(options: &RoutineFile, screen: &Screen) -> Result<Answer, Failure> {
    let text = routine::explain(&read(&options.routine)?);
    if screen.is_json() {
        screen.json(&json!({ "explained": text }));
    } else {
        screen.text(&text);
    }
    Ok(Answer::Yes)
}
