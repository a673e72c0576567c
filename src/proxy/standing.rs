//! What the head of an answer tells of the caller's access: small facts for the control plane. A
//! refusal passes to the agent as it came, and nothing is blocked here.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Response, StatusCode};

use super::call::Call;
use crate::domain::policy::{Advertised, Denied, Standing};
use crate::wire::transport::body::Body;
use crate::wire::transport::terms::{advertised, challenge};

/// Callers and tools that are remembered at once; more displace one another.
const SLOTS: usize = 1_024;
/// How long after a refusal those who are let through are named, in microseconds.
const WATCHED: u64 = 600_000_000;
/// The end of a credential tells one from another: signatures and random tokens end in what is theirs.
const TAIL: usize = 64;

/// What one peer's answers said of access so far. Forgetting costs an event that is not raised, never
/// one that is raised wrongly.
#[derive(Debug)]
pub(super) struct Access {
    hasher: RandomState,
    /// Who was let through to which tool, by hash.
    allowed: Box<[AtomicU64]>,
    /// The limit that each caller was told last of each tool, by hash.
    advertised: Box<[AtomicU64]>,
    /// Until when those who are let through are named, on the monotonic clock.
    watched_until: AtomicU64,
}

impl Default for Access {
    fn default() -> Self {
        let slots = || (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self {
            hasher: RandomState::new(),
            allowed: slots(),
            advertised: slots(),
            watched_until: AtomicU64::new(0),
        }
    }
}

impl Access {
    /// Who this caller is to us, with this tool.
    fn mark(&self, headers: &HeaderMap, tool: &str) -> u64 {
        let shown = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let tail = &shown[shown.len().saturating_sub(TAIL)..];
        // Never 0, which is an empty slot.
        self.hasher.hash_one((tail, shown.len(), tool)) | 1
    }

    /// The advertised limit, where it is another than the last that this caller was told of this tool.
    fn news(&self, mark: u64, headers: &HeaderMap) -> Option<Advertised> {
        let now = advertised(headers)?;
        let told = self.hasher.hash_one((mark, now.quota, now.window_s));
        let last = slot(&self.advertised, mark);
        (last.load(Ordering::Relaxed) != told && last.swap(told, Ordering::Relaxed) != told)
            .then_some(now)
    }
}

fn slot(slots: &[AtomicU64], mark: u64) -> &AtomicU64 {
    &slots[(mark >> 1) as usize % SLOTS]
}

/// What this answer's head tells.
pub(super) fn of(call: &Call, response: &Response<Body>, now: u64) -> Standing {
    let access = &call.lane.gate().access;
    let status = response.status();
    let mark = access.mark(&call.headers, call.bond.tool.name.as_str());
    let advertised = access.news(mark, response.headers());
    let slot = slot(&access.allowed, mark);
    if status.is_success() {
        if slot.load(Ordering::Relaxed) != mark {
            slot.store(mark, Ordering::Relaxed);
        }
        let let_through = now < access.watched_until.load(Ordering::Relaxed);
        return Standing { denied: None, advertised, let_through };
    }
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Standing { denied: None, advertised, let_through: false };
    }
    access.watched_until.store(now + WATCHED, Ordering::Relaxed);
    let denied = Denied {
        status: status.as_u16(),
        was_allowed: slot.load(Ordering::Relaxed) == mark,
        challenge: challenge(response.headers()),
    };
    Standing { denied: Some(Box::new(denied)), advertised, let_through: false }
}
