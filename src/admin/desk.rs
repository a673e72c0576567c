//! The routes, one table; each answers with JSON and says what to do where it refuses.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower::service_fn;

use super::life::{Life, Standing};
use super::ready::Readiness;
use super::token::Token;
use crate::control::{Handle, HandleError, Status};
use crate::domain::message::{Digest, PeerId};
use crate::live::{Mode, Switchboard};
use crate::telemetry::Metrics;
use crate::wire::transport::body::Body;
use crate::wire::transport::server::{Answering, ConnectionFacts, Handler};

/// Longest body of a decision, in bytes.
const BODY_BYTES: usize = 64 * 1024;
/// Records of the ledger that are told where no number is asked for.
const TAIL: usize = 100;
/// Most records of the ledger that are told at once.
const TAIL_MOST: usize = 10_000;

/// The admin listener's handler. Clones share the doors.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Doors>);

#[derive(Debug)]
struct Doors {
    control: Handle,
    metrics: Metrics,
    token: Token,
    switchboard: Arc<Switchboard>,
    life: Life,
}

impl Desk {
    /// A handler behind these doors.
    #[must_use]
    pub fn new(
        control: Handle,
        metrics: Metrics,
        token: Token,
        switchboard: Arc<Switchboard>,
        life: Life,
    ) -> Self {
        Self(Arc::new(Doors { control, metrics, token, switchboard, life }))
    }
}

impl Handler for Desk {
    fn connected(&self, facts: ConnectionFacts) -> impl Answering {
        let desk = self.clone();
        service_fn(move |request| {
            let desk = desk.clone();
            async move {
                let answer = desk.answer(request, facts).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(Refusal::response))
            }
        })
    }
}

/// Why a request is not answered.
struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    fn response(self) -> Response<Body> {
        let mut answer = json_of(&json!({ "error": self.error }));
        *answer.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = http::HeaderValue::from_static("Bearer realm=\"stipula\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

impl From<HandleError> for Refusal {
    fn from(error: HandleError) -> Self {
        let status = match &error {
            HandleError::NoPeer(_) | HandleError::NoProposal(_) => StatusCode::NOT_FOUND,
            HandleError::Refused(_) => StatusCode::CONFLICT,
            HandleError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            HandleError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// The answer to `stipula status`.
#[derive(Serialize)]
struct StatusShown {
    #[serde(flatten)]
    status: Status,
    configuration: Arc<Standing>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DecisionBody {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    peer: String,
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    peer: String,
    mode: Mode,
    tool: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerBody {
    peer: String,
}

impl Desk {
    async fn answer(
        &self,
        request: Request<Body>,
        facts: ConnectionFacts,
    ) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is_question = request.method() == Method::GET || request.method() == Method::HEAD;
        match parts.as_slice() {
            ["healthz"] => Ok(text("ok\n", StatusCode::OK)),
            ["readyz"] => Ok(self.readiness()),
            ["metrics"] => Ok(metrics(&self.0.metrics)),
            ["api", "v1", route @ ..] if is_question => {
                if !facts.remote.ip().to_canonical().is_loopback() {
                    self.authorise(&request)?;
                }
                self.question(route, request.uri().query()).await
            }
            ["api", "v1", route @ ..] if request.method() == Method::POST => {
                self.authorise(&request)?;
                let body = read(request).await?;
                self.change(route, &body).await
            }
            ["api", "v1", ..] => {
                Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "expected GET or POST"))
            }
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "no such page; see /api/v1/status")),
        }
    }

    async fn question(
        &self,
        route: &[&str],
        query: Option<&str>,
    ) -> Result<Response<Body>, Refusal> {
        let control = &self.0.control;
        match route {
            ["status"] => {
                let configuration = self.0.life.standing();
                Ok(json_of(&StatusShown { status: control.status(), configuration }))
            }
            ["drift"] => {
                let events: Vec<_> = control
                    .drift()
                    .into_iter()
                    .map(|(peer, event)| json!({ "peer": peer, "event": event }))
                    .collect();
                Ok(json_of(&json!({ "events": events })))
            }
            ["why", id] => {
                let why = control.why(id).await?;
                if why.event.is_none() && why.records.is_empty() {
                    return Err(Refusal::new(
                        StatusCode::NOT_FOUND,
                        format!("no event or record {id}; `stipula what-drifted` lists the events"),
                    ));
                }
                Ok(json_of(&why))
            }
            ["approvals"] => {
                let (approvals, bundles) = (control.approvals(), control.bundles());
                Ok(json_of(&json!({ "approvals": approvals, "bundles": bundles })))
            }
            ["approvals", id] => {
                let id = digest(id)?;
                if let Some(bundle) = control.bundle(id) {
                    return Ok(json_of(&bundle));
                }
                let shown = control.approval(id);
                let shown = shown.ok_or_else(|| HandleError::NoProposal(id.to_string()))?;
                Ok(json_of(&shown))
            }
            ["ledger", "tail"] => {
                let records = control.ledger_tail(limit(query)?).await?;
                Ok(json_of(&json!({ "records": records })))
            }
            _ => Err(no_route()),
        }
    }

    async fn change(&self, route: &[&str], body: &[u8]) -> Result<Response<Body>, Refusal> {
        let control = &self.0.control;
        let done = match route {
            ["approvals", id, "approve"] => {
                control.approve(digest(id)?, decision(body)?.reason).await?
            }
            ["approvals", id, "deny"] => control.deny(digest(id)?, decision(body)?.reason).await?,
            ["rollback"] => {
                let RollbackBody { peer, to } = parsed(body)?;
                let to = to
                    .map(|version| version.trim_start_matches('v').parse())
                    .transpose()
                    .map_err(|error| {
                        let what = format!("`to`: expected a version such as 1.0.0: {error}");
                        Refusal::new(StatusCode::BAD_REQUEST, what)
                    })?;
                control.rollback(&PeerId::new(peer), to).await?
            }
            ["mode"] => {
                let ModeBody { peer, mode, tool } = parsed(body)?;
                control.set_mode(&PeerId::new(peer), mode, tool).await?
            }
            ["seal"] => control.seal(&PeerId::new(parsed::<PeerBody>(body)?.peer)).await?,
            ["reload"] => {
                let said = self.0.life.reload("asked by the admin listener").await;
                said.map_err(|faults| Refusal::new(StatusCode::CONFLICT, faults.join("\n")))?
            }
            ["review"] => control.review(&PeerId::new(parsed::<PeerBody>(body)?.peer)).await?,
            _ => return Err(no_route()),
        };
        Ok(json_of(&json!({ "done": done })))
    }

    fn readiness(&self) -> Response<Body> {
        let Doors { control, switchboard, life, .. } = &*self.0;
        let readiness = Readiness::of(control, &switchboard.load(), life);
        let mut answer = json_of(&readiness);
        if !readiness.ready {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    }

    fn authorise(&self, request: &Request<Body>) -> Result<(), Refusal> {
        let shown = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match shown {
            Some(shown) if self.0.token.is(shown) => Ok(()),
            Some(_) => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "this is not the admin token of this sidecar; it is in STATE/admin.token",
            )),
            None => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "expected `Authorization: Bearer` and the admin token, which is in STATE/admin.token",
            )),
        }
    }
}

fn no_route() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no such route below /api/v1")
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    let whole = if text.contains(':') { text.to_owned() } else { format!("sha256:{text}") };
    whole.parse().map_err(|what: String| Refusal::new(StatusCode::BAD_REQUEST, what))
}

fn limit(query: Option<&str>) -> Result<usize, Refusal> {
    let asked = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("limit="));
    match asked.map(str::parse::<usize>) {
        None => Ok(TAIL),
        Some(Ok(limit)) if (1..=TAIL_MOST).contains(&limit) => Ok(limit),
        Some(_) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("`limit`: expected a whole number from 1 to {TAIL_MOST}"),
        )),
    }
}

fn decision(body: &[u8]) -> Result<DecisionBody, Refusal> {
    if body.is_empty() { Ok(DecisionBody::default()) } else { parsed(body) }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

async fn read(request: Request<Body>) -> Result<Vec<u8>, Refusal> {
    let mut body = request.into_body();
    let mut read = Vec::new();
    loop {
        match body.next_data().await {
            Ok(Some(data)) if read.len() + data.len() <= BODY_BYTES => {
                read.extend_from_slice(&data)
            }
            Ok(Some(_)) => {
                let what = format!("expected a body of at most {BODY_BYTES} bytes");
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, what));
            }
            Ok(None) => return Ok(read),
            Err(_) => {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body did not arrive whole"));
            }
        }
    }
}

fn metrics(metrics: &Metrics) -> Response<Body> {
    let mut answer = Response::new(Body::full(metrics.render().into()));
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn text(text: &'static str, status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::full(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn json_of(value: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Body::full(bytes.into()));
    let kind = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    let fresh = http::HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, fresh);
    answer
}
