//! Whether a tool only reads.

use crate::domain::contract::{Hints, Tool};
use crate::domain::drift::words::{Effect, effect, words};

/// Whether a tool is effectively read-only: it states `readOnlyHint: true`, or states no hint at all
/// and its name, with the discriminator value it is called by, has a reading verb and no changing
/// one. A discriminator with a changing verb is never read-only, whatever the hint says.
#[must_use]
pub fn effectively_read_only(tool: &Tool, discriminator: Option<&str>) -> bool {
    let chosen = discriminator.map(|value| effect(&words(value)));
    if chosen == Some(Effect::Changes) {
        return false;
    }
    let hints = tool.hints();
    match hints.read_only {
        Some(stated) => stated,
        None if hints == Hints::default() => match effect(&words(tool.name())) {
            Effect::Reads => true,
            Effect::Changes => false,
            Effect::Unsaid => chosen == Some(Effect::Reads),
        },
        None => false,
    }
}

/// What is known of a tool's effect, by hints or else by words.
fn known(tool: &Tool, discriminator: Option<&str>) -> Effect {
    if effectively_read_only(tool, discriminator) {
        return Effect::Reads;
    }
    if tool.hints() == Hints::default() && effect(&words(tool.name())) == Effect::Unsaid {
        return Effect::Unsaid;
    }
    Effect::Changes
}

/// Whether one of two tools only reads and the other does not. A name that says nothing, without a
/// hint, contradicts no reading.
pub(super) fn crosses(old: &Tool, new: &Tool, discriminator: Option<&str>) -> bool {
    match (known(old, None), known(new, discriminator)) {
        (Effect::Unsaid, _) => false,
        (before, after) => (before == Effect::Reads) != (after == Effect::Reads),
    }
}

/// In which way a tool's effect is no longer what it was, in words; `None` where it is the same.
pub(super) fn changed(old: &Tool, new: &Tool) -> Option<String> {
    let (before, after) = (old.hints(), new.hints());
    let writes = !effectively_read_only(new, None);
    let rows = [
        ("readOnlyHint", before.read_only, after.read_only, true),
        ("destructiveHint", before.destructive, after.destructive, true),
        ("idempotentHint", before.idempotent, after.idempotent, true),
        ("openWorldHint", before.open_world, after.open_world, writes),
    ];
    for (name, before, after, counts) in rows {
        if counts && before.zip(after).is_some_and(|(before, after)| before != after) {
            return Some(format!("{name} changed"));
        }
    }
    let said = effect(&words(old.name()));
    match (before.read_only, after.read_only) {
        (None, Some(true)) if said == Effect::Changes => {
            Some("readOnlyHint is newly true, and the name says otherwise".to_owned())
        }
        (None, Some(false)) if said == Effect::Reads => {
            Some("readOnlyHint is newly false, and the name says otherwise".to_owned())
        }
        (Some(true), None) => Some("readOnlyHint is no longer stated".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str, hints: serde_json::Value) -> Tool {
        Tool::from_definition(json!({"name":name,"annotations":hints})).unwrap()
    }

    #[test]
    fn hints_decide_and_verbs_where_there_is_none() {
        for (name, hints, discriminator, expected) in [
            ("get_issue", json!({}), None, true),
            ("delete_issue", json!({}), None, false),
            ("weather", json!({}), None, false),
            ("weather", json!({"readOnlyHint":true}), None, true),
            ("get_issue", json!({"readOnlyHint":false}), None, false),
            ("get_issue", json!({"destructiveHint":false}), None, false),
            ("issue_read", json!({}), Some("get_comments"), true),
            ("issue_read", json!({"readOnlyHint":true}), Some("delete"), false),
            ("issues", json!({}), Some("list"), true),
            ("issues", json!({}), Some("create"), false),
        ] {
            let found = effectively_read_only(&tool(name, hints.clone()), discriminator);
            assert_eq!(found, expected, "{name} {hints} {discriminator:?}");
        }
    }

    #[test]
    fn a_stated_hint_that_changes_is_a_change_of_effect() {
        for (name, before, after, expected) in [
            ("get_x", json!({"readOnlyHint":true}), json!({"readOnlyHint":false}), true),
            ("get_x", json!({}), json!({"readOnlyHint":true}), false),
            ("delete_x", json!({}), json!({"readOnlyHint":true}), true),
            ("get_x", json!({}), json!({"readOnlyHint":false}), true),
            ("get_x", json!({"readOnlyHint":true}), json!({}), true),
            ("put_x", json!({"destructiveHint":true}), json!({"destructiveHint":false}), true),
            ("put_x", json!({"openWorldHint":true}), json!({"openWorldHint":false}), true),
            (
                "get_x",
                json!({"readOnlyHint":true,"openWorldHint":true}),
                json!({"readOnlyHint":true,"openWorldHint":false}),
                false,
            ),
        ] {
            let found = changed(&tool(name, before.clone()), &tool(name, after.clone()));
            assert_eq!(found.is_some(), expected, "{name} {before} {after}");
        }
    }
}
