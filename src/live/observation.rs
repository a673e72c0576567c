//! The one door from proxy to control: what was seen, into a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::domain::contract::Violation;
use crate::domain::health::Fault;
use crate::domain::message::{
    CapabilityMethod, Digest, Executed, Generation, PeerId, ToolName, UnixMillis, Verdict,
};
use crate::domain::policy::{Caller, Standing};

/// One thing the data plane saw.
#[derive(Debug)]
pub struct Observation {
    /// The peer.
    pub peer: PeerId,
    /// When.
    pub at: UnixMillis,
    /// The same moment on the monotonic clock, in microseconds, to measure from.
    pub micros: u64,
    /// The snapshot the exchange ran under.
    pub generation: Generation,
    /// What.
    pub kind: ObservationKind,
}

/// What was seen.
#[derive(Debug)]
pub enum ObservationKind {
    /// An agent listed or called before anything was sealed.
    FirstUse(Arc<Caller>),
    /// A call ended.
    Call(CallFact),
    /// An agent's own `tools/list` was answered by the peer.
    Listing(ListingFact),
    /// The peer said its tools changed.
    ListChanged,
    /// A breaker opened or closed.
    Breaker(BreakerFact),
    /// A method of a capability is not supported, or is again.
    Capability(CapabilityFact),
}

/// What a peer answered to a method that it answers for only where it declares a capability.
#[derive(Debug)]
pub struct CapabilityFact {
    /// The method.
    pub method: CapabilityMethod,
    /// Who asked.
    pub caller: Arc<Caller>,
    /// False where it answered that there is no such method; true where it answered otherwise, told of
    /// those in [`Binding::unsupported`](super::Binding::unsupported) only.
    pub supported: bool,
}

/// A breaker that opened or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerFact {
    /// The promised tool; `None` for the peer's own, which counts what does not reach it.
    pub tool: Option<ToolName>,
    /// The fault that opened it; `None` where it closed.
    pub opened_by: Option<Fault>,
}

/// One `tools/call` that ended.
#[derive(Debug)]
pub struct CallFact {
    /// The promised tool.
    pub tool: ToolName,
    /// Who called, where control may act as the caller: on a signal, and on a sample, which is
    /// replayed for its own principal only.
    pub caller: Option<Arc<Caller>>,
    /// What became of it.
    pub verdict: Verdict,
    /// Whether the reply was an error: an `isError` result, or one of JSON-RPC that is no rejection.
    pub is_error: bool,
    /// Whether the peer ran it.
    pub executed: Executed,
    /// Microseconds that the last upstream attempt took; 0 where there was none.
    pub upstream_micros: u64,
    /// Digest of the reply's bytes.
    pub reply_digest: Option<Digest>,
    /// What broke; empty for kept replies.
    pub violations: Vec<Violation>,
    /// All that broke is what the patch in force names as gone: no miss of the routine, no news.
    pub foretold: bool,
    /// The peer rejected our arguments, or does not know the tool.
    pub rejection: Option<Rejection>,
    /// The exchange is held and waits for the outcome: its ticket, taken from
    /// [`Observations::ticket`] after the peer's answer was read. It is released when
    /// `Binding::reviewed_to` of its peer has reached the ticket. This fact is the signal, not the
    /// end: a second one, not held, tells what became of the call.
    pub held: Option<u64>,
    /// This is the first conforming reply of the tool.
    pub first_kept: bool,
    /// Request and reply, on tools that are sampled; and of a reply that broke its promise.
    pub sample: Option<Sample>,
    /// How the peer failed, where it did.
    pub fault: Option<Fault>,
    /// Attempts before the last one; each of them failed.
    pub retried: u32,
    /// The age in milliseconds of the last known good reply that was delivered instead.
    pub stale: Option<u64>,
    /// What the head of the answer told of the caller's access.
    pub standing: Standing,
    /// The generation whose routine the exchange went through, where it did.
    pub mended_by: Option<Generation>,
}

/// Why the peer did not take a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// JSON-RPC code, where it was an error.
    pub code: Option<i64>,
    /// It came as an `isError` result.
    pub is_error: bool,
}

/// A recorded exchange: promised arguments and the promised reply's document.
#[derive(Clone, Debug)]
pub struct Sample {
    /// JSON text of the arguments as the agent sent them.
    pub arguments: Bytes,
    /// The reply's document as it was delivered, JSON text: `structuredContent`; without it the JSON
    /// in the only text, or that text as a string. Of a reply that broke its promise, as it came.
    pub structured: Option<Bytes>,
    /// That document did not stand in `structuredContent`: it is learnt from, and not replayed.
    pub in_text: bool,
}

/// An answered `tools/list`.
#[derive(Debug)]
pub struct ListingFact {
    /// Who listed.
    pub caller: Arc<Caller>,
    /// Digest of the result's bytes, to skip what is known.
    pub digest: Digest,
    /// The body, for the reader to parse off the path.
    pub body: Bytes,
}

/// Sends observations: two bounded lanes, so that a flood of ordinary facts cannot displace a
/// waiver, a refusal or a held call. A full lane drops and counts; it never waits.
#[derive(Clone, Debug)]
pub struct Observations {
    ordinary: mpsc::Sender<Observation>,
    reserved: mpsc::Sender<Observation>,
    dropped: Arc<AtomicU64>,
    tickets: Arc<AtomicU64>,
}

impl Observations {
    /// Both lanes, with room for `ordinary` and `reserved` observations.
    #[must_use]
    pub fn bounded(
        ordinary: usize,
        reserved: usize,
    ) -> (Self, mpsc::Receiver<Observation>, mpsc::Receiver<Observation>) {
        let (ordinary, ordinary_out) = mpsc::channel(ordinary);
        let (reserved, reserved_out) = mpsc::channel(reserved);
        (
            Self { ordinary, reserved, dropped: Arc::default(), tickets: Arc::default() },
            ordinary_out,
            reserved_out,
        )
    }

    /// Tells an ordinary fact; false where it was dropped.
    pub fn tell(&self, observation: Observation) -> bool {
        self.sent(self.ordinary.try_send(observation).is_ok())
    }

    /// Tells what a record must name; false where even the reserved lane is full.
    #[must_use]
    pub fn tell_reserved(&self, observation: Observation) -> bool {
        self.sent(self.reserved.try_send(observation).is_ok())
    }

    /// A ticket for an exchange that is about to be held; grows by one. Control reviews a peer only
    /// after it has taken every observation that waits, so a review that covers a ticket read the
    /// surface after that ticket's signal.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The counter behind [`Observations::dropped`], for the room that scores what it was told.
    #[must_use]
    pub fn dropped_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    fn sent(&self, sent: bool) -> bool {
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}
