//! Notices of approvals and incidents to one configured URL, signed as Standard Webhooks are.
//!
//! ```text
//!   actors ─► bounded queue (full: dropped, counted) ─► one task: sign, send, again with back-off
//! ```
//!
//! Never here: a payload of an exchange, a redirect followed, another URL than the configured one, an
//! actor that waits for a receiver.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::message::{Clock, Dice, Digest, Millis, PeerId, Secret, UnixMillis};
use crate::telemetry::{Metrics, Webhook as Outcome};
use crate::wire::transport::body::Body;
use crate::wire::transport::upstream::{self, Endpoint, EndpointError, Upstream};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Who is told, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where notices go, and nowhere else.
    pub url: String,
    /// What signs them; `whsec_` and base64 stands for the bytes, anything else for itself.
    pub secret: Secret,
    /// How long one try may take.
    pub timeout: Millis,
    /// Tries of one notice.
    pub attempts: u32,
    /// Pause after the first try; each further one is twice as long, less up to half by chance.
    pub backoff: Millis,
    /// Notices that may wait; more are dropped and counted.
    pub queue: usize,
    /// How it is dialled.
    pub upstream: upstream::Settings,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A proposal waits for a person.
    Waiting,
    /// An escalation or an incident.
    Incident,
    /// The contract went back.
    RolledBack,
}

impl NoticeKind {
    /// The `type` of the notice.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "approval.waiting",
            Self::Incident => "incident.opened",
            Self::RolledBack => "contract.rolled_back",
        }
    }
}

/// One notice: names, hashes and words, never a payload.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) id: Uuid,
    pub(super) kind: NoticeKind,
    pub(super) at: UnixMillis,
    pub(super) peer: PeerId,
    pub(super) tool: Option<String>,
    pub(super) drift_id: Option<Uuid>,
    pub(super) drift_type: Option<&'static str>,
    pub(super) severity: Option<&'static str>,
    pub(super) contract: Option<Digest>,
    pub(super) version: Option<String>,
    pub(super) what: String,
}

impl Notice {
    fn text(&self) -> String {
        json!({
            "type": self.kind.word(),
            "timestamp": self.at,
            "data": {
                "peer": self.peer, "tool": self.tool, "drift_id": self.drift_id,
                "drift_type": self.drift_type, "severity": self.severity,
                "contract": self.contract, "version": self.version, "what": self.what,
            },
        })
        .to_string()
    }
}

/// Puts notices into the queue of whoever is told now, if anybody is. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Notifier(Arc<ArcSwapOption<Lane>>);

struct Lane {
    notices: mpsc::Sender<Notice>,
    metrics: Metrics,
}

impl Notifier {
    /// Whether there is somebody to tell.
    pub(super) fn has_receiver(&self) -> bool {
        self.0.load().is_some()
    }

    /// Never waits.
    pub(super) fn tell(&self, notice: Notice) {
        let lane = self.0.load();
        if let Some(lane) = lane.as_ref().filter(|lane| lane.notices.try_send(notice).is_err()) {
            lane.metrics.webhook(Outcome::Dropped);
        }
    }

    /// Another receiver is told from now on, or nobody. What waits for the one before goes to it still:
    /// its task, and this one's, must be run.
    pub(super) fn turn_to(&self, webhook: Option<Webhook>, ambient: &Ambient) -> Option<Sending> {
        let opened = webhook.map(|webhook| webhook.opened(ambient.clone()));
        let (lane, sending) = opened.unzip();
        self.0.store(lane.map(Arc::new));
        sending
    }
}

/// The receiver of notices.
pub struct Webhook {
    settings: Settings,
    upstream: Upstream,
    path: Uri,
    key: hmac::Key,
}

impl Webhook {
    /// A receiver that can be told.
    ///
    /// # Errors
    /// Where its URL cannot be dialled.
    pub fn new(settings: Settings) -> Result<Self, EndpointError> {
        let named = Endpoint::new(&settings.url, settings.upstream.clone())?;
        // Only requests to an endpoint's own path are redirected: this one has a path that is not
        // asked for.
        let other = if named.path_and_query() == "/-" { "/_" } else { "/-" };
        let url: Uri = settings.url.parse().unwrap_or_default();
        let scheme = url.scheme_str().unwrap_or("https");
        let origin = format!("{scheme}://{}{other}", named.authority());
        let endpoint = Endpoint::new(&origin, settings.upstream.clone())?;
        let secret = settings.secret.expose();
        let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.unwrap_or_else(|| secret.as_bytes().to_vec());
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
            path: named.path_and_query().parse().unwrap_or_default(),
            upstream: Upstream::new(Arc::new(endpoint)),
            settings,
        })
    }

    /// The way to it, and the task that sends.
    fn opened(self, ambient: Ambient) -> (Lane, Sending) {
        let (notices, queue) = mpsc::channel(self.settings.queue.max(1));
        let lane = Lane { notices, metrics: ambient.metrics.clone() };
        (lane, Sending { webhook: self, queue, ambient })
    }

    /// One try; true where it was taken, `Err` where another try is of no use.
    async fn send(&self, notice: &Notice, text: &str, now: UnixMillis) -> Result<bool, ()> {
        let mut request = Request::new(Body::full(text.to_owned().into()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers(notice, text, now).ok_or(())?;
        let within = Duration::from_millis(self.settings.timeout.0);
        let answer = match tokio::time::timeout(within, self.upstream.send(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => return Ok(false),
        };
        let status = answer.status();
        let busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        match status {
            _ if status.is_success() => Ok(true),
            _ if status.is_server_error() || busy => Ok(false),
            // A redirect too: nothing goes where the operator did not say.
            _ => Err(()),
        }
    }

    fn headers(&self, notice: &Notice, text: &str, now: UnixMillis) -> Option<HeaderMap> {
        let (id, at) = (notice.id.to_string(), (now.0 / 1_000).to_string());
        let signed = hmac::sign(&self.key, format!("{id}.{at}.{text}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signed.as_ref()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = concat!("stipula/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in [(ID, id), (TIMESTAMP, at), (SIGNATURE, signature)] {
            headers.insert(name, HeaderValue::from_str(&value).ok()?);
        }
        Some(headers)
    }
}

/// Time, chance and numbers.
#[derive(Clone)]
pub(super) struct Ambient {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dice: Arc<dyn Dice>,
    pub(super) metrics: Metrics,
}

/// The task that sends; it ends when another receiver is told and nothing waits for this one any more.
pub(super) struct Sending {
    webhook: Webhook,
    queue: mpsc::Receiver<Notice>,
    ambient: Ambient,
}

impl Sending {
    pub(super) async fn run(mut self) {
        while let Some(notice) = self.queue.recv().await {
            let outcome = self.deliver(&notice).await;
            self.ambient.metrics.webhook(outcome);
        }
    }

    async fn deliver(&self, notice: &Notice) -> Outcome {
        let text = notice.text();
        let attempts = self.webhook.settings.attempts.max(1);
        for attempt in 0..attempts {
            // The signature is of the try's own time, so that a receiver may refuse old ones.
            match self.webhook.send(notice, &text, self.ambient.clock.now()).await {
                Ok(true) => return Outcome::Delivered,
                Err(()) => return Outcome::Failed,
                Ok(false) if attempt + 1 < attempts => {
                    self.ambient.metrics.webhook(Outcome::Retried);
                    tokio::time::sleep(self.pause(attempt)).await;
                }
                Ok(false) => {}
            }
        }
        Outcome::Failed
    }

    /// Twice as long each time, and between half and all of that by chance.
    fn pause(&self, attempt: u32) -> Duration {
        let first = Duration::from_millis(self.webhook.settings.backoff.0);
        let whole = first.saturating_mul(1 << attempt.min(20)).min(LONGEST_PAUSE);
        let chance = f64::from(self.ambient.dice.uuid().as_fields().0) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + chance / 2.0)
    }
}
