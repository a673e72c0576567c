//! Legacy sessions that outlive their peer's restart: what it takes to open one again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;
use quick_cache::sync::Cache;

use super::principal::principal;
use crate::domain::message::{Digest, Millis, PeerId, Principal, UnixMillis};
use crate::wire::protocol::mcp::SESSION;

/// Sessions by peer and session id. Who opened one is asked where it is opened again or ended: an id
/// alone does neither for another caller.
#[derive(Debug)]
pub(super) struct Sessions {
    known: Cache<Key, Arc<Session>>,
    /// Some session was opened again; before that no request needs a look-up.
    renewed: AtomicBool,
    ttl: Millis,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    peer: PeerId,
    session: HeaderValue,
}

/// One session as its client opened it.
#[derive(Debug)]
pub(super) struct Session {
    /// Who opened it.
    principal: Principal,
    /// The client's own `initialize`.
    pub(super) handshake: Bytes,
    /// Digest of the peer's `result`: a peer that answers otherwise is not the one it was.
    pub(super) result: Digest,
    /// When it was last used, in milliseconds.
    used: AtomicU64,
    successor: Mutex<Option<HeaderValue>>,
    /// Held while the session is opened again, so that it is opened once.
    pub(super) renewing: tokio::sync::Mutex<()>,
}

impl Session {
    /// Whether the caller with these headers opened it.
    pub(super) fn is_of(&self, headers: &HeaderMap) -> bool {
        self.principal == principal(headers)
    }

    /// The id that the peer gave to the session that stands in for this one.
    pub(super) fn successor(&self) -> Option<HeaderValue> {
        self.successor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sessions {
    pub(super) fn new(room: usize, ttl_ms: u64) -> Self {
        Self { known: Cache::new(room), renewed: AtomicBool::new(false), ttl: Millis(ttl_ms) }
    }

    /// A request of this session passes: it is used by that. `None` where it is not known.
    pub(super) fn used(
        &self,
        peer: &PeerId,
        headers: &HeaderMap,
        now: UnixMillis,
    ) -> Option<Arc<Session>> {
        let session = self.known.get(&key(peer, headers)?)?;
        let used = UnixMillis(session.used.load(Ordering::Relaxed));
        if now.since(used).0 > self.ttl.0 {
            return None;
        }
        session.used.store(now.0, Ordering::Relaxed);
        Some(session)
    }

    /// Sends a request of a session that was opened again to the one that stands in for it.
    pub(super) fn redirect(&self, peer: &PeerId, headers: &mut HeaderMap, now: UnixMillis) {
        if !self.renewed.load(Ordering::Acquire) {
            return;
        }
        let session = self.used(peer, headers, now).filter(|session| session.is_of(headers));
        if let Some(successor) = session.and_then(|session| session.successor()) {
            headers.insert(SESSION, successor);
        }
    }

    /// As [`Self::redirect`], for the request with which a client ends its session: that one is not
    /// opened again.
    pub(super) fn end(&self, peer: &PeerId, headers: &mut HeaderMap, now: UnixMillis) {
        let ended = key(peer, headers);
        let own = self.used(peer, headers, now).is_some_and(|session| session.is_of(headers));
        self.redirect(peer, headers, now);
        if let Some(ended) = ended.filter(|_| own) {
            self.known.remove(&ended);
        }
    }

    /// Remembers how a session was opened.
    pub(super) fn remember(
        &self,
        peer: &PeerId,
        headers: &HeaderMap,
        given: &HeaderValue,
        handshake: Bytes,
        result: Digest,
        now: UnixMillis,
    ) {
        // A copy: the header is a slice of all that its connection had read.
        let Ok(id) = HeaderValue::from_bytes(given.as_bytes()) else { return };
        let session = Session {
            principal: principal(headers),
            handshake,
            result,
            used: AtomicU64::new(now.0),
            successor: Mutex::new(None),
            renewing: tokio::sync::Mutex::new(()),
        };
        self.known.insert(Key { peer: peer.clone(), session: id }, Arc::new(session));
    }

    /// Names the session that stands in for this one from now on.
    pub(super) fn renew(&self, session: &Session, successor: HeaderValue) {
        *session.successor.lock().unwrap_or_else(PoisonError::into_inner) = Some(successor);
        self.renewed.store(true, Ordering::Release);
    }
}

fn key(peer: &PeerId, headers: &HeaderMap) -> Option<Key> {
    Some(Key { peer: peer.clone(), session: headers.get(SESSION)?.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_remembered_while_it_is_used_and_until_it_is_ended() {
        let (sessions, peer) = (Sessions::new(8, 1_000), PeerId::from("rooms"));
        let id = HeaderValue::from_static("one");
        let mut headers = HeaderMap::new();
        let open = |at| {
            let headers = HeaderMap::new();
            let result = Digest::of(b"{}");
            sessions.remember(&peer, &headers, &id, Bytes::new(), result, UnixMillis(at));
        };
        headers.insert(SESSION, id.clone());
        let known = |at| sessions.used(&peer, &headers, UnixMillis(at)).is_some();
        open(0);
        for (at, expected) in
            [(900, true), (1_800, true), (2_700, true), (3_701, false), (3_702, false)]
        {
            assert_eq!(known(at), expected, "{at}");
        }
        open(4_000);
        assert!(known(4_000));
        let mut other = headers.clone();
        other.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        sessions.end(&peer, &mut other, UnixMillis(4_000));
        assert!(known(4_000), "another caller ends nothing");
        sessions.end(&peer, &mut headers.clone(), UnixMillis(4_000));
        assert!(!known(4_000));
    }
}
