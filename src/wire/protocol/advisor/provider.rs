//! One provider: where it is, how it is asked, what is taken of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

use super::{Constraint, Failure, Heard, Kind, Turn, anthropic, openai};
use crate::domain::json::{Limits, Tape};
use crate::domain::message::Secret;
use crate::wire::transport::body::Body;
use crate::wire::transport::upstream::{Endpoint, Upstream};

/// The version of the Messages API that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// Longest answer of a model, in bytes; thoughts and wrapping apart.
const ANSWER_BYTES: usize = 64 * 1024;
/// How deep and how large an answer may be nested.
const ANSWER: Limits = Limits { depth: 64, nodes: 100_000 };
/// Longest pause that a provider may ask for.
const LONGEST_PAUSE_MS: u64 = 3_600_000;

/// What a provider is told by configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose API it speaks.
    pub kind: Kind,
    /// The model, as the provider names it; for a classic Azure URL the deployment decides.
    pub model: String,
    /// What proves that we may ask; local servers need none.
    pub key: Option<Secret>,
    /// `api-version` of Azure OpenAI, where its URL names a deployment.
    pub api_version: Option<String>,
    /// How the model is held to the schema.
    pub constraint: Constraint,
    /// Most tokens it may write.
    pub max_tokens: u32,
    /// Longest answer of the provider, wrapping included, in bytes.
    pub reply_bytes: usize,
}

/// A provider that can be asked. Its connections are made on the runtime that asks.
#[derive(Clone, Debug)]
pub struct Provider {
    settings: Settings,
    upstream: Upstream,
    path: String,
    headers: HeaderMap,
}

impl Provider {
    /// A provider behind an endpoint, whose path is the base that the API's own path is put to.
    ///
    /// # Errors
    /// In words, without the key: where the key or the version cannot stand in a request.
    pub fn new(endpoint: Arc<Endpoint>, settings: Settings) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json.clone());
        headers.insert(ACCEPT, json);
        let agent = concat!("stipula/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if settings.kind == Kind::Anthropic {
            let version = HeaderValue::from_static(ANTHROPIC_VERSION);
            headers.insert(HeaderName::from_static("anthropic-version"), version);
        }
        if let Some(key) = &settings.key {
            let (name, text) = match settings.kind {
                Kind::Anthropic => (HeaderName::from_static("x-api-key"), key.expose().to_owned()),
                Kind::AzureOpenAi => (HeaderName::from_static("api-key"), key.expose().to_owned()),
                Kind::OpenAi | Kind::OpenAiCompatible => {
                    (AUTHORIZATION, format!("Bearer {}", key.expose()))
                }
            };
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| "the key has characters that no header carries".to_owned())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let path = path(&endpoint, &settings);
        path.parse::<http::uri::PathAndQuery>()
            .map_err(|error| format!("the URL and `api_version` make no path: {error}"))?;
        Ok(Self { settings, upstream: Upstream::new(endpoint), path, headers })
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.settings.model
    }

    /// Most tokens that one answer may cost beside what is asked.
    #[must_use]
    pub const fn max_tokens(&self) -> u32 {
        self.settings.max_tokens
    }

    /// The text of a request: what is sent, key apart.
    #[must_use]
    pub fn request(&self, system: &str, schema: &Value, turns: &[Turn]) -> Vec<u8> {
        let Settings { kind, model, max_tokens, constraint, .. } = &self.settings;
        let body = match kind {
            Kind::Anthropic => {
                anthropic::request(model, *max_tokens, *constraint, system, schema, turns)
            }
            _ => openai::request(*kind, model, *max_tokens, *constraint, system, schema, turns),
        };
        body.to_string().into_bytes()
    }

    /// Sends a request's text and reads the answer, both within the span.
    pub async fn ask(&self, request: Vec<u8>, within: Duration) -> Heard {
        match tokio::time::timeout(within, self.exchange(request)).await {
            Ok(heard) => heard,
            // What was on its way is cancelled with its future.
            Err(_) => {
                let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                Heard::failed(Failure::Slow(millis))
            }
        }
    }

    async fn exchange(&self, text: Vec<u8>) -> Heard {
        let mut request = Request::new(Body::full(text.into()));
        *request.method_mut() = http::Method::POST;
        // The path was parsed when the provider was made.
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        let response = match self.upstream.send(request).await {
            Ok(response) => response,
            Err(error) => return Heard::failed(Failure::Unreachable(error.why)),
        };
        let (head, body) = response.into_parts();
        let text = match self.whole(body).await {
            Ok(text) => text,
            Err(failure) => return Heard::failed(failure),
        };
        if head.status != StatusCode::OK {
            return Heard::failed(refusal(&Response::from_parts(head, text)));
        }
        let body = match strict(&text) {
            Ok(body) => body,
            Err(why) => return Heard::failed(Failure::Malformed(why)),
        };
        match self.settings.kind {
            Kind::Anthropic => anthropic::heard(&body, self.settings.constraint),
            _ => openai::heard(&body),
        }
    }

    async fn whole(&self, mut body: Body) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        loop {
            match body.next_data().await {
                Ok(Some(data)) if text.len() + data.len() <= self.settings.reply_bytes => {
                    text.extend_from_slice(&data);
                }
                // The rest is not read: dropping the body closes the connection.
                Ok(Some(_)) => return Err(Failure::TooLong(self.settings.reply_bytes)),
                Ok(None) => return Ok(text),
                Err(error) => return Err(Failure::Unreachable(error.to_string())),
            }
        }
    }
}

/// The path and query that requests go to.
fn path(endpoint: &Endpoint, settings: &Settings) -> String {
    let base = endpoint.path_and_query();
    let base = base.split('?').next().unwrap_or(base).trim_end_matches('/');
    let own = match settings.kind {
        Kind::Anthropic => "/v1/messages",
        _ => "/chat/completions",
    };
    match &settings.api_version {
        Some(version) => format!("{base}{own}?api-version={version}"),
        None => format!("{base}{own}"),
    }
}

/// What a status other than 200 says. Its text is not repeated: it may name the key.
fn refusal(response: &Response<Vec<u8>>) -> Failure {
    let body = strict(response.body()).unwrap_or_default();
    let word = ["type", "code"].into_iter().find_map(|name| {
        let word = body["error"][name].as_str()?;
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        (!word.is_empty() && word.len() <= 64 && word.chars().all(plain)).then(|| word.to_owned())
    });
    let status = response.status().as_u16();
    Failure::Status { status, word, retry_after_ms: retry_after(response.headers()) }
}

/// How long a provider asks to be left alone. A date is not read; a pause of our own stands for it.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &HeaderName| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
    };
    let millis = number(&HeaderName::from_static("retry-after-ms"))
        .or_else(|| number(&RETRY_AFTER).map(|seconds| seconds * 1_000.0))?;
    // A float of any size becomes the nearest whole number that fits.
    Some((millis.ceil() as u64).min(LONGEST_PAUSE_MS))
}

/// JSON as it is read everywhere: no duplicate keys, no bad UTF-8, bounded.
fn strict(text: &[u8]) -> Result<Value, String> {
    let mut tape = Tape::default();
    tape.read(text, ANSWER).map_err(|error| error.to_string())?;
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// The JSON that a model wrote, in a fence or without one.
pub(super) fn answer_of(text: &str) -> Result<Value, Failure> {
    if text.len() > ANSWER_BYTES {
        return Err(Failure::TooLong(ANSWER_BYTES));
    }
    let text = text.trim();
    let fenced = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    let text = fenced.and_then(|text| text.strip_suffix("```")).unwrap_or(text);
    strict(text.trim().as_bytes()).map_err(Failure::NotJson)
}
