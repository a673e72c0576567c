//! The telling texts of a schema: those at its bounds, of its format, of its pattern.
//!
//! Never here: a promise that the schema admits them; who asks tries each.

use regex_syntax::hir::{Hir, HirKind};
use serde_json::{Map, Value, json};

/// The texts of a place whose schema has these keywords, plainest first.
pub(super) fn strings(members: &Map<String, Value>) -> Vec<Value> {
    let bound = |name: &str| members.get(name).and_then(Value::as_u64);
    let least = usize::try_from(bound("minLength").unwrap_or(0)).unwrap_or(0).min(4096);
    let most = bound("maxLength").and_then(|most| usize::try_from(most).ok());
    let texts: Vec<String> = if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
        matching(pattern)
    } else if let Some(format) = members.get("format").and_then(Value::as_str) {
        formatted(format)
    } else {
        [
            "a",
            "",
            "0",
            "12",
            "true",
            "null",
            "Zürich, 😀 \"q\" \\",
            " a  b\n",
            "2024-02-29",
            "1.5",
            "{}",
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let longest = most.filter(|most| *most <= 4096).map(|most| "m".repeat(most));
    let fitted = |text: String| {
        let length = text.chars().count();
        let text = if length < least { text + &"x".repeat(least - length) } else { text };
        match most {
            Some(most) => json!(text.chars().take(most).collect::<String>()),
            None => json!(text),
        }
    };
    texts.into_iter().chain(longest).map(fitted).collect()
}

fn formatted(format: &str) -> Vec<String> {
    let texts: &[&str] = match format {
        "date-time" => &["2024-02-29T23:59:59Z", "1999-12-31T00:00:00.5+02:00"],
        "date" => &["2024-02-29", "1999-12-31"],
        "time" => &["23:59:59Z", "00:00:00.5+02:00"],
        "duration" => &["P1DT2H"],
        "email" | "idn-email" => &["a@example.org"],
        "uuid" => &["6f2c1f5e-7d0b-4c57-9a51-0f6b0f2a9d11"],
        "uri" | "url" | "iri" => &["https://example.org/a?b=c#d"],
        "uri-reference" | "iri-reference" => &["/a/b", "https://example.org/"],
        "hostname" | "idn-hostname" => &["example.org"],
        "ipv4" => &["192.0.2.1"],
        "ipv6" => &["2001:db8::1"],
        "json-pointer" => &["/a/0"],
        "regex" => &["^a+$"],
        _ => &["a", ""],
    };
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Texts that a pattern matches: each repetition at its least, at one, and a little above.
fn matching(pattern: &str) -> Vec<String> {
    let Ok(hir) = regex_syntax::parse(pattern) else { return vec!["a".to_owned()] };
    let mut texts: Vec<String> = (0..4)
        .map(|turn| {
            let mut text = String::new();
            spell(&hir, turn, &mut text);
            text
        })
        .collect();
    texts.dedup();
    texts
}

fn spell(hir: &Hir, turn: usize, out: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => {
            let ranges = match class {
                regex_syntax::hir::Class::Unicode(class) => {
                    class.iter().map(|range| (range.start(), range.end())).collect::<Vec<_>>()
                }
                regex_syntax::hir::Class::Bytes(class) => class
                    .iter()
                    .map(|range| (char::from(range.start()), char::from(range.end())))
                    .collect(),
            };
            // A printable range where there is one: the last has the plainest letters.
            let plain = ranges.iter().rev().find(|(start, _)| start.is_ascii_graphic());
            if let Some((start, end)) = plain.or(ranges.first()) {
                out.push(if turn.is_multiple_of(2) { *start } else { *end });
            }
        }
        HirKind::Repetition(repetition) => {
            let least = repetition.min as usize;
            let most = repetition.max.map_or(least + turn, |most| most as usize);
            for _ in 0..(least + turn).min(most).min(4096) {
                spell(&repetition.sub, turn, out);
            }
        }
        HirKind::Capture(capture) => spell(&capture.sub, turn, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| spell(part, turn, out)),
        HirKind::Alternation(ways) => {
            if let Some(way) = ways.get(turn % ways.len().max(1)) {
                spell(way, turn, out);
            }
        }
    }
}
