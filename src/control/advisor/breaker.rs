//! Leaves a provider alone that fails, or that asks to be left alone.

use crate::domain::message::Millis;
use crate::wire::protocol::advisor::Failure;

/// When a provider is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open the breaker; at least 1.
    pub failures: u32,
    /// How long it stays open; then one request tries.
    pub open: Millis,
}

impl Default for Settings {
    fn default() -> Self {
        Self { failures: 3, open: Millis(60_000) }
    }
}

/// One provider's breaker. Times are microseconds of the monotonic clock.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: Settings,
    /// Failures in a row.
    failed: u32,
    /// Closed again at this time, for one request.
    opens_at: Option<u64>,
    /// One request is trying whether the provider is back.
    trying: bool,
    why: String,
}

impl Breaker {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, failed: 0, opens_at: None, trying: false, why: String::new() }
    }

    /// Whether a request may go now; why not, where it may not.
    pub(super) fn admit(&mut self, now: u64) -> Result<(), String> {
        let Some(opens_at) = self.opens_at else { return Ok(()) };
        if now < opens_at || self.trying {
            return Err(self.why.clone());
        }
        self.trying = true;
        Ok(())
    }

    /// The request that was admitted did not go after all.
    pub(super) const fn unused(&mut self) {
        self.trying = false;
    }

    /// The provider answered.
    pub(super) fn good(&mut self) {
        *self = Self::new(self.settings);
    }

    /// It did not.
    pub(super) fn bad(&mut self, now: u64, failure: &Failure) {
        let was_open = self.opens_at.is_some();
        self.trying = false;
        let rest = self.settings.open.0;
        let rest = match failure {
            // Asking again does not mend a key, a right or a name.
            Failure::Status { status: 401 | 403 | 404, .. } => Some(rest),
            Failure::Status { retry_after_ms: Some(asked), .. } => Some(*asked),
            _ => {
                self.failed = self.failed.saturating_add(1);
                (was_open || self.failed >= self.settings.failures).then_some(rest)
            }
        };
        if let Some(rest) = rest {
            self.opens_at = Some(now.saturating_add(rest.saturating_mul(1_000)));
            self.why = failure.to_string();
        }
    }

    /// `closed`, `open` or `half_open`.
    pub(super) fn word(&self, now: u64) -> &'static str {
        match self.opens_at {
            None => "closed",
            Some(opens_at) if now < opens_at => "open",
            Some(_) => "half_open",
        }
    }

    /// Why it is open; empty where it is closed.
    pub(super) fn why(&self) -> &str {
        &self.why
    }
}
