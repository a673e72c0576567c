//! `stipula ledger show|verify|export`, offline.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use super::arguments::{Ledger, LedgerShow};
use super::ask::word;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure};
use crate::store;

pub(super) fn ledger(command: Ledger, screen: &Screen) -> Result<Answer, Failure> {
    match command {
        Ledger::Show(options) => show(&options, screen),
        Ledger::Verify(options) => verify(&options.dir, screen),
        Ledger::Export(options) => export(&options.dir, screen),
    }
}

fn verify(dir: &Path, screen: &Screen) -> Result<Answer, Failure> {
    let report = store::verify(dir).map_err(|error| Failure::usage(chain(&error)))?;
    if screen.is_json() {
        screen.json(&report);
    } else {
        for fault in &report.faults {
            let record =
                fault.record.map(|number| format!(", record {number}")).unwrap_or_default();
            screen.line(format!(
                "{}: {}{record}: {}",
                toned(Tone::Bad, "broken"),
                fault.file,
                fault.what
            ));
        }
        for note in &report.notes {
            screen.line(toned(Tone::Quiet, format!("note: {note}")));
        }
        let (tone, judged) =
            if report.is_good() { (Tone::Good, "good") } else { (Tone::Bad, "broken") };
        let head = report.head.map_or_else(|| "-".to_owned(), |head| head.to_string());
        screen.line(format!(
            "{}: {} records, {} contracts, {} routines, {} checkpoints; head {head}",
            toned(tone, judged),
            report.records,
            report.contracts,
            report.routines,
            report.checkpoints,
        ));
    }
    Ok(if report.is_good() { Answer::Yes } else { Answer::No })
}

fn show(options: &LedgerShow, screen: &Screen) -> Result<Answer, Failure> {
    let most = options.last.unwrap_or(usize::MAX);
    let mut records = VecDeque::new();
    store::lines(&options.dir, &mut |line| {
        if records.len() == most {
            records.pop_front();
        }
        if most > 0 {
            records.push_back(line.record.to_owned());
        }
        ControlFlow::Continue(())
    })
    .map_err(|error| Failure::usage(chain(&error)))?;
    let records: Vec<Value> =
        records.iter().filter_map(|record| serde_json::from_str(record).ok()).collect();
    if screen.is_json() {
        screen.json(&records);
    } else {
        for record in &records {
            tell(record, screen);
        }
    }
    Ok(Answer::Yes)
}

fn export(dir: &Path, screen: &Screen) -> Result<Answer, Failure> {
    store::lines(dir, &mut |line| {
        screen.text(line.text);
        screen.text("\n");
        ControlFlow::Continue(())
    })
    .map_err(|error| Failure::usage(chain(&error)))?;
    Ok(Answer::Yes)
}

/// One record in a line or two.
pub(super) fn tell(record: &Value, screen: &Screen) {
    let what = word(record, "what");
    let peer = record["peer"].as_str().unwrap_or("sidecar");
    screen.line(format!(
        "{}  {}  {}  {}",
        toned(Tone::Quiet, word(record, "at")),
        peer,
        toned(Tone::Strong, &what),
        detail(&what, record)
    ));
    if what == "reasoning" {
        for step in super::ask::list(record, "steps") {
            screen.line(format!("    {}", step.as_str().unwrap_or_default()));
        }
    }
}

fn detail(what: &str, record: &Value) -> String {
    match what {
        "sealed" => {
            let contract = &record["contract"];
            format!("v{} {}", word(contract, "version"), word(contract, "hash"))
        }
        "head_moved" => format!("{}: {}", word(record, "why"), word(record, "to")),
        "exchanges" => record["counts"].to_string(),
        "exception" => format!("{} of {}", word(record, "verdict"), word(record, "tool")),
        "terms_kept" | "relations_learnt" => word(record, "tool"),
        "listed" => format!("{} lacks {}", word(record, "principal"), record["lacks"]),
        "decided" => format!(
            "{} {} {}",
            word(record, "decision"),
            word(record, "proposal"),
            word(record, "reason")
        ),
        "reasoning" => word(record, "drift_id"),
        "negotiated" => format!(
            "{} {}: {} rounds, {} requests, {} tokens in, {} out",
            word(record, "tool"),
            word(record, "result"),
            word(record, "negotiation_rounds"),
            word(record, "calls"),
            word(record, "input_tokens"),
            word(record, "output_tokens")
        ),
        "shadowed" => format!(
            "{} {}: {} of {} exchanges carried{}",
            word(record, "tool"),
            word(record, "outcome"),
            word(record, "carried"),
            word(record, "needed"),
            record["difference"].as_str().map(|why| format!(", {why}")).unwrap_or_default()
        ),
        "proposed" => {
            let proposal = &record["proposal"];
            format!("{} gate={}", word(proposal, "tool"), word(proposal, "gate"))
        }
        "drift" => {
            let event = &record["event"];
            format!(
                "{} {} of {}: {}",
                word(event, "severity"),
                word(event, "type"),
                word(event, "tool"),
                word(event, "state")
            )
        }
        "incident" => format!(
            "{} {} {}: {}",
            word(record, "severity"),
            word(record, "kind"),
            word(record, "tool"),
            word(record, "detail")
        ),
        "edge" => {
            format!("{} {} {}", word(record, "from"), word(record, "cause"), word(record, "to"))
        }
        "lifecycle" => format!("{} {}", word(record, "event"), word(record, "detail")),
        _ => word(record, "id"),
    }
}
