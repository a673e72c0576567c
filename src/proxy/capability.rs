//! Hears a peer say that there is no such method, of methods that it answers for where it declares a
//! capability. The answer passes as it came: it is listened in on, up to a bound, and never held.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Response};

use super::bind::{self, InForce};
use super::gateway::Lane;
use super::principal::caller;
use super::report;
use super::tape::with_tape;
use crate::domain::json::Item;
use crate::domain::message::{CapabilityMethod, Generation};
use crate::domain::policy::Caller;
use crate::live::{CapabilityFact, ObservationKind};
use crate::wire::protocol::mcp::Envelope;
use crate::wire::transport::body::{Body, Ear};
use crate::wire::transport::sse::Splitter;
use crate::wire::transport::upstream::is_event_stream;

/// An error that says so is shorter than this; of longer answers no more is looked at.
const MOST: usize = 2_048;
/// JSON-RPC: there is no such method.
const NO_METHOD: i64 = -32_601;
/// Errors of one who knows the method: its arguments are wrong, its resource is not there.
const KNOWS_METHOD: [i64; 2] = [-32_602, -32_002];

/// What an answer says of its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// There is no such method.
    Unsupported,
    /// It was answered.
    Answered,
    /// Neither can be told.
    Nothing,
}

/// Who tells control, and of what.
#[derive(Debug)]
pub(super) struct Witness {
    lane: Lane,
    generation: Generation,
    method: CapabilityMethod,
    caller: Arc<Caller>,
    /// The method is one of those that were not supported: control waits for an answer.
    awaited: bool,
}

impl Witness {
    /// A witness of the answer to this request; `None` where it belongs to no capability, or nothing is
    /// promised.
    pub(super) fn of(
        lane: &Lane,
        headers: &HeaderMap,
        envelope: &Envelope,
        seen: &InForce,
    ) -> Option<Self> {
        let binding = seen.binding.as_ref().filter(|_| seen.sealed())?;
        let method = envelope.capability?;
        Some(Self {
            lane: lane.clone(),
            generation: seen.generation,
            method,
            caller: caller(headers, envelope),
            awaited: binding.unsupported.contains(method),
        })
    }

    /// Tells of an answer that was read for another reason.
    pub(super) fn read(&self, message: Item<'_>) {
        self.tell(said(message));
    }

    fn tell(&self, said: Said) {
        let supported = match said {
            Said::Unsupported => false,
            Said::Answered if self.awaited => true,
            Said::Answered | Said::Nothing => return,
        };
        let (method, caller) = (self.method, Arc::clone(&self.caller));
        let fact = CapabilityFact { method, caller, supported };
        report::ordinary(&self.lane, self.generation, ObservationKind::Capability(fact));
    }
}

/// Listens in on the answer to a request, where its method belongs to a capability.
pub(super) fn heard(
    lane: &Lane,
    headers: &HeaderMap,
    envelope: &Envelope,
    response: Response<Body>,
) -> Response<Body> {
    let plain = !response.headers().contains_key(CONTENT_ENCODING);
    if envelope.capability.is_none() || !plain {
        return response;
    }
    let Some(witness) = Witness::of(lane, headers, envelope, &bind::now(lane)) else {
        return response;
    };
    let stream = is_event_stream(response.headers());
    let short = response.body().length().is_none_or(|length| length <= MOST as u64);
    if !(stream || is_json(response.headers())) || !(short || witness.awaited) {
        return response;
    }
    let id = envelope.id().unwrap_or_default().into();
    let listener = Listener { witness, id, stream, heard: Vec::new(), told: false };
    response.map(|body| body.heard_by(Box::new(listener)))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let end = kind.iter().position(|byte| *byte == b';').unwrap_or(kind.len());
    kind[..end].trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// Keeps the beginning of an answer until it is known what it says.
#[derive(Debug)]
struct Listener {
    witness: Witness,
    /// JSON text of the request's id.
    id: Box<str>,
    stream: bool,
    heard: Vec<u8>,
    told: bool,
}

impl Ear for Listener {
    fn hears(&mut self, data: &[u8], last: bool) {
        if self.told {
            return;
        }
        let taken = data.len().min(MOST - self.heard.len());
        self.heard.extend_from_slice(&data[..taken]);
        let longer = taken < data.len();
        if last || longer {
            self.told = true;
            let said = self.says(longer);
            self.heard = Vec::new();
            self.witness.tell(said);
        }
    }
}

impl Listener {
    fn says(&self, longer: bool) -> Said {
        let holds = |word: &[u8]| memchr::memmem::find(&self.heard, word).is_some();
        if longer {
            // Longer than any such error: an answer, where it says that it is one.
            return if holds(b"\"result\"") { Said::Answered } else { Said::Nothing };
        }
        if !self.witness.awaited && !holds(b"-32601") {
            return Said::Nothing;
        }
        let heard = Bytes::copy_from_slice(&self.heard);
        if !self.stream {
            return self.reply(&heard).unwrap_or(Said::Nothing);
        }
        let mut splitter = Splitter::new(MOST);
        splitter.push(heard);
        while let Ok(Some(event)) = splitter.next_event() {
            if let Some(said) = event.data.and_then(|data| self.reply(&data)) {
                return said;
            }
        }
        let rest = splitter.finish().and_then(|event| event.data);
        rest.and_then(|data| self.reply(&data)).unwrap_or(Said::Nothing)
    }

    /// What a message says, where it is the reply to the request.
    fn reply(&self, message: &Bytes) -> Option<Said> {
        let limits = self.witness.lane.settings().document;
        with_tape(|tape| {
            let root = tape.read(message, limits).ok()?.root();
            root.get("id").filter(|id| id.raw() == &*self.id).map(|_| said(root))
        })
    }
}

fn said(message: Item<'_>) -> Said {
    match message.get("error") {
        Some(error) => match error.get("code").and_then(Item::as_i64) {
            Some(NO_METHOD) => Said::Unsupported,
            Some(code) if KNOWS_METHOD.contains(&code) => Said::Answered,
            _ => Said::Nothing,
        },
        None if message.get("result").is_some() => Said::Answered,
        None => Said::Nothing,
    }
}
