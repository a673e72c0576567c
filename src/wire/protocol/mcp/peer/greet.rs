//! Finds out which era a peer speaks, and what it says of itself.

use std::time::Duration;

use http::{HeaderValue, Method};
use serde_json::Value;

use super::line::{Answer, Line, send};
use super::words::{Ask, Voice};
use super::{PeerClient, PeerError, revision, within};
use crate::domain::message::Era;
use crate::domain::policy::Caller;
use crate::wire::protocol::mcp::headers::{SESSION, VERSION};
use crate::wire::transport::body::Body;

/// A peer that does not answer a greeting within this does not speak that era.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ending a session is a courtesy and must not hold up anybody.
const FAREWELL: Duration = Duration::from_secs(2);

/// As whom we speak to a peer, and what it said when it was greeted.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) voice: Voice,
    pub(super) about: About,
    /// The session is ours to end.
    ours: bool,
}

/// What a peer says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) server_name: Option<String>,
    pub(super) capabilities: Value,
    pub(super) ttl_ms: Option<u64>,
}

impl Visit {
    pub(super) fn without_greeting(voice: Voice) -> Self {
        Self { voice, about: About::default(), ours: false }
    }
}

impl PeerClient {
    /// With the caller's voice; a modern peer says again what it is, as that caller sees it.
    pub(super) async fn visit_of(&self, caller: &Caller) -> Result<Visit, PeerError> {
        let mut visit = Visit::without_greeting(Voice::of(caller));
        if caller.era == Era::Modern {
            match self.discover(&visit.voice).await {
                Ok(about) => visit.about = about,
                Err(error) if speaks_otherwise(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(visit)
    }

    /// With our own voice: in the era it spoke last, else the modern one, else the other.
    pub(super) async fn greet(&self) -> Result<Visit, PeerError> {
        let known = self.known();
        if let (Line::Stdio(_), Some(visit)) = (&self.line, &known) {
            return Ok(visit.clone());
        }
        let eras = match known.map(|visit| visit.voice.era) {
            Some(Era::Legacy) => [Era::Legacy, Era::Modern],
            _ => [Era::Modern, Era::Legacy],
        };
        let visit = match within(PATIENCE, self.greet_in(eras[0])).await {
            Err(error) if speaks_otherwise(&error) => {
                within(PATIENCE, self.greet_in(eras[1])).await?
            }
            greeted => greeted?,
        };
        self.remember(&visit);
        Ok(visit)
    }

    async fn greet_in(&self, era: Era) -> Result<Visit, PeerError> {
        match era {
            Era::Modern => {
                let voice = Voice::modern();
                let about = self.discover(&voice).await?;
                Ok(Visit { voice, about, ours: false })
            }
            Era::Legacy => self.initialize().await,
        }
    }

    async fn discover(&self, voice: &Voice) -> Result<About, PeerError> {
        let ask = Ask::request(voice, self.id(), "server/discover", &[]);
        let result = self.line.ask(ask).await?.value()?;
        let ours = revision(Era::Modern);
        let versions = result["supportedVersions"].as_array();
        if !versions.is_some_and(|versions| versions.iter().any(|version| version == ours)) {
            return Err(PeerError::Malformed(format!("{ours} is not among supportedVersions")));
        }
        Ok(about(&result, &result["_meta"]["io.modelcontextprotocol/serverInfo"]))
    }

    async fn initialize(&self) -> Result<Visit, PeerError> {
        let mut voice = Voice::legacy();
        let answer = self.line.ask(Ask::initialize(&voice, self.id())).await?;
        let result = answer.value()?;
        let version = result["protocolVersion"].as_str().unwrap_or_default();
        let version = HeaderValue::from_str(version).ok().filter(|version| !version.is_empty());
        let version = version.ok_or_else(|| {
            PeerError::Malformed(
                "expected `protocolVersion` in the result of initialize".to_owned(),
            )
        })?;
        voice.headers.insert(VERSION, version);
        let ours = take_session(&answer, &mut voice);
        let visit = Visit { about: about(&result, &result["serverInfo"]), voice, ours };
        let told = self.line.tell(Ask::notification(&visit.voice, "notifications/initialized"));
        if let Err(error) = told.await {
            self.leave(visit).await;
            return Err(error);
        }
        Ok(visit)
    }

    /// Ends the session, where it is ours.
    pub(super) async fn leave(&self, visit: Visit) {
        if let (Line::Http(upstream), true) = (&self.line, visit.ours) {
            let farewell = send(upstream, Method::DELETE, visit.voice.headers, Body::empty());
            // A peer may refuse (405) or be gone: either way the session is no longer ours.
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
    }
}

fn take_session(answer: &Answer, voice: &mut Voice) -> bool {
    let session = answer.headers.get(&SESSION).cloned();
    session.is_some_and(|session| voice.headers.insert(SESSION, session).is_none())
}

fn about(result: &Value, server: &Value) -> About {
    About {
        server_name: server["name"].as_str().map(str::to_owned),
        capabilities: result["capabilities"].clone(),
        ttl_ms: result["ttlMs"].as_u64(),
    }
}

/// Whether a peer that answered a greeting like this may still speak the other era.
fn speaks_otherwise(error: &PeerError) -> bool {
    match error {
        PeerError::Refused { status: 401 | 403, .. } => false,
        PeerError::Refused { code: Some(_), .. } => true,
        PeerError::Refused { status, .. } => (400..500).contains(status) || *status == 501,
        PeerError::Malformed(_) | PeerError::Deadline { .. } => true,
        _ => false,
    }
}
