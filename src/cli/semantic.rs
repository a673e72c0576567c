//! `stipula evaluate semantic`: how the profiles of replies do.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::arguments::Evaluate;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source};
use crate::domain::evaluation::semantic::{
    Found, HELD_OUT, Kind, Quiet, WITHIN, World, changed, quiet, recorded,
};

/// Milliseconds between two calls in undisturbed lives.
const PACES: [f64; 4] = [1_500.0, 20_000.0, 120_000.0, 600_000.0];
/// Replies that a profile has taken before a change, seed by seed.
const LEARNT: [u32; 3] = [250, 400, 1_000];

/// How much is played.
struct Size {
    /// Peers of each world that are changed.
    seeds: u64,
    /// Calls of each undisturbed life.
    calls: u64,
}

/// What it came to.
#[derive(Default)]
struct Scored {
    kinds: BTreeMap<Kind, Found>,
    worlds: BTreeMap<World, Found>,
    quiet: Quiet,
    real: BTreeMap<Kind, Found>,
    real_quiet: Quiet,
    tools: usize,
}

pub(super) fn evaluate(options: &Evaluate, screen: &Screen) -> Result<Answer, Failure> {
    let size =
        if options.quick { Size { seeds: 1, calls: 600 } } else { Size { seeds: 9, calls: 6_000 } };
    let mut scored = played(&size);
    for directory in options.files.iter().skip(1) {
        real(directory, &mut scored)?;
    }
    let tables = scored.tables();
    if let Some(path) = &options.report {
        source::write(path, &page(&tables, &scored))?;
    }
    if screen.is_json() {
        screen.json(&scored.json());
    } else {
        for (title, rows) in &tables {
            screen.line(toned(Tone::Strong, title));
            screen.table(rows);
            screen.line("");
        }
    }
    Ok(if scored.is_good() { Answer::Yes } else { Answer::No })
}

fn played(size: &Size) -> Scored {
    let mut scored = Scored::default();
    for (at, world) in (0..).zip(World::ALL) {
        for seed in 0..size.seeds {
            let calls = LEARNT[(seed % 3) as usize];
            for (kind, found) in changed(world, HELD_OUT + at * 100 + seed, calls) {
                scored.kinds.entry(kind).or_default().join(&found);
                scored.worlds.entry(world).or_default().join(&found);
            }
        }
        for (of, pace) in (0..).zip(PACES) {
            let seed = HELD_OUT * 10 + at * 100 + of;
            add(&mut scored.quiet, quiet(world, seed, pace, size.calls));
        }
    }
    scored
}

fn add(all: &mut Quiet, one: Quiet) {
    all.calls += one.calls;
    all.alarms += one.alarms;
    all.about.extend(one.about);
}

/// Recorded results of `tools/call`, a directory a server, a file a tool.
fn real(root: &Path, scored: &mut Scored) -> Result<(), Failure> {
    let fault = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot read {}: {error}", path.display()))
    };
    let listed = |path: &Path| {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| fault(path, &error))? {
            paths.push(entry.map_err(|error| fault(path, &error))?.path());
        }
        paths.sort();
        Ok::<_, Failure>(paths)
    };
    for server in listed(root)?.into_iter().filter(|path| path.is_dir()) {
        for file in listed(&server)? {
            let text = std::fs::read_to_string(&file).map_err(|error| fault(&file, &error))?;
            let mut replies = Vec::new();
            for line in text.lines() {
                let result: Value =
                    serde_json::from_str(line).map_err(|error| fault(&file, &error))?;
                replies.extend(document(&result));
            }
            let tool = file.file_stem().unwrap_or_default().to_string_lossy();
            let (found, quiet) = recorded(&tool, &replies, HELD_OUT + scored.tools as u64);
            scored.tools += usize::from(quiet.calls > 0);
            for (kind, found) in found {
                scored.real.entry(kind).or_default().join(&found);
            }
            add(&mut scored.real_quiet, quiet);
        }
    }
    Ok(())
}

/// What a result holds: `structuredContent`, or the JSON of its one text, or that text.
fn document(result: &Value) -> Option<Value> {
    if result["isError"] == json!(true) {
        return None;
    }
    if let Some(structured) = result.get("structuredContent") {
        return Some(structured.clone());
    }
    let [block] = result["content"].as_array()?.as_slice() else { return None };
    let text = block["text"].as_str()?;
    let parsed = serde_json::from_str(text).ok();
    Some(parsed.filter(|it: &Value| it.is_object() || it.is_array()).unwrap_or_else(|| json!(text)))
}

fn sum<'f>(all: impl IntoIterator<Item = &'f Found>) -> Found {
    let mut sum = Found::default();
    all.into_iter().for_each(|found| sum.join(found));
    sum
}

fn percent(found: &Found) -> f64 {
    f64::from(found.count) * 100.0 / f64::from(found.of.max(1))
}

fn per_ten_thousand(quiet: &Quiet) -> f64 {
    quiet.alarms as f64 * 10_000.0 / quiet.calls.max(1) as f64
}

/// A table with its title, its head first.
type Titled = (String, Vec<Vec<String>>);

impl Scored {
    fn is_good(&self) -> bool {
        percent(&sum(self.kinds.values())) >= 90.0 && per_ten_thousand(&self.quiet) <= 1.0
    }

    fn tables(&self) -> Vec<Titled> {
        let kinds = self.kinds.iter().map(|(kind, found)| (kind.word(), found));
        let worlds = self.worlds.iter().map(|(world, found)| (world.word(), found));
        let mut all = vec![
            (format!("Changes, found within {WITHIN} calls"), rows("change", kinds)),
            ("The same by what the peer is about".to_owned(), rows("fields of", worlds)),
            ("Undisturbed lives".to_owned(), quiet_rows(&self.quiet)),
        ];
        if self.tools > 0 {
            let real = self.real.iter().map(|(kind, found)| (kind.word(), found));
            let title = format!("Replies of {} tools of real servers", self.tools);
            all.push((title, rows("change", real)));
            all.push(("The same, undisturbed".to_owned(), quiet_rows(&self.real_quiet)));
        }
        all
    }

    fn json(&self) -> Value {
        let found = |found: &Found| json!({ "found": found.count, "of": found.of, "spoilt": found.spoilt, "missed": found.missed });
        let quiet =
            |it: &Quiet| json!({ "calls": it.calls, "alarms": it.alarms, "about": it.about });
        let kinds = |all: &BTreeMap<Kind, Found>| -> Value {
            all.iter().map(|(kind, it)| (kind.word().to_owned(), found(it))).collect()
        };
        json!({
            "kinds": kinds(&self.kinds),
            "all": found(&sum(self.kinds.values())),
            "quiet": quiet(&self.quiet),
            "real": kinds(&self.real),
            "real_all": found(&sum(self.real.values())),
            "real_quiet": quiet(&self.real_quiet),
        })
    }
}

fn rows<'f>(of: &str, all: impl Iterator<Item = (&'static str, &'f Found)>) -> Vec<Vec<String>> {
    let head = [of, "cases", "found", "share", "median calls", "missed"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut every = Found::default();
    let row = |name: &str, it: &Found| {
        let missed = it.missed.iter().map(|(what, count)| format!("{what} ({count})"));
        vec![
            name.to_owned(),
            it.of.to_string(),
            it.count.to_string(),
            format!("{:.1} %", percent(it)),
            it.median().map_or_else(|| "-".to_owned(), |calls| calls.to_string()),
            missed.collect::<Vec<_>>().join(", "),
        ]
    };
    for (name, found) in all {
        every.join(found);
        rows.push(row(name, found));
    }
    every.missed.clear();
    rows.push(row("all", &every));
    rows
}

fn quiet_rows(quiet: &Quiet) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("measure", "value".to_owned()),
        row("calls", quiet.calls.to_string()),
        row("false alarms", quiet.alarms.to_string()),
        row("in 10,000 calls", format!("{:.2}", per_ten_thousand(quiet))),
    ];
    rows.extend(quiet.about.iter().map(|about| row("false alarm", about.clone())));
    rows
}

fn page(tables: &[Titled], scored: &Scored) -> String {
    let mut page = include_str!("semantic.md").to_owned();
    for (title, rows) in tables {
        page.push_str(&format!("\n## {title}\n\n"));
        for (number, row) in rows.iter().enumerate() {
            page.push_str(&format!("| {} |\n", row.join(" | ")));
            if number == 0 {
                page.push_str(&format!("|{}\n", "---|".repeat(row.len())));
            }
        }
    }
    let spoilt = sum(scored.kinds.values()).spoilt;
    page.push_str(&format!(
        "\nCases that are not counted because the undisturbed profile had dropped before: {spoilt}.\n"
    ));
    page
}
