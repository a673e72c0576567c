//! `stipula evaluate`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments::Evaluate;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, semantic, source};
use crate::app::SystemClock;
use crate::domain::contract::Surface;
use crate::domain::evaluation::{
    CaseScore, GoldCase, Judged, Pair, PairScore, PairTable, Share, Spread, Table, score_case,
    score_pair,
};
use crate::domain::message::Clock;

/// What one file came to.
enum Scored {
    Cases { scores: Vec<CaseScore>, table: Table, spread: Spread },
    Pairs { scores: Vec<PairScore>, table: PairTable, spread: Spread },
}

pub(super) fn evaluate(options: &Evaluate, screen: &Screen) -> Result<Answer, Failure> {
    if options.files.first().is_some_and(|word| word.as_os_str() == "semantic") {
        return semantic::evaluate(options, screen);
    }
    let mut all = Vec::new();
    for file in &options.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.push((name, scored(file)?));
    }
    if let Some(path) = &options.report {
        source::write(path, &report(&all))?;
    }
    if screen.is_json() {
        let files: BTreeMap<&str, Value> =
            all.iter().map(|(name, scored)| (name.as_str(), as_json(scored))).collect();
        screen.json(&json!({ "files": files }));
    } else {
        for (name, scored) in &all {
            screen.line(toned(Tone::Strong, name));
            let mut table = rows(scored);
            table.extend(times(scored));
            screen.table(&table);
            for (id, why) in faults(scored) {
                screen.line(format!("  {}  {why}", toned(Tone::Bad, id)));
            }
            screen.line("");
        }
    }
    let safe = all.iter().all(|(_, scored)| faults(scored).is_empty());
    Ok(if safe { Answer::Yes } else { Answer::No })
}

/// Reads a file and scores every line of it.
fn scored(file: &Path) -> Result<Scored, Failure> {
    let lines = lines(file)?;
    if lines.first().is_some_and(|line| line.get("gate").is_some()) {
        return cases(file, &lines);
    }
    let pairs: Vec<Pair> = lines.iter().filter_map(Pair::from_json).collect();
    if pairs.is_empty() {
        let why =
            "expected judged cases (with `gate`) or labelled pairs (with `breaking`), one a line";
        return Err(Failure::usage(format!("{}: {why}", file.display())));
    }
    let mut times = Vec::new();
    let scores: Vec<PairScore> =
        pairs.iter().map(|pair| timed(&mut times, || score_pair(pair))).collect();
    let table = PairTable::of(&scores);
    Ok(Scored::Pairs { scores, table, spread: Spread::of(times) })
}

fn cases(file: &Path, lines: &[Value]) -> Result<Scored, Failure> {
    let beside = file.parent().unwrap_or_else(|| Path::new("."));
    let mut lists: BTreeMap<String, Arc<Surface>> = BTreeMap::new();
    let mut times = Vec::new();
    let mut scores = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let case = GoldCase::from_json(line).map_err(|fault| {
            Failure::usage(format!("{}:{}: {fault}", file.display(), number + 1))
        })?;
        let mut list = |name: &str| match lists.get(name) {
            Some(known) => Ok(Arc::clone(known)),
            None => {
                let read = Arc::new(manifest(&beside.join(name))?);
                lists.insert(name.to_owned(), Arc::clone(&read));
                Ok::<_, Failure>(read)
            }
        };
        let (old, new) = (list(&case.from)?, list(&case.to)?);
        scores.push(timed(&mut times, || score_case(&case, &old, &new)));
    }
    let table = Table::of(&scores);
    Ok(Scored::Cases { scores, table, spread: Spread::of(times) })
}

fn timed<T>(times: &mut Vec<u64>, work: impl FnOnce() -> T) -> T {
    let clock = SystemClock::start();
    let made = work();
    times.push(clock.monotonic_micros());
    made
}

/// The text of a file, unpacked where it is gzipped.
fn text(file: &Path) -> Result<String, Failure> {
    let bytes = source::bytes(file)?;
    let mut text = String::new();
    let read = if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text)
    } else {
        bytes.as_slice().read_to_string(&mut text)
    };
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(text)
}

fn lines(file: &Path) -> Result<Vec<Value>, Failure> {
    let text = text(file)?;
    let full = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    full.map(|(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| Failure::usage(format!("{}:{}: {error}", file.display(), number + 1)))
    })
    .collect()
}

/// A list of tools; of variants of one tool the first is taken.
fn manifest(path: &Path) -> Result<Surface, Failure> {
    let fault =
        |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let mut value: Value = serde_json::from_str(&text(path)?).map_err(|error| fault(&error))?;
    let mut seen = std::collections::BTreeSet::new();
    let listed = match &mut value {
        Value::Array(tools) => Some(tools),
        other => other.get_mut("tools").and_then(Value::as_array_mut),
    };
    if let Some(tools) = listed {
        tools.retain(|tool| seen.insert(tool.get("name").map(Value::to_string)));
    }
    Surface::from_json(&value).map_err(|error| fault(&error))
}

/// The table, its head first.
fn rows(scored: &Scored) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let share = |it: &Share| format!("{} of {} ({} %)", it.count, it.of, it.percent());
    match scored {
        Scored::Cases { table, .. } => vec![
            row("measure", "value".to_owned()),
            row("judged cases", table.cases.to_string()),
            row("wrong heals", table.wrong_heals.to_string()),
            row("judged auto: healed", share(&table.auto_healed)),
            row("judged auto, arguments to map: healed", share(&table.auto_mapped)),
            row("judged review, healable: correct proposal waits", share(&table.review_proposed)),
            row("drift type agrees", share(&table.type_agrees)),
            row("severity agrees", share(&table.severity_agrees)),
            row("hard breaks called compatible", table.hard_called_compatible.to_string()),
        ],
        Scored::Pairs { table, .. } => vec![
            row("measure", "value".to_owned()),
            row("pairs", table.pairs.to_string()),
            row("labelled hard: called breaking", share(&table.hard)),
            row("labelled soft: called breaking", share(&table.soft)),
            row("labelled conditional: called breaking", share(&table.conditional)),
            row("replies that break readers: called breaking", share(&table.replies)),
            row("pairs with a proposal", table.proposed.to_string()),
            row("a tool beside itself that drifts", table.identity_drifts.to_string()),
        ],
    }
}

/// How long it took: not part of the page, which is the same wherever it is made.
fn times(scored: &Scored) -> Vec<Vec<String>> {
    let (Scored::Cases { spread, .. } | Scored::Pairs { spread, .. }) = scored;
    let row = |name: &str, us: u64| {
        vec![format!("time: {name}"), format!("{}.{:03} ms", us / 1000, us % 1000)]
    };
    vec![
        row("median", spread.median_us),
        row("99 in 100", spread.p99_us),
        row("slowest", spread.slowest_us),
    ]
}

/// What must not be: which case, and why.
fn faults(scored: &Scored) -> Vec<(&str, String)> {
    match scored {
        Scored::Cases { scores, .. } => {
            let wrong = |score: &CaseScore| {
                let missed = "a hard break is called compatible".to_owned();
                let missed = score.hard_called_compatible.then_some(missed);
                score.wrong.iter().cloned().chain(missed).collect::<Vec<_>>()
            };
            scores
                .iter()
                .flat_map(|score| wrong(score).into_iter().map(|why| (score.id.as_str(), why)))
                .collect()
        }
        Scored::Pairs { scores, .. } => {
            let drifts = scores.iter().filter(|score| score.identity_drifts);
            let drifts = drifts.map(|score| (score.id.as_str(), "drifts beside itself".to_owned()));
            let missed = scores.iter().filter(|score| score.is_missed()).map(|score| {
                let why = format!("labelled {} and called {:?}", score.breaking, score.verdict);
                (score.id.as_str(), why)
            });
            drifts.chain(missed).collect()
        }
    }
}

fn as_json(scored: &Scored) -> Value {
    let faults: Vec<Value> =
        faults(scored).into_iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
    match scored {
        Scored::Cases { scores, table, spread } => json!({
            "table": table, "time": spread, "faults": faults,
            "cases": scores.iter().map(case_json).collect::<Vec<_>>(),
        }),
        Scored::Pairs { table, spread, .. } => {
            json!({ "table": table, "time": spread, "faults": faults })
        }
    }
}

fn case_json(score: &CaseScore) -> Value {
    json!({
        "id": score.id,
        "judged": word(score.judged),
        "gate": score.gate,
        "healed": score.healed(),
        "correct": score.correct,
        "type_agrees": score.type_agrees,
        "severity_agrees": score.severity_agrees,
        "held_by": score.held_by.iter()
            .map(|held| format!("rule {}: {}", held.rule.number(), held.why)).collect::<Vec<_>>(),
        "misses": score.misses,
        "told": score.told.iter().map(|(kind, severity)| format!("{kind}: {}", severity.word()))
            .collect::<Vec<_>>(),
    })
}

const fn word(judged: Judged) -> &'static str {
    match judged {
        Judged::Auto => "auto",
        Judged::Review => "review",
        Judged::Block => "block",
    }
}

/// The tables as a page.
fn report(all: &[(String, Scored)]) -> String {
    let mut page = String::from(
        "# Drift bench\n\nHow the engine does on real drift that people have judged. Made by \
         `stipula evaluate FILES --report docs/driftbench.md`;\nnot edited by hand. The corpus is third-party text and not part of the project.\n",
    );
    for (name, scored) in all {
        page.push_str(&format!("\n## {name}\n\n"));
        for (number, row) in rows(scored).iter().enumerate() {
            page.push_str(&format!("| {} |\n", row.join(" | ")));
            if number == 0 {
                page.push_str("|---|---|\n");
            }
        }
        if let Scored::Cases { scores, .. } = scored {
            page.push_str(&held(scores));
        }
    }
    page
}

/// Which rules held proposals, and how many of those were judged to need a person.
fn held(scores: &[CaseScore]) -> String {
    let mut rules: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    for score in scores {
        let numbers: std::collections::BTreeSet<u8> =
            score.held_by.iter().map(|held| held.rule.number()).collect();
        for number in numbers {
            let row = rules.entry(number).or_default();
            row.0 += usize::from(score.judged != Judged::Auto);
            row.1 += usize::from(score.judged == Judged::Auto);
        }
    }
    let mut page = String::from(
        "\nWhat each rule of the safety gate held back, by how the case was judged:\n\n\
         | rule | judged review or block | judged auto |\n|---|---|---|\n",
    );
    for (number, (rightly, beyond)) in rules {
        page.push_str(&format!("| {number} | {rightly} | {beyond} |\n"));
    }
    page
}
