//! From the section `webhook` to whom notices are sent.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::advisors::is_private;
use super::raw::Timeouts;
use super::secret::Secret;
use super::settings::{Named, keys, url_fault};
use crate::control::notify;
use crate::domain::message::Millis;
use crate::wire::transport::upstream;

/// Whom approvals and incidents are told, signed as Standard Webhooks are. Off unless it is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// Where notices go, and nowhere else; a redirect is not followed.
    pub(super) url: String,
    /// What signs them: `${env:NAME}` or `{ file: PATH }`.
    pub(super) secret: Secret,
    /// How long one try may take.
    #[serde(default = "timeout_ms")]
    #[schemars(range(min = 100, max = 60_000))]
    pub(super) timeout_ms: u64,
    /// Tries of one notice.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 20))]
    pub(super) attempts: u32,
    /// Pause after the first try; each further one is twice as long.
    #[serde(default = "backoff_ms")]
    #[schemars(range(min = 1, max = 300_000))]
    pub(super) backoff_ms: u64,
    /// Notices that may wait; more are dropped and counted.
    #[serde(default = "queue")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) queue: usize,
    /// A PEM bundle of authorities to trust instead of the platform's.
    #[serde(default)]
    pub(super) roots: Option<PathBuf>,
}

const fn timeout_ms() -> u64 {
    5_000
}

const fn attempts() -> u32 {
    6
}

const fn backoff_ms() -> u64 {
    1_000
}

const fn queue() -> usize {
    256
}

/// Builds the section; all that is wrong is told by its keys.
pub(super) fn build(
    raw: Option<&Webhook>,
    timeouts: &Timeouts,
    faults: &mut Vec<Named>,
) -> Option<notify::Settings> {
    let raw = raw?;
    let mut fault = |key: &str, what: String| faults.push((keys(&["webhook", key]), what));
    if let Some(what) = url_fault(&raw.url) {
        fault("url", what);
    } else if !is_private(&raw.url) {
        let what = "expected https, or http to loopback: notices would travel in clear text";
        fault("url", what.to_owned());
    }
    let secret = match raw.secret.line() {
        Ok(secret) => secret,
        Err(what) => {
            fault("secret", what);
            return None;
        }
    };
    Some(notify::Settings {
        url: raw.url.clone(),
        secret,
        timeout: Millis(raw.timeout_ms),
        attempts: raw.attempts,
        backoff: Millis(raw.backoff_ms),
        queue: raw.queue,
        upstream: upstream::Settings {
            connect: Duration::from_millis(raw.timeout_ms),
            handshake: Duration::from_millis(timeouts.handshake_ms),
            authorities: raw.roots.clone(),
            ..upstream::Settings::default()
        },
    })
}
