//! One span an exchange, its steps inside it, W3C Trace Context in and out.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;

use super::names;
use super::otlp::{Destination, TraceError, http_exporter};
use crate::domain::message::{Code, Digest, Generation, PeerId, Verdict};

/// Starts the spans of exchanges; off, it is one test of a pointer.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Pipeline>>);

#[derive(Debug)]
struct Pipeline {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracer {
    /// Starts nothing, ever.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// As the standard `OTEL_*` variables say; off unless they name an endpoint. Spans are sent by
    /// tasks on `runtime`.
    ///
    /// # Errors
    /// Where the variables ask for what cannot be done.
    pub fn from_environment(runtime: &Handle) -> Result<Self, TraceError> {
        let destination = Destination::from_variables(|name| std::env::var(name).ok())?;
        Ok(destination.exporter(runtime)?.map_or_else(Self::off, Self::exporting))
    }

    /// Sends to this collector (the whole URL, `/v1/traces` included), whatever the environment says.
    ///
    /// # Errors
    /// Where the URL is none.
    pub fn to_collector(url: &str, runtime: &Handle) -> Result<Self, TraceError> {
        Ok(Self::exporting(http_exporter(Some(url), None, runtime)?))
    }

    fn exporting(exporter: SpanExporter) -> Self {
        let mut resource = Resource::builder();
        let named = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if !named("OTEL_SERVICE_NAME") && !named("OTEL_RESOURCE_ATTRIBUTES") {
            resource = resource.with_service_name("stipula");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer(names::SCOPE);
        Self(Some(Arc::new(Pipeline { provider, tracer })))
    }

    /// Whether any exchange may be sampled; where not, nothing has to be read for [`Tracer::start`].
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Starts the span of an exchange, where it is sampled. The parent is `params._meta.traceparent`,
    /// as the conventions for MCP want it, else the header; where both differ the header is linked.
    /// `None` leaves trace context to pass as it came.
    #[must_use]
    pub fn start(&self, header: Option<&str>, meta: Option<&str>) -> Option<ExchangeSpan> {
        let pipeline = self.0.as_ref()?;
        let transport = header.and_then(parse_traceparent);
        let parent = meta.and_then(parse_traceparent);
        let mut builder = SpanBuilder::from_name("exchange").with_kind(SpanKind::Server);
        if let (Some(transport), Some(parent)) = (&transport, &parent)
            && transport.span_id() != parent.span_id()
        {
            builder = builder.with_links(vec![Link::with_context(transport.clone())]);
        }
        let above = parent
            .or(transport)
            .map_or_else(Context::new, |remote| Context::new().with_remote_span_context(remote));
        let span = pipeline.tracer.build_with_context(builder, &above);
        let within = above.with_span(span);
        within
            .span()
            .span_context()
            .is_sampled()
            .then(|| ExchangeSpan { open: OpenSpan { tracer: pipeline.tracer.clone(), within } })
    }

    /// Sends what is left and stops. Waits for the collector at most five seconds.
    pub async fn shutdown(&self) {
        if let Some(pipeline) = self.0.clone() {
            // The SDK blocks its caller; a reactor must go on turning meanwhile.
            let _ = tokio::task::spawn_blocking(move || pipeline.provider.shutdown()).await;
        }
    }
}

/// The span of one exchange; it ends when it is dropped.
#[derive(Debug)]
pub struct ExchangeSpan {
    open: OpenSpan,
}

/// The span of one step of an exchange; it ends when it is dropped.
#[derive(Debug)]
pub struct StepSpan {
    open: OpenSpan,
}

#[derive(Debug)]
struct OpenSpan {
    tracer: SdkTracer,
    within: Context,
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        self.within.span().end();
    }
}

impl OpenSpan {
    fn child(&self, name: Cow<'static, str>, kind: SpanKind) -> StepSpan {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = self.tracer.build_with_context(builder, &self.within);
        let within = self.within.with_span(span);
        StepSpan { open: Self { tracer: self.tracer.clone(), within } }
    }

    fn set(&self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        self.within.span().set_attribute(KeyValue::new(name, value));
    }

    fn failed(&self, kind: &'static str) {
        self.set(names::ERROR_TYPE, kind);
        self.within.span().set_status(Status::error(kind));
    }

    fn traceparent(&self) -> String {
        let span = self.within.span();
        let context = span.span_context();
        format!(
            "00-{:032x}-{:016x}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8()
        )
    }
}

impl ExchangeSpan {
    /// Names the span as the conventions want it: the method, and the tool of a `tools/call`.
    pub fn called(&self, method: &str, tool: Option<&str>) {
        let name = tool.map_or_else(|| method.to_owned(), |tool| format!("{method} {tool}"));
        self.open.within.span().update_name(name);
        self.open.set(names::METHOD, method.to_owned());
        if let Some(tool) = tool {
            self.open.set(names::TOOL, tool.to_owned());
            self.open.set(names::OPERATION, names::EXECUTE_TOOL);
        }
    }

    /// The peer that is called.
    pub fn peer(&self, peer: &PeerId) {
        self.open.set(names::PEER, peer.as_str().to_owned());
    }

    /// JSON text of the request's id.
    pub fn request_id(&self, json_text: &str) {
        self.open.set(names::REQUEST_ID, json_text.trim_matches('"').to_owned());
    }

    /// The revision of MCP the request names.
    pub fn protocol_version(&self, version: &str) {
        self.open.set(names::PROTOCOL_VERSION, version.to_owned());
    }

    /// What the exchange ran under.
    pub fn bound(&self, generation: Generation, contract: Option<&Digest>) {
        self.open.set(names::GENERATION, i64::try_from(generation.0).unwrap_or(i64::MAX));
        if let Some(contract) = contract {
            self.open.set(names::CONTRACT, contract.to_string());
        }
    }

    /// What became of it.
    pub fn verdict(&self, verdict: Verdict) {
        self.open.set(names::VERDICT, verdict.word());
    }

    /// Stipula refused.
    pub fn refused(&self, code: Code) {
        self.open.set(names::CODE, code.stable());
        self.open.set(names::STATUS_CODE, i64::from(code.json_rpc()));
        self.open.failed(code.stable());
    }

    /// The peer answered with a JSON-RPC error.
    pub fn peer_error(&self, code: i64) {
        self.open.set(names::STATUS_CODE, code);
        self.open.failed("peer_error");
    }

    /// The peer answered with `isError: true`.
    pub fn tool_error(&self) {
        self.open.failed(names::TOOL_ERROR);
    }

    /// A step inside this exchange; its name is one of [`names`].
    #[must_use]
    pub fn child(&self, name: &'static str) -> StepSpan {
        self.open.child(name.into(), SpanKind::Internal)
    }

    /// One upstream attempt.
    #[must_use]
    pub fn external(&self, peer: &PeerId) -> StepSpan {
        self.open.child(format!("{}{peer}", names::EXTERNAL_PREFIX).into(), SpanKind::Client)
    }

    /// Names this span as the parent of what the request causes, in its headers.
    pub fn inject(&self, headers: &mut HeaderMap) {
        inject(&self.open, headers);
    }

    /// The same for `params._meta.traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.open.traceparent()
    }
}

impl StepSpan {
    /// A step inside this one.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        self.open.child(name.into(), SpanKind::Internal)
    }

    /// One upstream attempt inside this step.
    #[must_use]
    pub fn external(&self, peer: &PeerId) -> Self {
        self.open.child(format!("{}{peer}", names::EXTERNAL_PREFIX).into(), SpanKind::Client)
    }

    /// The step failed; `kind` is a word of a closed set, never text from outside.
    pub fn failed(&self, kind: &'static str) {
        self.open.failed(kind);
    }

    /// Names this span as the parent of what the request causes, in its headers.
    pub fn inject(&self, headers: &mut HeaderMap) {
        inject(&self.open, headers);
    }

    /// The same for `params._meta.traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.open.traceparent()
    }
}

fn inject(span: &OpenSpan, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(span.traceparent()) {
        headers.insert("traceparent", value);
    }
}

/// W3C Trace Context, 3.2: version, trace, parent and flags in hexadecimal; a later version may add
/// fields behind them. `tracestate` passes with the request as it came.
fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let text = text.trim();
    if !text.is_ascii() || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sized = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
    if !sized || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    u8::from_str_radix(version, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests;
