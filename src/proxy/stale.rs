//! The last known good reply, where a peer cannot be reached: only for tools that only read, only to the
//! one who was given it, not older than it may be, and marked as what it is.
//!
//! It is found by who asks, what, and with which arguments. Whatever header the sidecar does not know
//! to be harmless may tell callers apart, so it does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{self, HeaderName};

use super::ask::Raw;
use super::call::Call;
use super::principal::principal;
use super::report::{self, Ended};
use super::tape::with_tape;
use crate::domain::health::Fault;
use crate::domain::json::{Edit, Item, Kind, splice};
use crate::domain::message::{Code, Digest, Executed, Millis, Principal, Verdict};
use crate::wire::protocol::mcp::{Incoming, Refusal, Refused, Reply, incoming, rewritten};

/// Last known good replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleRules {
    /// Whether they are kept.
    pub enabled: bool,
    /// How old one may be.
    pub max_age: Millis,
    /// Bytes of all of them together.
    pub bytes: usize,
    /// Bytes of one principal's.
    pub per_principal: usize,
}

impl Default for StaleRules {
    fn default() -> Self {
        Self { enabled: true, max_age: Millis(60_000), bytes: 8 << 20, per_principal: 1 << 20 }
    }
}

/// What an entry takes beside its text.
const ENTRY_BYTES: usize = 256;

/// Headers by which no caller is told from another. `Authorization` is told by the principal.
const HARMLESS: [HeaderName; 15] = [
    header::AUTHORIZATION,
    header::HOST,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::USER_AGENT,
    header::DATE,
    header::CACHE_CONTROL,
    header::PRAGMA,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Keeps a reply that was kept or mended. A few of a tool's replies a second are enough.
pub(super) fn keep(call: &Call, text: &Bytes) {
    let rules = &call.lane.settings().resilience.stale;
    let now = call.lane.micros();
    let small = text.len().saturating_mul(4) <= rules.per_principal;
    if rules.enabled && small && may(call) && call.bond.tool.health.keeper.takes(now) {
        let principal = principal(&call.headers);
        // A copy: what came may be a part of a far larger buffer.
        let text = Bytes::copy_from_slice(text);
        call.lane.gateway().shelf.put(key(call, &principal), principal, text, now, rules);
    }
}

/// The last known good reply in the place of one that did not come; `None` where there is none.
pub(super) fn instead(
    call: &Call,
    executed: Executed,
    fault: Option<Fault>,
) -> Result<Option<Raw>, Box<Refused>> {
    let rules = &call.lane.settings().resilience.stale;
    if !rules.enabled || !may(call) {
        return Ok(None);
    }
    let key = key(call, &principal(&call.headers));
    let found = call.lane.gateway().shelf.get(key, call.lane.micros(), rules.max_age);
    let Some((text, age)) = found else { return Ok(None) };
    let Some(text) = marked(call, &text, age, executed) else { return Ok(None) };
    let told = Ended { fault, stale: Some(age.0), ..Ended::new(Verdict::Waived, executed) };
    if !report::call(call, told) {
        let why = "there is no room to record that this reply is an older one".to_owned();
        return Err(Box::new(call.refused(Refusal::Overloaded(why), executed)));
    }
    call.lane.gate().metrics.stale_reply();
    Ok(Some(Raw::Stale(text)))
}

/// Whether a reply to this call can stand for a later one.
fn may(call: &Call) -> bool {
    call.enforced() && call.bond.tool.read_only && call.envelope.request_state.is_none()
}

/// The reply with this request's id, and a verdict that says how old it is.
fn marked(call: &Call, text: &Bytes, age: Millis, executed: Executed) -> Option<Bytes> {
    let limits = call.lane.settings().document;
    let mut note = call.bond.note(Verdict::Waived, Some(Code::Unreachable), executed);
    note.stale = Some(age);
    note.drift = note.drift.or_else(|| call.bond.binding.health.drift().map(|it| it.to_string()));
    let told = with_tape(|tape| {
        let document = tape.read(text, limits).ok()?;
        let id = document.root().get("id").map(Item::raw)?;
        match incoming(document.root(), id).ok()? {
            Incoming::Reply(Reply::Result(found)) => {
                Some(rewritten(document.text(), found, None, Some(&note)))
            }
            _ => None,
        }
    })?;
    with_tape(|tape| {
        let span = tape.read(&told, limits).ok()?.root().get("id")?.span();
        let mut out = Vec::with_capacity(told.len() + 16);
        splice(&told, &[Edit { span, with: call.id().as_bytes() }], &mut out);
        Some(out.into())
    })
}

/// Who asks, what, under which contract, with which arguments.
fn key(call: &Call, principal: &Principal) -> Digest {
    let contract = call.bond.binding.contract.as_ref();
    let contract = contract.map(|contract| contract.hash.to_string()).unwrap_or_default();
    let path = call.parts.uri.path_and_query().map_or("", |path| path.as_str());
    let tool = call.bond.tool.name.as_str();
    let mut text = Vec::with_capacity(512);
    for part in [call.lane.id().as_str(), principal.as_str(), path, &contract, tool] {
        text.extend_from_slice(part.as_bytes());
        text.push(0);
    }
    let mut shown: Vec<(&str, &[u8])> = call
        .headers
        .iter()
        .filter(|(name, _)| !HARMLESS.contains(name))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    shown.sort_unstable();
    for (name, value) in shown {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(value);
        text.push(0);
    }
    let arguments = call.envelope.arguments().unwrap_or_default();
    with_tape(|tape| match tape.read(&arguments, call.lane.settings().document) {
        Ok(document) => spell(document.root(), &mut text),
        Err(_) => text.extend_from_slice(&arguments),
    });
    Digest::of(&text)
}

/// Writes a value without white space and with its members in order, every string and number as it
/// came: two texts that are spelled alike are one value, whatever a number's size.
fn spell(item: Item<'_>, out: &mut Vec<u8>) {
    match item.kind() {
        Kind::Object => {
            let mut members: Vec<(&str, Item<'_>)> =
                item.members().map(|(key, value)| (key.raw(), value)).collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (key, value) in members {
                out.extend_from_slice(key.as_bytes());
                out.push(b':');
                spell(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for value in item.items() {
                spell(value, out);
                out.push(b',');
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(item.raw().as_bytes()),
    }
}

/// The replies that are kept; the one that was used longest ago gives way.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Digest, Entry>,
    /// By last use.
    order: BTreeMap<u64, Digest>,
    by_principal: BTreeMap<(Principal, u64), Digest>,
    held_by: HashMap<Principal, usize>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    text: Bytes,
    at: u64,
    used: u64,
    principal: Principal,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.text.len() + ENTRY_BYTES
    }
}

impl Shelf {
    fn put(&self, key: Digest, principal: Principal, text: Bytes, now: u64, rules: &StaleRules) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(key);
        let entry = Entry { text, at: now, used: 0, principal };
        let bytes = entry.bytes();
        if bytes > rules.per_principal.min(rules.bytes) {
            return;
        }
        let whose = entry.principal.clone();
        kept.insert(key, entry);
        while kept.held_by.get(&whose).is_some_and(|held| *held > rules.per_principal) {
            let from = (whose.clone(), 0)..;
            let Some(oldest) = kept.by_principal.range(from).next().map(|(_, key)| *key) else {
                break;
            };
            kept.remove(oldest);
        }
        while kept.bytes > rules.bytes {
            let Some(oldest) = kept.order.first_key_value().map(|(_, key)| *key) else { break };
            kept.remove(oldest);
        }
    }

    fn get(&self, key: Digest, now: u64, max_age: Millis) -> Option<(Bytes, Millis)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.remove(key)?;
        let age = Millis(now.saturating_sub(entry.at) / 1_000);
        if age > max_age {
            return None;
        }
        let text = entry.text.clone();
        kept.insert(key, entry);
        Some((text, age))
    }
}

impl Kept {
    fn insert(&mut self, key: Digest, mut entry: Entry) {
        self.uses += 1;
        entry.used = self.uses;
        self.bytes += entry.bytes();
        *self.held_by.entry(entry.principal.clone()).or_default() += entry.bytes();
        self.order.insert(entry.used, key);
        self.by_principal.insert((entry.principal.clone(), entry.used), key);
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: Digest) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.bytes -= entry.bytes();
        self.order.remove(&entry.used);
        self.by_principal.remove(&(entry.principal.clone(), entry.used));
        if let Some(held) = self.held_by.get_mut(&entry.principal) {
            *held -= entry.bytes();
            if *held == 0 {
                self.held_by.remove(&entry.principal);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::json::{Limits, Tape};

    const RULES: StaleRules =
        StaleRules { enabled: true, max_age: Millis(60_000), bytes: 4_000, per_principal: 1_500 };

    fn spelled(text: &str) -> String {
        let (mut tape, mut out) = (Tape::default(), Vec::new());
        spell(tape.read(text.as_bytes(), Limits::default()).unwrap().root(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arguments_are_one_where_only_spaces_and_the_order_of_members_differ() {
        let one = spelled(r#"{"b":[1,2],"a":{"y":"x","x":9007199254740993}}"#);
        assert_eq!(
            one,
            spelled("{ \"a\" : {\"x\":9007199254740993, \"y\":\"x\"},\n\"b\":[1, 2] }")
        );
        for other in [
            r#"{"b":[2,1],"a":{"y":"x","x":9007199254740993}}"#,
            // One more than a double can tell.
            r#"{"b":[1,2],"a":{"y":"x","x":9007199254740992}}"#,
            r#"{"b":[1,2],"a":{"y":"x","x":"9007199254740993"}}"#,
            r#"{"b":[12],"a":{"y":"x","x":9007199254740993}}"#,
        ] {
            assert_ne!(one, spelled(other));
        }
    }

    #[test]
    fn a_reply_is_kept_for_its_time_and_the_one_unused_longest_gives_way() {
        let (shelf, who) = (Shelf::default(), Principal::anonymous());
        let key = |at: u8| Digest::of(&[at]);
        let text = |size: usize| Bytes::from(vec![b'x'; size]);
        for at in 0..3 {
            shelf.put(key(at), who.clone(), text(200), 1_000_000, &RULES);
        }
        let age = |at, now| shelf.get(key(at), now, RULES.max_age).map(|(_, age)| age.0);
        assert_eq!(age(0, 61_000_000), Some(60_000));
        // A fourth does not fit beside the three.
        shelf.put(key(3), who.clone(), text(200), 2_000_000, &RULES);
        assert_eq!((age(0, 3_000_000), age(1, 3_000_000)), (Some(2_000), None));
        assert_eq!(age(0, 61_001_000), None);
        // Older than it may be: gone for good.
        assert_eq!(age(0, 3_000_000), None);
        shelf.put(key(9), who, text(2_000), 0, &RULES);
        assert_eq!(age(9, 0), None);
    }

    proptest! {
        /// Whoever keeps whatever, nobody holds more than his share and all no more than all.
        #[test]
        fn the_quotas_hold(
            puts in prop::collection::vec((0u8..40, 0u8..6, 0usize..1_600, any::<bool>()), 1..300)
        ) {
            let shelf = Shelf::default();
            for (key, who, size, reads) in puts {
                let (key, who) = (Digest::of(&[key, who]), Principal::new(who.to_string()));
                if reads {
                    shelf.get(key, 0, RULES.max_age);
                } else {
                    shelf.put(key, who, Bytes::from(vec![0; size]), 0, &RULES);
                }
                let kept = shelf.0.lock().unwrap();
                let bytes: usize = kept.entries.values().map(Entry::bytes).sum();
                prop_assert_eq!(bytes, kept.bytes);
                prop_assert!(kept.bytes <= RULES.bytes);
                prop_assert!(kept.held_by.values().all(|held| *held <= RULES.per_principal));
                prop_assert_eq!(kept.held_by.values().sum::<usize>(), kept.bytes);
                prop_assert_eq!(kept.order.len(), kept.entries.len());
                prop_assert_eq!(kept.by_principal.len(), kept.entries.len());
            }
        }
    }
}
