//! Texts, effect hints and identity: what a surface says beside its schemas.

use super::{About, Collected, Compatibility};
use crate::domain::contract::{Hints, Surface, Tool};
use crate::domain::drift::words::{Effect, effect, words};
use crate::domain::drift::{DriftType, Face, Severity, introduced_text};

/// A peer that names itself otherwise is another peer.
pub(super) fn identity(old: &Surface, new: &Surface, all: &mut Collected) {
    if let (Some(before), Some(after)) = (&old.server_name, &new.server_name)
        && before != after
    {
        let about = About { tool: "", face: Face::Surface, pointer: "/serverInfo/name" };
        let message = format!("the peer was `{before}`, now `{after}`");
        all.tell(about, "identity_changed", DriftType::Policy, Severity::High, message);
        all.verdict = Compatibility::Breaking;
    }
}

pub(super) fn texts(old: &Tool, new: &Tool, all: &mut Collected) {
    let about = |pointer| About { tool: old.name(), face: Face::Surface, pointer };
    if old.description() != new.description() {
        // A tool's description names many things; what a field means stands at the field.
        let message = "reworded".to_owned();
        let (schema, low) = (DriftType::Schema, Severity::Low);
        all.tell(about("/description"), "description_changed", schema, low, message);
    }
    if old.definition().get("title") != new.definition().get("title") {
        let message = "another title".to_owned();
        let (schema, low) = (DriftType::Schema, Severity::Low);
        all.tell(about("/title"), "title_changed", schema, low, message);
    }
}

/// Text that addresses the model and names what is none of the tool's business, or hides characters: an
/// agent that is shown it may obey it.
pub(super) fn instructions(old: Option<&Tool>, new: &Tool, all: &mut Collected) {
    let about = About { tool: new.name(), face: Face::Surface, pointer: "" };
    for message in introduced_text(old, new) {
        let (policy, high) = (DriftType::Policy, Severity::High);
        all.tell(about, "instruction_text", policy, high, message);
        all.verdict = Compatibility::Breaking;
    }
}

pub(super) fn hints(old: &Tool, new: &Tool, all: &mut Collected) {
    let (before, after) = (old.hints(), new.hints());
    if before == after {
        return;
    }
    let reads = reads(new, after) && reads(old, before);
    let rows = [
        ("readOnlyHint", before.read_only, after.read_only, false, false),
        ("destructiveHint", before.destructive, after.destructive, true, reads),
        ("idempotentHint", before.idempotent, after.idempotent, false, reads),
        ("openWorldHint", before.open_world, after.open_world, true, reads),
    ];
    let verb = effect(&words(new.name()));
    for (name, was, is, unstated, moot) in rows {
        if was == is {
            continue;
        }
        let changed = match (was, is) {
            (Some(_), Some(_)) => true,
            (Some(was), None) => was != unstated,
            (None, Some(is)) => match name {
                "readOnlyHint" => contradicts(verb, is),
                "destructiveHint" => is && verb == Effect::Reads && after.read_only != Some(true),
                _ => false,
            },
            (None, None) => false,
        };
        let grave = changed && !moot;
        let told = |hint: Option<bool>| hint.map_or("unstated".to_owned(), |h| h.to_string());
        let message = format!("{name}: {} before, now {}", told(was), told(is));
        let kind = if grave { "hint_changed" } else { "hint_restated" };
        let severity = if grave { Severity::High } else { Severity::Low };
        let pointer = format!("/annotations/{name}");
        let about = About { tool: old.name(), face: Face::Surface, pointer: &pointer };
        all.tell(about, kind, DriftType::Policy, severity, message);
        if grave {
            all.verdict = Compatibility::Breaking;
        }
    }
}

/// Whether a newly stated `readOnlyHint` denies what the name says.
fn contradicts(verb: Effect, read_only: bool) -> bool {
    match verb {
        Effect::Reads => !read_only,
        Effect::Changes => read_only,
        Effect::Unsaid => false,
    }
}

fn reads(tool: &Tool, hints: Hints) -> bool {
    hints.read_only.unwrap_or_else(|| effect(&words(tool.name())) == Effect::Reads)
}
