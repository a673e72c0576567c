//! Holds the arrows between the rooms, and the purity of `domain/`, by reading the source.
//!
//! What it knows is the table of `docs/ARCHITECTURE.md`. A room that imports another one upwards, a
//! file named for nothing, or a clock in `domain/` fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("telemetry", &["domain"]),
    ("store", &["domain"]),
    ("live", &["domain"]),
    ("wire", &["domain", "telemetry"]),
    ("proxy", &["domain", "live", "telemetry", "wire"]),
    ("control", &["domain", "live", "store", "telemetry", "wire"]),
    ("config", &["domain", "live", "store", "telemetry", "wire", "proxy", "control", "admin"]),
    ("admin", &["domain", "live", "control", "store", "telemetry", "wire"]),
    (
        "app",
        &["domain", "live", "store", "telemetry", "wire", "proxy", "control", "config", "admin"],
    ),
    ("cli", &["app", "config", "demo", "domain", "store"]),
    ("demo", &["app", "domain"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Which rooms of the domain may import which.
const DOMAIN_ARROWS: &[(&str, &[&str])] = &[
    ("json", &["message"]),
    ("message", &["json"]),
    ("contract", &["json", "message", "routine"]),
    ("policy", &["message"]),
    ("health", &["message"]),
    ("sharing", &["message"]),
    ("routine", &["json", "message", "contract"]),
    ("drift", &["json", "message", "contract", "routine"]),
    ("negotiation", &["json", "message", "contract", "routine", "drift"]),
    ("evaluation", &["json", "message", "contract", "routine", "drift", "negotiation"]),
    ("patch", &["json", "message", "contract", "policy", "routine", "negotiation"]),
    ("evidence", &["json", "message", "contract", "drift", "negotiation", "patch", "routine"]),
];

/// What a pure room does not name.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "tracing",
    "async fn",
    "async move",
    ".await",
    "Instant::now",
    "SystemTime::now",
    "HashMap",
    "HashSet",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "getrandom",
    "println!",
];

/// Names that say nothing about what a file holds.
const DRAWERS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "shared"];

/// A source file: its path below `src/` with slashes, and its code.
type Source = (String, String);

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, code_of(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

/// The code of a file: no comments, no unit tests at its foot.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

fn room_of(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Every word that follows `prefix`, groups in braces included.
fn imports(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            named.extend(top_level_words(group));
        } else {
            named.insert(word(rest));
        }
    }
    named.remove("");
    named
}

/// The first word of each entry of a use group, nested groups skipped.
fn top_level_words(group: &str) -> Vec<String> {
    let (mut depth, mut entry, mut words) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(word(std::mem::take(&mut entry).trim())),
            _ if depth == 0 => entry.push(c),
            _ => {}
        }
    }
    words.push(word(entry.trim()));
    words
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs")
        || name.ends_with("/properties.rs")
        || name.contains("/tests/")
        || name.ends_with("/suite.rs")
}

fn faults(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|(name, _)| !is_test(name))
        .flat_map(|(name, code)| {
            let mut faults = Vec::new();
            let file = name.rsplit('/').next().unwrap().trim_end_matches(".rs");
            if DRAWERS.contains(&file) {
                faults.push(format!("{name}: the name does not say what the file holds"));
            }
            if room_of(name) == "domain" {
                faults.extend(domain_faults(name, code));
            } else {
                faults.extend(room_faults(name, code));
            }
            faults
        })
        .collect()
}

fn room_faults(name: &str, code: &str) -> Vec<String> {
    let rooms: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let room = room_of(name);
    let Some(allowed) = rooms.get(room) else {
        return vec![format!("{name}: the room {room} is not on the map")];
    };
    imports(code, "crate::")
        .into_iter()
        .filter(|other| other != room && !allowed.contains(&other.as_str()))
        .map(|other| format!("{name}: {room} may not import {other}"))
        .collect()
}

fn domain_faults(name: &str, code: &str) -> Vec<String> {
    let parts: BTreeMap<&str, &[&str]> = DOMAIN_ARROWS.iter().copied().collect();
    let part = name.split('/').nth(1).unwrap().trim_end_matches(".rs");
    let mut faults: Vec<String> = imports(code, "crate::")
        .into_iter()
        .filter(|other| other != "domain")
        .map(|other| format!("{name}: domain may not import {other}"))
        .collect();
    faults.extend(
        IMPURE
            .iter()
            .filter(|impure| code.contains(*impure))
            .map(|impure| format!("{name}: domain is pure, but names `{impure}`")),
    );
    match parts.get(part) {
        Some(allowed) => faults.extend(
            imports(code, "crate::domain::")
                .into_iter()
                .filter(|other| other != part && !allowed.contains(&other.as_str()))
                .map(|other| format!("{name}: domain/{part} may not import domain/{other}")),
        ),
        None if part == "mod" => {}
        None => faults.push(format!("{name}: domain/{part} is not on the map")),
    }
    faults
}

#[test]
fn arrows_go_down_only_and_the_domain_is_pure() {
    let sources = sources();
    assert!(sources.len() > 30, "the source was not found: {} files", sources.len());
    let faults = faults(&sources);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_switchboard_is_loaded_in_one_file_of_the_proxy() {
    let loads = |code: &str| code.contains("switchboard.load()") || code.contains(".newer_than(");
    let files: Vec<_> = sources()
        .into_iter()
        .filter(|(name, code)| name.starts_with("proxy/") && !is_test(name) && loads(code))
        .map(|(name, _)| name)
        .collect();
    assert!(files.len() <= 1, "loaded in {files:?}");
}

#[test]
fn a_planted_import_is_found() {
    let rows: &[(&str, &str, &str)] = &[
        ("proxy/stack.rs", "use crate::store::Store;", "proxy may not import store"),
        ("proxy/stack.rs", "use crate::control;", "proxy may not import control"),
        ("control/heal.rs", "use crate::proxy::Proxy;", "control may not import proxy"),
        ("domain/json/read.rs", "use tokio::fs;", "names `tokio`"),
        ("domain/drift/x.rs", "let t = Instant::now();", "names `Instant::now`"),
        ("domain/json/x.rs", "use crate::live::Mode;", "domain may not import live"),
        ("domain/json/x.rs", "use crate::domain::{drift::Change, message};", "import domain/drift"),
        ("cli/run.rs", "use crate::{proxy, app};", "cli may not import proxy"),
        ("wire/util.rs", "", "does not say what the file holds"),
        ("attic/x.rs", "", "not on the map"),
    ];
    for (name, code, expected) in rows {
        let found = faults(&[((*name).to_owned(), code_of(code))]);
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{name} {code:?} should give {expected:?}, gave {found:?}"
        );
    }
}

#[test]
fn a_comment_or_a_unit_test_is_not_an_import() {
    let text =
        "// use crate::store::Store;\n#[cfg(test)]\nmod tests { use crate::store::Store; }\n";
    assert!(faults(&[("proxy/stack.rs".to_owned(), code_of(text))]).is_empty());
}

#[test]
fn the_map_says_what_is_held_here() {
    let map = include_str!("../docs/ARCHITECTURE.md");
    for (room, allowed) in ARROWS.iter().chain(DOMAIN_ARROWS).filter(|row| !row.1.is_empty()) {
        let named: Vec<String> = allowed.iter().map(|other| format!("`{other}`")).collect();
        let row = format!("| `{room}` | {} |", named.join(", "));
        assert!(map.lines().any(|line| line == row), "docs/ARCHITECTURE.md lacks: {row}");
    }
}
