//! What a client POSTs: read once, kept as spans of the bytes that came.

use std::ops::Range;

use bytes::Bytes;

use crate::domain::json::{Item, Kind, Limits, ParseError, Tape};
use crate::domain::message::{CapabilityMethod, Era};

/// The member of `params._meta` that makes a request a modern one (MCP 2026-07-28, basic/versioning).
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The body of a POST.
#[derive(Debug)]
pub enum Posted {
    /// One message.
    One(Envelope),
    /// A JSON-RPC batch (2025-03-26 only).
    Batch(Vec<Envelope>),
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It has a method and an id.
    Request,
    /// It has a method and no id.
    Notification,
    /// It has no method: a client answers a request of the server.
    Response,
}

/// The methods that the sidecar has something to say about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `tools/call`
    ToolsCall,
    /// `tools/list`
    ToolsList,
    /// `initialize` (legacy)
    Initialize,
    /// `server/discover` (modern)
    Discover,
    /// `subscriptions/listen` (modern): a stream that owes no reply.
    Listen,
    /// `tasks/result` (2025-11-25): the reply of a call that went on as a task.
    TasksResult,
    /// `tasks/get`: how a task stands; the tasks extension tells the reply of its call in it.
    TasksGet,
    /// Anything else, and messages without a method.
    Other,
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not one strict JSON text.
    #[error(transparent)]
    Json(#[from] ParseError),
    /// JSON, but no message.
    #[error("expected {expected}")]
    Message {
        /// What would have been accepted.
        expected: &'static str,
        /// The id, where one can be read.
        id: Option<String>,
    },
}

/// One message, as spans into the text it came in.
#[derive(Clone, Debug)]
pub struct Envelope {
    text: Bytes,
    /// What it is.
    pub shape: Shape,
    /// Its method.
    pub method: Method,
    /// Its method, where a peer answers for it only if it declares a capability.
    pub capability: Option<CapabilityMethod>,
    /// Which family of revisions it speaks.
    pub era: Era,
    /// `params.name`, unescaped; `None` where it is absent or no string.
    pub name: Option<Box<str>>,
    /// `params._meta[META_VERSION]`, unescaped.
    pub version: Option<Box<str>>,
    /// `params.requestState`, unescaped: what a server told the client to show when it tries again.
    pub request_state: Option<Box<str>>,
    /// `params.taskId` of a question for a task, unescaped.
    pub task: Option<Box<str>>,
    id: Option<Range<usize>>,
    name_at: Option<Range<usize>>,
    arguments: Option<Range<usize>>,
    meta: Option<Range<usize>>,
}

impl Posted {
    /// Reads the body of a POST in one pass.
    ///
    /// # Errors
    /// [`EnvelopeError`], for what no peer should be asked to read.
    pub fn read(text: &Bytes, tape: &mut Tape, limits: Limits) -> Result<Self, EnvelopeError> {
        let root = tape.read(text, limits)?.root();
        match root.kind() {
            Kind::Object => Envelope::of(text, root).map(Self::One),
            Kind::Array => root
                .items()
                .map(|item| Envelope::of(text, item))
                .collect::<Result<_, _>>()
                .map(Self::Batch),
            _ => Err(EnvelopeError::Message { expected: "an object or an array", id: None }),
        }
    }
}

impl Envelope {
    fn of(text: &Bytes, message: Item<'_>) -> Result<Self, EnvelopeError> {
        let id = message.get("id");
        let method = message.get("method").and_then(Item::as_str);
        let params = message.get("params");
        let param = |name: &str| params.and_then(|params| params.get(name));
        let meta = param("_meta");
        let version = meta.and_then(|meta| meta.get(META_VERSION));
        let shape = match (&method, id) {
            (None, _) => Shape::Response,
            (Some(_), None) => Shape::Notification,
            (Some(_), Some(_)) => Shape::Request,
        };
        let capability = method.as_deref().and_then(CapabilityMethod::of);
        let method = match method.as_deref() {
            Some("tools/call") => Method::ToolsCall,
            Some("tools/list") => Method::ToolsList,
            Some("initialize") => Method::Initialize,
            Some("server/discover") => Method::Discover,
            Some("subscriptions/listen") => Method::Listen,
            Some("tasks/result") => Method::TasksResult,
            Some("tasks/get") => Method::TasksGet,
            _ => Method::Other,
        };
        let task = match method {
            Method::TasksResult | Method::TasksGet => param("taskId").and_then(Item::as_str),
            _ => None,
        };
        let id_fits = id.is_some_and(|id| matches!(id.kind(), Kind::String | Kind::Number));
        if method == Method::ToolsCall && !id_fits {
            return Err(EnvelopeError::Message {
                expected: "an id that is a string or a number on tools/call",
                id: None,
            });
        }
        let span = |item: Item<'_>| item.span();
        Ok(Self {
            text: text.clone(),
            shape,
            method,
            capability,
            era: if version.is_some() { Era::Modern } else { Era::Legacy },
            name: param("name").and_then(Item::as_str).map(Into::into),
            version: version.and_then(Item::as_str).map(Into::into),
            request_state: param("requestState").and_then(Item::as_str).map(Into::into),
            task: task.map(Into::into),
            id: id.filter(|_| id_fits).map(span),
            name_at: param("name").map(span),
            arguments: param("arguments").map(span),
            meta: meta.map(span),
        })
    }

    /// The bytes that it came in; for an element of a batch the whole batch.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The id's JSON text, exactly as it came; `None` where there is no valid one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.clone().and_then(|span| std::str::from_utf8(&self.text[span]).ok())
    }

    /// Where `params.name` stands.
    #[must_use]
    pub fn name_at(&self) -> Option<Range<usize>> {
        self.name_at.clone()
    }

    /// Where `params.arguments` stands; absent is not `{}`.
    #[must_use]
    pub fn arguments_at(&self) -> Option<Range<usize>> {
        self.arguments.clone()
    }

    /// JSON text of `params.arguments`.
    #[must_use]
    pub fn arguments(&self) -> Option<Bytes> {
        self.arguments.clone().map(|span| self.text.slice(span))
    }

    /// JSON text of `params._meta`.
    #[must_use]
    pub fn meta(&self) -> Option<Bytes> {
        self.meta.clone().map(|span| self.text.slice(span))
    }
}
