//! In which keys two configurations differ, and which of them can change while the sidecar runs.

pub(super) mod raw;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::raw::{Raw, ToolKeys};

/// The keys that can change while the sidecar runs; `*` stands for any name. Every other one needs a
/// restart: what is not listed here is never taken to be in force.
pub(super) const LIVE: &[&[&str]] = &[
    &["proxy", "hosts"],
    &["proxy", "origins"],
    &["proxy", "seal_wait_ms"],
    &["proxy", "heal_wait_ms"],
    &["proxy", "offload_bytes"],
    &["admin", "hosts"],
    &["admin", "origins"],
    &["log", "filter"],
    &["limits", "request_bytes"],
    &["limits", "reply_bytes"],
    &["limits", "held_bytes"],
    &["limits", "depth"],
    &["limits", "nodes"],
    &["limits", "exchanges"],
    &["limits", "connections"],
    &["limits", "connections_per_address"],
    &["limits", "memory_bytes"],
    &["limits", "streams"],
    &["limits", "head_bytes"],
    &["limits", "headers"],
    &["timeouts", "first_byte_ms"],
    &["timeouts", "head_ms"],
    &["timeouts", "receipt_ms"],
    &["timeouts", "idle_ms"],
    &["timeouts", "connect_ms"],
    &["timeouts", "handshake_ms"],
    &["timeouts", "keep_idle_ms"],
    &["timeouts", "drain_ms"],
    &["failing", "low"],
    &["failing", "medium"],
    &["failing", "high"],
    &["failing", "critical"],
    &["reload", "watch"],
    &["drift", "semantic", "on"],
    &["drift", "semantic", "every_calls"],
    &["drift", "semantic", "every_ms"],
    &["drift", "semantic", "samples"],
    &["drift", "semantic", "drop"],
    &["drift", "policy", "on"],
    &["drift", "policy", "limit_drop"],
    &["drift", "policy", "metadata_ms"],
    &["webhook"],
    &["webhook", "url"],
    &["webhook", "secret"],
    &["webhook", "secret", "file"],
    &["webhook", "timeout_ms"],
    &["webhook", "attempts"],
    &["webhook", "backoff_ms"],
    &["webhook", "queue"],
    &["webhook", "roots"],
    &["resilience", "deadline_ms"],
    &["resilience", "retries"],
    &["resilience", "retry_pause_ms"],
    &["resilience", "retry_longest_ms"],
    &["resilience", "retry_budget"],
    &["resilience", "retry_least_per_second"],
    &["resilience", "breaker", "failures"],
    &["resilience", "breaker", "open_ms"],
    &["resilience", "breaker", "longest_ms"],
    &["resilience", "breaker", "hold_ms"],
    &["resilience", "breaker", "queue"],
    &["resilience", "breaker", "queue_all"],
    &["resilience", "stale", "enabled"],
    &["resilience", "stale", "max_age_ms"],
    &["resilience", "stale", "bytes"],
    &["resilience", "stale", "per_principal_bytes"],
    &["resilience", "performance", "factor"],
    &["resilience", "performance", "least_ms"],
    &["resilience", "performance", "in_row"],
    &["resilience", "performance", "error_rate"],
    &["resilience", "performance", "window_ms"],
    &["resilience", "performance", "least_calls"],
    &["resilience", "performance", "sustained_ms"],
    &["patch", "shadow_exchanges"],
    &["peers", "*", "mode"],
    &["peers", "*", "seal"],
    &["peers", "*", "surface", "max_age_ms"],
    &["peers", "*", "tools", "*", "mode"],
    &["peers", "*", "tools", "*", "rate_limit", "per_second"],
    &["peers", "*", "tools", "*", "rate_limit", "burst"],
    &["peers", "*", "tools", "*", "sizes", "arguments_bytes"],
    &["peers", "*", "tools", "*", "sizes", "text_bytes"],
    &["peers", "*", "rate_limits", "peer", "per_second"],
    &["peers", "*", "rate_limits", "peer", "burst"],
    &["peers", "*", "rate_limits", "principal", "per_second"],
    &["peers", "*", "rate_limits", "principal", "burst"],
    &["peers", "*", "rate_limits", "principals"],
    &["peers", "*", "sizes", "arguments_bytes"],
    &["peers", "*", "sizes", "text_bytes"],
    &["peers", "*", "lifetime_ms"],
    &["peers", "*", "replay_min"],
    &["peers", "*", "replay", "live"],
    &["peers", "*", "recordings"],
    &["peers", "*", "inference", "samples"],
    &["peers", "*", "watch", "exchanges"],
    &["peers", "*", "failure_threshold"],
    &["peers", "*", "adopt"],
    &["peers", "*", "terms"],
    &["peers", "*", "approval_expiry_ms"],
    &["peers", "*", "deadline_ms"],
    &["peers", "*", "constraints", "timeout_ms"],
    &["peers", "*", "constraints", "max_payload_bytes"],
    &["peers", "*", "constraints", "slo", "p95_ms"],
    &["peers", "*", "constraints", "slo", "error_rate"],
];

/// A configuration as it was written, with the flags laid over it. Its values are never shown.
#[derive(Clone, Default)]
pub struct Written(Arc<Value>);

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written(…)")
    }
}

/// A key whose value is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// Whether it can change while the sidecar runs.
    pub live: bool,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path.join("."))
    }
}

impl Written {
    pub(super) fn of(raw: &Raw) -> Self {
        // All keys are text and all values are JSON's, so there is nothing that cannot be written.
        Self(Arc::new(serde_json::to_value(raw).unwrap_or_default()))
    }

    /// The keys in which `after` differs from this, in the order of their names.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<Changed> {
        let mut changed = Vec::new();
        compare(&self.0, &after.0, &mut Vec::new(), &mut changed);
        changed
    }
}

fn compare(before: &Value, after: &Value, path: &mut Vec<String>, changed: &mut Vec<Changed>) {
    if before == after {
        return;
    }
    // A peer that comes or goes is one change.
    let whole = path.len() == 2 && path[0] == "peers" && (before.is_null() || after.is_null());
    let (Value::Object(before), Value::Object(after), false) = (before, after, whole) else {
        changed.push(Changed { live: is_live(path), path: path.clone() });
        return;
    };
    // A tool that nothing is said of has the defaults.
    let is_tools = path.len() == 3 && path[0] == "peers" && path[2] == "tools";
    let absent = if is_tools { default_tool() } else { Value::Null };
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        path.push(key.clone());
        let (before, after) = (before.get(key), after.get(key));
        compare(before.unwrap_or(&absent), after.unwrap_or(&absent), path, changed);
        path.pop();
    }
}

fn default_tool() -> Value {
    serde_json::to_value(ToolKeys::default()).unwrap_or_default()
}

fn is_live(path: &[String]) -> bool {
    let matches = |live: &[&str]| {
        live.len() == path.len()
            && live.iter().zip(path).all(|(live, key)| *live == "*" || *live == key)
    };
    LIVE.iter().any(|live| matches(live))
}

#[cfg(test)]
mod tests {
    use super::super::load::parse;
    use super::super::schema;
    use super::*;

    fn written(text: &str) -> Written {
        Written::of(&parse("file", text).unwrap().0)
    }

    #[test]
    fn changed_keys_are_named_and_never_their_values() {
        let peer = |more: &str| format!("peers: {{ a: {{ url: 'http://h/mcp'{more} }} }}\n");
        let before = peer("");
        for (after, expected) in [
            (peer(""), vec![]),
            (peer(", mode: enforce"), vec![("peers.a.mode", true)]),
            (peer(", tools: { b.c: { mode: warn } }"), vec![("peers.a.tools.b.c.mode", true)]),
            (peer(", tools: { b: {} }"), vec![]),
            (
                format!("limits: {{ depth: 9 }}\nproxy: {{ threads: 2 }}\n{}", peer("")),
                vec![("limits.depth", true), ("proxy.threads", false)],
            ),
            (
                "peers: { b: { url: 'http://h/mcp', mode: warn } }".to_owned(),
                vec![("peers.a", false), ("peers.b", false)],
            ),
            ("peers: { a: { url: 'http://other/mcp' } }".into(), vec![("peers.a.url", false)]),
        ] {
            let (there, back) = (written(&before), written(&after));
            for changes in [there.changes_to(&back), back.changes_to(&there)] {
                let told: Vec<_> = changes.iter().map(|one| (one.to_string(), one.live)).collect();
                let expected: Vec<_> =
                    expected.iter().map(|(key, live)| ((*key).to_owned(), *live)).collect();
                assert_eq!(told, expected, "{after}");
            }
        }
        assert!(!format!("{:?}", written(&before)).contains("http"));
    }

    #[test]
    fn every_key_that_can_change_is_a_key() {
        let schema = schema();
        for live in LIVE {
            let mut here = &schema;
            for key in *live {
                let below = forms(&schema, here).into_iter().find_map(|form| match *key {
                    "*" => form.get("additionalProperties"),
                    key => form.get("properties").and_then(|keys| keys.get(key)),
                });
                here = below.unwrap_or_else(|| panic!("{live:?}: no {key}"));
            }
        }
    }

    /// What a value of this schema may be: itself, or one of several.
    fn forms<'s>(root: &'s Value, here: &'s Value) -> Vec<&'s Value> {
        let here = resolved(root, here);
        let any = here.get("anyOf").and_then(Value::as_array);
        any.map_or(vec![here], |any| any.iter().flat_map(|one| forms(root, one)).collect())
    }

    fn resolved<'s>(root: &'s Value, mut here: &'s Value) -> &'s Value {
        while let Some(target) = here.get("$ref").and_then(Value::as_str) {
            here = root.pointer(target.trim_start_matches('#')).unwrap();
        }
        here
    }
}
