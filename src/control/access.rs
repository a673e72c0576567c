//! Who gives access to the peer, and to what: the OAuth metadata of the configured origin, compared with
//! what they were. A peer that nobody calls with a credential is not asked.

use http::header::AUTHORIZATION;
use serde_json::json;
use uuid::Uuid;

use super::actor::Peer;
use crate::domain::drift::{DriftEvent, EventState};
use crate::domain::policy::{Caller, Grants};

/// The sensor that sees them change.
pub(super) const METADATA: &str = "oauth_metadata";

/// What is known of who gives access.
#[derive(Debug, Default)]
pub(super) struct AccessWatch {
    /// Somebody called with a credential.
    credentials: bool,
    /// When they were read last, on the monotonic clock.
    read_at: Option<u64>,
    /// As they are agreed to.
    agreed: Option<Grants>,
    /// As they were read last.
    now: Option<Grants>,
    /// The open event about them.
    open: Option<Uuid>,
    /// As a person did not take them: they are not asked about again.
    not_taken: Option<Grants>,
}

impl Peer {
    /// Who calls with a credential makes it worth to ask who gives them.
    pub(super) fn note_credential(&mut self, caller: &Caller) {
        self.standings.access.credentials |= caller.headers.contains_key(AUTHORIZATION);
    }

    /// Reads the metadata where it is time to.
    pub(super) async fn look_at_grants(&mut self) {
        let settings = self.settings.policy;
        let access = &mut self.standings.access;
        let now = self.shared.clock.monotonic_micros();
        let every = settings.metadata_every.0 * 1_000;
        let due = access.read_at.is_none_or(|read| now.saturating_sub(read) >= every);
        if !settings.on || !access.credentials || !due {
            return;
        }
        access.read_at = Some(now);
        // A peer that cannot be asked, or says nothing, says nothing new.
        if let Ok(Some(grants)) = self.client.grants().await {
            self.compare_grants(grants, now);
        }
    }

    fn compare_grants(&mut self, grants: Grants, seen: u64) {
        let access = &mut self.standings.access;
        access.now = Some(grants.clone());
        let agreed = access.agreed.get_or_insert_with(|| grants.clone()).clone();
        let changes = agreed.changes(&grants);
        if changes.is_empty() {
            if let Some(event) = access.open.take() {
                let by = "the metadata are as they were".to_owned();
                self.move_event(event, EventState::Resolved, Some(by));
            }
            return;
        }
        if access.not_taken.as_ref() == Some(&grants) {
            return;
        }
        let whose = json!(grants).to_string();
        let event = self.policy_event(
            (METADATA, &whose),
            (json!({ "grants": agreed }), json!({ "grants": grants })),
            json!(changes),
        );
        let kinds: Vec<&str> = changes.iter().map(|change| change.kind).collect();
        let what = format!("its OAuth metadata changed: {}", kinds.join(", "));
        let event = self.raise(event, seen, &what);
        if let Some(before) = self.standings.access.open.replace(event).filter(|it| *it != event) {
            let by = "the metadata changed again".to_owned();
            self.move_event(before, EventState::Resolved, Some(by));
        }
    }

    /// Takes up what an open event says, after a restart.
    pub(super) fn take_up_grants(&mut self, event: &DriftEvent) {
        let said = |place: &serde_json::Value| serde_json::from_value(place["grants"].clone()).ok();
        let access = &mut self.standings.access;
        access.agreed = said(&event.evidence.baseline);
        access.now = said(&event.evidence.observed);
        access.open = Some(event.drift_id);
    }

    /// A person did not take the metadata as they were read last.
    pub(super) fn refuse_grants(&mut self) {
        let access = &mut self.standings.access;
        access.not_taken = access.now.clone();
    }

    /// A person agrees to the metadata as they were read last.
    pub(super) fn accept_grants(&mut self) {
        let access = &mut self.standings.access;
        access.agreed = access.now.clone();
        access.open = None;
    }
}
