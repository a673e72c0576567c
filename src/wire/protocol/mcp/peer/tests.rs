use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{CallOutcome, PeerClient, PeerError};
use crate::domain::message::{Era, Principal};
use crate::domain::policy::Caller;
use crate::wire::transport::body::Body;
use crate::wire::transport::loopback::{serve, upstream, whole};
use crate::wire::transport::server::Server;
use crate::wire::transport::sse;

/// What a request looked like to the peer: method, JSON-RPC method, headers, body.
type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap, Value)>>>;

fn answer(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from(value.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn status(code: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn result(message: &Value, result: Value) -> Response<Body> {
    answer(&json!({"result": result, "jsonrpc": "2.0", "id": message["id"]}))
}

fn error(message: &Value, code: i64) -> Response<Body> {
    answer(
        &json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": "no"}}),
    )
}

/// Answers each request by its JSON-RPC method; `respond` gives `None` for a plain 404.
fn peer(
    respond: impl Fn(&Method, &str, &Value) -> Response<Body> + Send + Sync + 'static,
) -> (Server, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let respond = Arc::new(respond);
    let server = serve(move |request: Request<Body>| {
        let (noted, respond) = (Arc::clone(&noted), Arc::clone(&respond));
        async move {
            let (head, body) = request.into_parts();
            let body = whole(body).await;
            let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let method = message["method"].as_str().unwrap_or_default().to_owned();
            let answer = respond(&head.method, &method, &message);
            noted.lock().unwrap().push((head.method, method, head.headers, message));
            answer
        }
    });
    (server, seen)
}

fn methods(seen: &Seen) -> Vec<String> {
    let seen = seen.lock().unwrap();
    seen.iter().map(|(http, method, ..)| format!("{http} {method}")).collect()
}

fn modern(_: &Method, method: &str, message: &Value) -> Response<Body> {
    match (method, message["params"]["cursor"].as_str()) {
        ("server/discover", _) => result(
            message,
            json!({
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": true}},
                "ttlMs": 900,
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "flights"}},
            }),
        ),
        ("tools/list", None) => {
            result(message, json!({"tools": [{"name": "a"}], "nextCursor": "", "ttlMs": 500}))
        }
        ("tools/list", Some("")) => {
            result(message, json!({"tools": [{"name": "b"}], "ttlMs": 700}))
        }
        ("tools/call", _) => {
            let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"isError": true}});
            let note = sse::encode(None, None, None, br#"{"method":"notifications/progress"}"#);
            let last = sse::encode(Some("message"), None, None, body.to_string().as_bytes());
            let mut response = Response::new(Body::full([note, last].concat().into()));
            let kind = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => error(message, -32601),
    }
}

fn legacy(http: &Method, method: &str, message: &Value) -> Response<Body> {
    match (http, method) {
        (&Method::DELETE, _) => status(200),
        (_, "initialize") => {
            let mut response = result(
                message,
                json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "old"}}),
            );
            response.headers_mut().insert("mcp-session-id", HeaderValue::from_static("s1"));
            response
        }
        (_, "notifications/initialized") => status(202),
        (_, "tools/list") => result(message, json!({"tools": [{"name": "a"}]})),
        (_, "server/discover") => status(400),
        _ => error(message, -32601),
    }
}

#[tokio::test]
async fn a_modern_peer_is_read_page_by_page() {
    let (server, seen) = peer(modern);
    let listing = PeerClient::over_http(upstream(&server)).surface(None).await.unwrap();
    let names: Vec<_> = listing.surface.tools.iter().map(|tool| tool.name()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((listing.era, listing.ttl_ms, listing.list_changed), (Era::Modern, Some(500), true));
    assert_eq!(listing.surface.server_name.as_deref(), Some("flights"));
    assert_eq!(methods(&seen), ["POST server/discover", "POST tools/list", "POST tools/list"]);
    for (_, method, headers, message) in seen.lock().unwrap().iter() {
        assert_eq!(headers["mcp-method"], method.as_str());
        assert_eq!(headers["mcp-protocol-version"], "2026-07-28");
        assert_eq!(
            message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
            "2026-07-28"
        );
        assert!(message["id"].as_str().unwrap().starts_with("stipula-"));
    }
}

#[tokio::test]
async fn a_listing_that_did_not_change_is_not_made_into_tools_again() {
    let listed = Arc::new(Mutex::new(json!({"tools": [{"name": "a", "n": 1}], "ttlMs": 500})));
    let told = Arc::clone(&listed);
    let (server, _) = peer(move |http, method, message| match method {
        "tools/list" => result(message, told.lock().unwrap().clone()),
        _ => modern(http, method, message),
    });
    let client = PeerClient::over_http(upstream(&server));
    let first = client.surface_unless(None, None).await.unwrap();
    assert_eq!(first.surface.unwrap().tools[0].name(), "a");
    let known = Some(first.digest);
    let again = client.surface_unless(None, known).await.unwrap();
    assert_eq!((again.surface, again.digest), (None, first.digest));
    assert_eq!((again.ttl_ms, again.list_changed), (Some(500), true));
    // What stands beside the tools is no change of theirs; the smallest change of a tool is.
    *listed.lock().unwrap() = json!({"tools": [{"name": "a", "n": 1}], "ttlMs": 7, "_meta": {}});
    let aged = client.surface_unless(None, known).await.unwrap();
    assert_eq!((aged.surface, aged.ttl_ms), (None, Some(7)));
    *listed.lock().unwrap() = json!({"tools": [{"name": "a", "n": 2}]});
    let changed = client.surface_unless(None, known).await.unwrap();
    assert_ne!(changed.digest, first.digest);
    assert_eq!(changed.surface.unwrap().tools[0].definition()["n"], 2);
    // A cursor is a string.
    *listed.lock().unwrap() = json!({"tools": [], "nextCursor": 1});
    let failed = client.surface_unless(None, known).await.unwrap_err();
    assert!(failed.to_string().contains("nextCursor"), "{failed}");
}

#[tokio::test]
async fn a_legacy_peer_is_greeted_and_left_and_its_era_is_remembered() {
    let (server, seen) = peer(legacy);
    let client = PeerClient::over_http(upstream(&server));
    let listing = client.surface(None).await.unwrap();
    assert_eq!(listing.era, Era::Legacy);
    assert_eq!(listing.surface.server_name.as_deref(), Some("old"));
    let session =
        ["POST initialize", "POST notifications/initialized", "POST tools/list", "DELETE "];
    assert_eq!(methods(&seen)[0], "POST server/discover");
    assert_eq!(methods(&seen)[1..], session);
    let sessions =
        seen.lock().unwrap().iter().filter(|row| row.2.contains_key("mcp-session-id")).count();
    assert_eq!(sessions, 3);
    client.surface(None).await.unwrap();
    assert_eq!(methods(&seen)[5..], session);
}

#[tokio::test]
async fn a_caller_is_repeated_and_its_session_is_left_open() {
    let (server, seen) = peer(legacy);
    let mut headers = HeaderMap::new();
    headers.insert("mcp-session-id", HeaderValue::from_static("theirs"));
    headers.insert("authorization", HeaderValue::from_static("Bearer x"));
    let caller =
        Caller { principal: Principal::anonymous(), era: Era::Legacy, headers, meta: None };
    let listing = PeerClient::over_http(upstream(&server)).surface(Some(&caller)).await.unwrap();
    assert_eq!(listing.surface.tools.len(), 1);
    assert_eq!(methods(&seen), ["POST tools/list"]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].2["mcp-session-id"], "theirs");
    assert_eq!(seen[0].2["authorization"], "Bearer x");
}

#[tokio::test]
async fn a_call_is_answered_over_an_event_stream() {
    let (server, seen) = peer(modern);
    let client = PeerClient::over_http(upstream(&server));
    let meta = Bytes::from_static(br#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#);
    let caller = Caller {
        principal: Principal::anonymous(),
        era: Era::Modern,
        headers: HeaderMap::new(),
        meta: Some(meta),
    };
    let region = vec![("Mcp-Param-Region".to_owned(), "eu".to_owned())];
    let outcome = client.call(Some(&caller), "böse", Some(br#"{"n":1e40}"#), region).await;
    let body = Bytes::from_static(br#"{"isError":true}"#);
    assert_eq!(outcome.unwrap(), CallOutcome::Result { body, is_error: true });
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].2["mcp-param-region"], "eu");
    assert_eq!(seen[0].2["mcp-name"], "=?base64?YsO2c2U=?=");
}

#[tokio::test]
async fn what_is_no_listing_is_an_error_that_says_so() {
    type Pages = fn(&Value) -> Value;
    let rows: [(Pages, &str); 4] = [
        (|_| json!({"tools": [], "nextCursor": "x"}), "repeats itself"),
        (|_| json!({"tools": [{"name": "a"}, {"name": "a"}]}), "listed twice"),
        (|_| json!({"tools": [{"name": 1}]}), "/tools/0"),
        (|_| json!({}), "expected `tools`"),
    ];
    for (page, expected) in rows {
        let (server, _) = peer(move |http, method, message| match method {
            "tools/list" => result(message, page(message)),
            _ => modern(http, method, message),
        });
        let failed = PeerClient::over_http(upstream(&server)).surface(None).await.unwrap_err();
        assert!(matches!(&failed, PeerError::Malformed(why) if why.contains(expected)), "{failed}");
    }
}

#[tokio::test]
async fn a_refused_greeting_is_not_taken_for_another_era() {
    let (server, seen) = peer(|_, _, _| status(401));
    let failed = PeerClient::over_http(upstream(&server)).surface(None).await.unwrap_err();
    assert!(matches!(failed, PeerError::Refused { status: 401, .. }), "{failed}");
    assert_eq!(methods(&seen).len(), 1);
}

#[tokio::test]
async fn changes_are_told_in_both_eras() {
    for era in [Era::Modern, Era::Legacy] {
        let (server, seen) = peer(move |http, method, message| {
            let streams = method == "subscriptions/listen" || http == Method::GET;
            if !streams {
                return if era == Era::Modern { modern } else { legacy }(http, method, message);
            }
            let change = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
            let events =
                [&b": hello\n\nid: 1\ndata:\n\n"[..], &sse::encode(None, None, None, change)];
            let mut response = Response::new(Body::full(events.concat().into()));
            let kind = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        });
        let (notify, mut told) = tokio::sync::mpsc::channel(4);
        let ended = PeerClient::over_http(upstream(&server)).watch(notify).await;
        assert!(matches!(ended, PeerError::StreamEnded), "{ended}");
        assert_eq!(told.recv().await, Some(()));
        assert_eq!(told.recv().await, None);
        let last = methods(&seen).pop().unwrap();
        assert_eq!(last, if era == Era::Modern { "POST subscriptions/listen" } else { "DELETE " });
    }
}

#[tokio::test]
async fn a_peer_without_a_stream_of_changes_says_so() {
    for answer in [modern, legacy] {
        let (server, _) = peer(move |http, method, message| match http {
            &Method::GET => status(405),
            _ => answer(http, method, message),
        });
        let (notify, _told) = tokio::sync::mpsc::channel(1);
        let ended = PeerClient::over_http(upstream(&server)).watch(notify).await;
        assert!(matches!(ended, PeerError::NoStream), "{ended}");
    }
}
