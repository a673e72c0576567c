//! Replies of real servers, drawn again and again in another order: what they were recorded with is
//! not known, so every call has arguments of its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::changes::Kind;
use super::dice::Dice;
use super::{Found, Quiet, WITHIN, fed};
use crate::domain::drift::profile::{Profile, ProfileSettings};
use crate::domain::message::UnixMillis;

/// 2026-11-01T00:00:00Z
const START: u64 = 1_793_491_200_000;
/// Calls before a change.
const LEARNT: u64 = 300;
/// Calls without one.
const UNDISTURBED: u64 = 1_000;

/// Tries the changes that touch nearly all of a tool's recorded replies, and a life without one.
#[must_use]
pub fn recorded(tool: &str, replies: &[Value], seed: u64) -> (BTreeMap<Kind, Found>, Quiet) {
    let settings = ProfileSettings::default();
    let mut all = BTreeMap::new();
    let mut quiet = Quiet { lowest: 100.0, ..Quiet::default() };
    if replies.is_empty() {
        return (all, quiet);
    }
    let mut profile = Profile::new(settings);
    let mut drawn = Drawn { replies, dice: Dice::new(seed), calls: 0 };
    let mut learnt = None;
    for call in 0..LEARNT + UNDISTURBED {
        if call == LEARNT {
            learnt = Some((profile.clone(), drawn.dice.clone()));
        }
        quiet.calls += 1;
        let Some(look) = fed(&mut profile, &settings, &drawn.next()) else { continue };
        quiet.lowest = quiet.lowest.min(look.score);
        if let Some(first) = look.findings.first() {
            quiet.alarms += 1;
            quiet.about.push(format!("{tool} {call} {}: {}", first.pointer, first.message));
            profile = Profile::new(settings);
        }
    }
    let Some((profile, dice)) = learnt.filter(|(profile, _)| !profile.is_disturbed()) else {
        return (all, quiet);
    };
    for kind in Kind::ALL {
        let touched = replies.iter().filter(|reply| everywhere(kind, reply) != **reply).count();
        if touched * 10 < replies.len() * 9 {
            continue;
        }
        let (mut profile, mut drawn) =
            (profile.clone(), Drawn { replies, dice: dice.clone(), calls: LEARNT });
        let calls = (1..=WITHIN).find(|_| {
            let (at, arguments, reply) = drawn.next();
            let call = (at, arguments, everywhere(kind, &reply));
            fed(&mut profile, &settings, &call).is_some_and(|look| !look.findings.is_empty())
        });
        all.entry(kind).or_insert_with(Found::default).note(tool, calls);
    }
    (all, quiet)
}

struct Drawn<'r> {
    replies: &'r [Value],
    dice: Dice,
    calls: u64,
}

impl Drawn<'_> {
    fn next(&mut self) -> (UnixMillis, Value, Value) {
        self.calls += 1;
        let reply = self.replies[self.dice.below(self.replies.len())].clone();
        (UnixMillis(START + self.calls * 20_000), json!({ "call": self.calls }), reply)
    }
}

/// The change, wherever it can be made.
fn everywhere(kind: Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Emptied, Value::Array(_)) => json!([]),
        // What two fields mean, or in which unit they are, is not known of them.
        (Kind::Swapped | Kind::Unit | Kind::Renumbered, _) => value.clone(),
        (_, Value::Array(items)) => items.iter().map(|item| everywhere(kind, item)).collect(),
        (_, Value::Object(members)) => {
            members.iter().map(|(name, it)| (name.clone(), everywhere(kind, it))).collect()
        }
        (Kind::ZoneTold | Kind::ZoneSilent, Value::String(text)) if !is_moment(text) => {
            value.clone()
        }
        (Kind::Locale, Value::String(text)) if !is_moment(text) => value.clone(),
        (Kind::Nulled | Kind::Constant, Value::Bool(_)) => value.clone(),
        _ => kind.changed(value, ""),
    }
}

fn is_moment(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 19 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':'
}
