//! What we say: as whom, and which requests.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{PeerError, revision};
use crate::domain::message::Era;
use crate::domain::policy::Caller;
use crate::wire::protocol::mcp::headers::{self, METHOD, NAME, VERSION};

/// What we declare of ourselves: nothing that a peer could ask back for.
const WHO: &str = concat!(r#"{"name":"stipula","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// As whom a request is made.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    pub(super) era: Era,
    /// Authentication, session and version, as they travel over HTTP.
    pub(super) headers: HeaderMap,
    /// JSON text of `params._meta`.
    meta: Option<Bytes>,
}

impl Voice {
    pub(super) fn of(caller: &Caller) -> Self {
        Self { era: caller.era, headers: caller.headers.clone(), meta: caller.meta.clone() }
    }

    /// Our own in the modern era.
    pub(super) fn modern() -> Self {
        let version = revision(Era::Modern);
        let meta = format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{WHO}}}"#
        );
        let mut headers = HeaderMap::new();
        headers.insert(VERSION, HeaderValue::from_static(version));
        Self { era: Era::Modern, headers, meta: Some(meta.into()) }
    }

    /// Our own in the legacy era, before anything is negotiated.
    pub(super) fn legacy() -> Self {
        Self { era: Era::Legacy, headers: HeaderMap::new(), meta: None }
    }
}

/// One message of ours: a request where it has an id, else a notification.
#[derive(Debug)]
pub(super) struct Ask {
    /// JSON text.
    pub(super) id: Option<String>,
    pub(super) body: String,
    pub(super) headers: HeaderMap,
}

impl Ask {
    /// A request; `members` are the JSON texts of members of `params`.
    pub(super) fn request(
        voice: &Voice,
        id: String,
        method: &'static str,
        members: &[(&str, &str)],
    ) -> Self {
        Self::message(voice, Some(id), method, members)
    }

    pub(super) fn notification(voice: &Voice, method: &'static str) -> Self {
        Self::message(voice, None, method, &[])
    }

    pub(super) fn initialize(voice: &Voice, id: String) -> Self {
        let version = quote(revision(Era::Legacy));
        let members =
            [("protocolVersion", version.as_str()), ("capabilities", "{}"), ("clientInfo", WHO)];
        Self::request(voice, id, "initialize", &members)
    }

    pub(super) fn call(
        voice: &Voice,
        id: String,
        tool: &str,
        arguments: Option<&[u8]>,
        param_headers: &[(String, String)],
    ) -> Result<Self, PeerError> {
        let name = quote(tool);
        let mut members = vec![("name", name.as_str())];
        if let Some(arguments) = arguments {
            let text = std::str::from_utf8(arguments)
                .map_err(|_| PeerError::Malformed("our arguments are not UTF-8".to_owned()))?;
            members.push(("arguments", text));
        }
        let mut ask = Self::request(voice, id, "tools/call", &members);
        if voice.era == Era::Modern {
            ask.headers.insert(NAME, headers::encode(tool));
            for (name, value) in param_headers {
                let name = HeaderName::from_bytes(name.as_bytes());
                let value = HeaderValue::from_str(value);
                if let (Ok(name), Ok(value)) = (name, value) {
                    ask.headers.insert(name, value);
                }
            }
        }
        Ok(ask)
    }

    fn message(
        voice: &Voice,
        id: Option<String>,
        method: &'static str,
        members: &[(&str, &str)],
    ) -> Self {
        let mut params = String::new();
        let meta = voice.meta.as_deref().and_then(|meta| std::str::from_utf8(meta).ok());
        for (name, text) in meta.map(|meta| ("_meta", meta)).iter().chain(members) {
            let comma = if params.is_empty() { "" } else { "," };
            params.push_str(&format!(r#"{comma}"{name}":{text}"#));
        }
        let id_member = id.as_ref().map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
        let body =
            format!(r#"{{"jsonrpc":"2.0",{id_member}"method":"{method}","params":{{{params}}}}}"#);
        let mut headers = voice.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if voice.era == Era::Modern {
            headers.insert(METHOD, HeaderValue::from_static(method));
        }
        Self { id, body, headers }
    }
}

/// A string as JSON text.
pub(super) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}
