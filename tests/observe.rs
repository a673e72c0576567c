//! What operators see of real traffic: numbers that Prometheus takes, spans that a collector takes.

mod stage;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Word;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use stage::{Agent, Asked, Peer, Sidecar, text_of};
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn tools() -> Value {
    let input = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
    let output = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    json!([{ "name": "search", "inputSchema": input, "outputSchema": output, "annotations": { "readOnlyHint": true } }])
}

/// A collector of OTLP over HTTP: keeps every span that it is sent.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, spans: Arc::default() };
        let served = collector.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let collector = served.clone();
                let service = service_fn(move |request| collector.clone().take(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        collector
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.uri().path(), "/v1/traces");
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let export = ExportTraceServiceRequest::decode(body).unwrap();
        let scopes = export.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        self.spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(Full::default()))
    }

    /// The spans of one trace by name.
    fn of(&self, trace: &str) -> BTreeMap<String, Span> {
        let spans = self.spans.lock().unwrap().clone();
        let mine = spans.into_iter().filter(|span| hex::encode(&span.trace_id) == trace);
        mine.map(|span| (span.name.clone(), span)).collect()
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match value.value.as_ref()?.value.as_ref()? {
        Word::StringValue(text) => Some(text.clone()),
        Word::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// Everything is inside the exchange, the attempt inside the invocation, and the exchange inside what
/// the agent was doing.
fn holds_the_tree(spans: &BTreeMap<String, Span>, caller: &str) {
    let exchange = &spans["tools/call search"];
    assert_eq!(hex::encode(&exchange.parent_span_id), caller);
    for (name, parent) in [
        ("gateway.receive", "tools/call search"),
        ("adapter.mcp.transform", "tools/call search"),
        ("runtime.invoke", "tools/call search"),
        ("external.flights", "runtime.invoke"),
        ("runtime.validate", "tools/call search"),
        ("coherence.seal", "tools/call search"),
    ] {
        let span = spans.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", spans.keys()));
        assert_eq!(span.parent_span_id, spans[parent].span_id, "{name}");
        assert!(span.start_time_unix_nano >= exchange.start_time_unix_nano, "{name}");
        assert!(span.end_time_unix_nano <= exchange.end_time_unix_nano, "{name}");
    }
    assert_eq!(spans.len(), 7, "{:?}", spans.keys());
    for (name, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "search"),
        ("gen_ai.operation.name", "execute_tool"),
        ("stipula.peer", "flights"),
        ("stipula.verdict", "kept"),
    ] {
        assert_eq!(attribute(exchange, name).as_deref(), Some(value), "{name}");
    }
    assert!(attribute(exchange, "stipula.contract").unwrap().starts_with("sha256:"));
}

fn remembering() -> (Arc<Mutex<Vec<Asked>>>, impl Fn(&Asked) -> stage::Answer + Send + Sync) {
    let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let kept = Arc::clone(&seen);
    (seen, move |asked: &Asked| {
        kept.lock().unwrap().push(asked.clone());
        asked.result(r#"{"n":1}"#)
    })
}

fn traceparent(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{CALLER}-{flags}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_tree_of_spans_of_a_call() {
    let collector = Collector::start().await;
    let (seen, reply) = remembering();
    let peer = Peer::start(tools(), reply).await;
    let state = tempfile::tempdir().unwrap();
    let endpoint = format!("http://{}", collector.address);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let sidecar = Sidecar::start_with(&peer, state.path(), &[], &variables).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let call = json!({ "name": "search", "arguments": { "q": "Oslo" } });
    let within = |meta: &str| {
        let meta = json!({ "progressToken": 7, "traceparent": meta });
        json!({ "name": "search", "arguments": { "q": "Oslo" }, "_meta": meta })
    };

    let (by_meta, unsampled) = (TRACE.replace('0', "1"), TRACE.replace('0', "2"));
    let (header, meta) = (traceparent(TRACE, "01"), traceparent(&by_meta, "01"));
    let quiet = traceparent(&unsampled, "00");
    agent.ask_with("tools/call", &call, &[("traceparent", &header)]).await.structured().unwrap();
    agent.ask("tools/call", &within(&meta)).await.structured().unwrap();
    agent.ask_with("tools/call", &call, &[("traceparent", &quiet)]).await.structured().unwrap();
    sidecar.stop().await;

    let (of_header, of_meta) = (collector.of(TRACE), collector.of(&by_meta));
    holds_the_tree(&of_header, CALLER);
    holds_the_tree(&of_meta, CALLER);
    assert!(collector.of(&unsampled).is_empty());

    // The peer is told the attempt as its parent, both ways; what is not sampled passes as it came.
    let seen = seen.lock().unwrap().clone();
    let shown = |asked: &Asked| asked.headers["traceparent"].to_str().unwrap().to_owned();
    for (asked, trace, spans) in [(&seen[0], TRACE, &of_header), (&seen[1], &by_meta, &of_meta)] {
        let attempt = hex::encode(&spans["external.flights"].span_id);
        let expected = format!("00-{trace}-{attempt}-01");
        assert_eq!(shown(asked), expected);
        assert_eq!(asked.meta["traceparent"], expected);
    }
    assert_eq!(seen[1].meta["progressToken"], 7);
    assert_eq!(shown(&seen[2]), quiet);
    assert_eq!(seen[2].meta, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_trace_context_passes_as_it_came() {
    let (seen, reply) = remembering();
    let peer = Peer::start(tools(), reply).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let header = traceparent(TRACE, "01");
    let call = json!({ "name": "search", "arguments": {}, "_meta": { "traceparent": "mine" } });
    agent.ask_with("tools/call", &call, &[("traceparent", &header)]).await.structured().unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0].headers["traceparent"], header.as_str());
    assert_eq!(seen[0].meta, json!({ "traceparent": "mine" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_the_metrics_of_real_traffic() {
    let peer = Peer::start(tools(), |asked| asked.result(r#"{"n":1}"#)).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for _ in 0..20 {
        agent.call("search", &json!({ "q": "Oslo" })).await.structured().unwrap();
    }
    peer.reply(|asked| asked.result(r#"{"n":"one"}"#));
    agent.call("search", &json!({ "q": "Oslo" })).await;
    agent.call("unheard-of", &json!({})).await;
    let (status, text) = text_of(sidecar.admin, "/metrics").await;
    assert_eq!(status, 200);
    let kept = r#"stipula_exchanges_total{peer="flights",protocol="mcp",verdict="kept"} 20"#;
    assert!(text.contains(kept), "{text}");

    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match spawned {
        Ok(promtool) => promtool,
        Err(error) if std::env::var_os("STIPULA_PEERS").is_none() => {
            println!("skipped: promtool cannot be started: {error}");
            return;
        }
        Err(error) => panic!("promtool must be there with STIPULA_PEERS: {error}"),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && told.trim().is_empty(), "{told}\n{text}");
}
