//! `tools/list`: as it comes, or the promise in one page where the peer offers something else.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::admit::Exchange;
use super::bind::InForce;
use super::capability::{Witness, heard};
use super::events::through;
use super::forward;
use super::gateway::Lane;
use super::principal::caller;
use super::relay::unreachable;
use super::release;
use super::report;
use super::tape::with_tape;
use crate::domain::json::{Edit, Item, Kind, splice};
use crate::domain::message::{Digest, Era, Generation};
use crate::domain::policy::Caller;
use crate::live::{ListingFact, ObservationKind};
use crate::wire::protocol::mcp::Envelope;
use crate::wire::transport::body::Body;
use crate::wire::transport::upstream::is_event_stream;

/// A list that may change with the next heal is not cached for longer than this.
const LONGEST_TTL_MS: i64 = 60_000;

/// The view that one agent gets of one listing.
struct View {
    lane: Lane,
    generation: Generation,
    caller: Arc<Caller>,
    promised: Option<Bytes>,
    witness: Option<Witness>,
}

/// Answers a listing. The peer is asked in any case: it alone knows the session and the caller, and
/// its answer shows drift.
pub(super) async fn list(
    exchange: Exchange,
    envelope: &Envelope,
    seen: &InForce,
) -> Response<Body> {
    let caller = caller(&exchange.parts.headers, envelope);
    let Exchange { lane, parts, text, .. } = exchange;
    let response = match forward::ask(&lane, &parts, &parts.headers, text, true).await {
        Ok(response) => response,
        Err(error) => return unreachable(Some(envelope), &error),
    };
    if !response.status().is_success() {
        return heard(&lane, &parts.headers, envelope, response);
    }
    let witness = Witness::of(&lane, &parts.headers, envelope, seen);
    let promised = seen.binding.as_ref().and_then(|binding| binding.promised_list.clone());
    let limit = lane.settings().reply_bytes;
    let view = View { lane, generation: seen.generation, caller, promised, witness };
    if is_event_stream(response.headers()) {
        return through(response, limit, move |text| view.of(text));
    }
    match forward::whole(&view.lane, response).await {
        Ok((head, collected)) => match view.of(&collected.bytes) {
            Some(changed) => release::altered(head, changed, collected.permit),
            None => release::kept(head, collected.bytes, collected.permit),
        },
        Err(_) => release::broken_off(envelope),
    }
}

impl View {
    /// Tells control what the peer lists, and what the agent sees instead, if anything.
    fn of(&self, text: &Bytes) -> Option<Bytes> {
        let (listed, changed) = with_tape(|tape| {
            let root = tape.read(text, self.lane.settings().document).ok()?.root();
            if let Some(witness) = &self.witness {
                witness.read(root);
            }
            let result = root.get("result")?;
            result.get("tools")?;
            let changed = self.promised.as_ref().map(|promised| {
                let page = page(result, promised, self.caller.era);
                let mut out = Vec::with_capacity(text.len() + page.len());
                splice(text, &[Edit { span: result.span(), with: &page }], &mut out);
                Bytes::from(out)
            });
            Some((text.slice(result.span()), changed))
        })?;
        let fact = ListingFact {
            caller: Arc::clone(&self.caller),
            digest: Digest::of(&listed),
            body: listed,
        };
        report::ordinary(&self.lane, self.generation, ObservationKind::Listing(fact));
        changed
    }
}

/// The peer's result with the promised tools in it, all in one page. Everything else that it says
/// stays, but for how long and for whom it may be cached.
fn page(result: Item<'_>, promised: &[u8], era: Era) -> Vec<u8> {
    let mut out = b"{".to_vec();
    for (key, value) in result.members() {
        let name = key.as_str().unwrap_or_default();
        if name == "nextCursor" {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(key.raw().as_bytes());
        out.push(b':');
        match &*name {
            "tools" => out.extend_from_slice(promised),
            "cacheScope" if era == Era::Modern => out.extend_from_slice(b"\"private\""),
            "ttlMs" if era == Era::Modern && value.kind() == Kind::Number => {
                let ttl = value.as_i64().unwrap_or(0).clamp(0, LONGEST_TTL_MS);
                out.extend_from_slice(ttl.to_string().as_bytes());
            }
            _ => out.extend_from_slice(value.raw().as_bytes()),
        }
    }
    out.push(b'}');
    out
}
