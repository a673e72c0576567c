//! What is under no contract, and what must not get by: batches, hidden names, sessions, leavers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::json;
use stipula::domain::message::Verdict;
use stipula::live::{Binding, ObservationKind};
use stipula::proxy::Settings;

use crate::rig::{Answer, Asked, CALL, MODERN, Rig, bound, modern, peer, soon, tool, unbound};

const GOOD: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"price":1}}}"#;

#[tokio::test]
async fn everything_else_passes_as_it_comes() {
    let rig = Rig::new(Some(bound(tool())), |asked| {
        let headers = [("mcp-session-id", "s"), ("www-authenticate", "x"), ("content-type", "a/b")];
        Answer::with(401, &headers, format!("{} {} {}", asked.method, asked.path, asked.text))
    })
    .await;
    let rows = [
        ("POST", "/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"x/unknown","y":[1]}"#),
        ("POST", "/mcp", r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#),
        ("POST", "/mcp", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        (
            "POST",
            "/mcp",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"free"}}"#,
        ),
        ("POST", "/mcp", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
        ("POST", "/token?x=1", "grant_type=x"),
        ("GET", "/mcp", ""),
        ("GET", "/.well-known/oauth-protected-resource/mcp", ""),
        ("DELETE", "/mcp", ""),
    ];
    for (method, path, text) in rows {
        let told = rig.caller().send(method, path, &[("origin", "http://localhost:1")], text).await;
        assert_eq!(told.status, 401, "{method} {path} {text}");
        assert_eq!(told.text, Bytes::from(format!("{method} {path} {text}")));
        assert_eq!(told.headers["www-authenticate"], "x");
        let asked = rig.asked().pop().unwrap();
        assert_eq!(asked.headers["origin"], "http://localhost:1");
    }
}

#[tokio::test]
async fn nothing_under_contract_gets_by_inside_a_batch() {
    let rig = Rig::new(Some(bound(tool())), |_| Answer::json("[]")).await;
    for hidden in [CALL.to_owned(), CALL.replace("search", "secret")] {
        let told =
            rig.post(&format!(r#"[{{"jsonrpc":"2.0","id":1,"method":"ping"}},{hidden}]"#)).await;
        assert_eq!((told.status, &told.json()["error"]["code"]), (400, &json!(-32600)));
    }
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn what_no_peer_should_read_is_refused_at_the_door() {
    let rig = Rig::new(Some(bound(tool())), |_| Answer::json(GOOD)).await;
    let rows = [
        ("{", 400, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call"}"#, 400, -32700),
        ("5", 400, -32600),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"search"}}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{}}"#, 400, -32600),
    ];
    for (text, status, code) in rows {
        let told = rig.post(text).await;
        assert_eq!((told.status, &told.json()["error"]["code"]), (status, &json!(code)), "{text}");
    }
    let unknown = rig.post(&CALL.replace("search", "secret")).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (200, &json!(-32602)));
    assert_eq!(unknown.json()["id"], 7);
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn a_modern_call_whose_headers_differ_from_its_body_is_refused() {
    let rig = Rig::new(Some(bound(tool())), |_| Answer::json(GOOD.replace('7', "\"a\""))).await;
    let body = modern(&json!({"q": "x"}));
    assert_eq!(rig.post_with(&MODERN, &body).await.status, 200);
    let rows: [Vec<(&str, &str)>; 3] = [
        MODERN[..2].to_vec(),
        vec![MODERN[0], MODERN[1], ("mcp-name", "other")],
        vec![("mcp-protocol-version", "2025-11-25"), MODERN[1], MODERN[2]],
    ];
    for headers in rows {
        let told = rig.post_with(&headers, &body).await;
        assert_eq!((told.status, &told.json()["error"]["code"]), (400, &json!(-32020)));
        assert_eq!(told.json()["id"], "a");
    }
    assert_eq!(rig.asked().len(), 1);
}

#[tokio::test]
async fn a_first_call_waits_for_the_seal() {
    let mut rig = Rig::new(Some(unbound()), |_| Answer::json(GOOD)).await;
    let agent = rig.caller();
    let call = tokio::spawn(async move { agent.post(CALL).await });
    let told = soon(rig.reserved.recv()).await.unwrap();
    assert!(matches!(told.kind, ObservationKind::FirstUse(_)));
    assert!(rig.asked().is_empty());
    rig.board.publish(peer(), bound(tool()), |_| ());
    assert_eq!(&soon(call).await.unwrap().text[..], GOOD.as_bytes());
    assert_eq!(soon(rig.fact()).await.verdict, Verdict::Kept);
}

#[tokio::test]
async fn a_first_call_passes_unbound_when_the_seal_does_not_come() {
    let settings = Settings { seal_wait_ms: 20, ..Default::default() };
    let rig = Rig::with(settings, Some(unbound()), |_| Answer::json("not judged")).await;
    assert_eq!(&rig.post(CALL).await.text[..], b"not judged");
    assert_eq!(&rig.post(CALL).await.text[..], b"not judged");
}

#[tokio::test]
async fn a_listing_passes_or_shows_the_promise() {
    let listed = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"find"}],"nextCursor":"x","ttlMs":900000,"cacheScope":"public","k":1.0}}"#;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let mut rig = Rig::new(Some(bound(tool())), move |_| Answer::json(listed)).await;
    assert_eq!(&rig.post(list).await.text[..], listed.as_bytes());
    let told = soon(rig.ordinary.recv()).await.unwrap();
    assert!(matches!(told.kind, ObservationKind::Listing(_)));
    let promise = Some(Bytes::from_static(br#"[{"name":"search"}]"#));
    let binding = Binding { promised_list: promise, ..bound(tool()) };
    rig.board.publish(peer(), binding, |_| ());
    let shown = rig.post(list).await.json();
    assert_eq!(
        shown["result"],
        json!({"tools": [{"name": "search"}], "ttlMs": 900_000, "cacheScope": "public", "k": 1.0})
    );
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let shown = rig.post(list).await.json();
    assert_eq!(
        (&shown["result"]["ttlMs"], &shown["result"]["cacheScope"]),
        (&json!(60_000), &json!("private"))
    );
}

#[tokio::test]
async fn an_agent_that_leaves_is_told_to_the_peer() {
    let mut rig = Rig::new(Some(bound(tool())), |_| Answer::silence()).await;
    let agent = rig.caller();
    let call = tokio::spawn(async move { agent.post(CALL).await.status });
    while rig.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    call.abort();
    soon(rig.left.recv()).await.unwrap();
}

#[tokio::test]
async fn a_relayed_stream_is_heard_to_say_that_tools_changed() {
    let stream = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
    let mut rig = Rig::new(Some(bound(tool())), move |_| Answer::stream(stream)).await;
    let response = rig.caller().open("GET", "/mcp", &[], "").await;
    assert_eq!(&response.into_body().collect().await.unwrap().to_bytes()[..], stream.as_bytes());
    let told = soon(rig.ordinary.recv()).await.unwrap();
    assert!(matches!(told.kind, ObservationKind::ListChanged));
}

#[tokio::test]
async fn a_peer_that_is_away_is_an_error_with_the_requests_id() {
    let rig = Rig::new(Some(bound(tool())), |_| Answer::cut("")).await;
    let told = rig.post(CALL).await.json();
    assert_eq!((&told["id"], &told["error"]["data"]["executed"]), (&json!(7), &json!("unknown")));
}

#[tokio::test]
async fn an_exchange_has_its_place_until_its_answer_has_ended() {
    let settings = Settings { exchanges: 1, ..Default::default() };
    let rig = Rig::with(settings, Some(bound(tool())), |asked| {
        if asked.method == "GET" { Answer::open_stream() } else { Answer::json(GOOD) }
    })
    .await;
    // A stream whose head was answered long ago is an exchange all the same.
    let stream = rig.caller().open("GET", "/mcp", &[], "").await;
    let refused = rig.post(CALL).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(
        refused.json(),
        json!({"jsonrpc": "2.0", "error": {
            "code": -32603, "message": "too many exchanges at once; try again",
        }})
    );
    assert!(rig.metrics.render().contains("stipula_limits_total{limit=\"exchanges\"} 1\n"));
    drop(stream);
    let served = async {
        while rig.post(CALL).await.status == 503 {
            tokio::task::yield_now().await;
        }
    };
    soon(served).await;
    for _ in 0..3 {
        assert_eq!(&rig.post(CALL).await.text[..], GOOD.as_bytes());
    }
}

#[tokio::test]
async fn no_exchange_begins_while_memory_is_critical() {
    let rig = Rig::new(Some(bound(tool())), |_| Answer::json(GOOD)).await;
    // A connection that is there stays; the agent's requests on it are refused one by one.
    let mut open = rig.caller().connected().await;
    assert_eq!(open.post(CALL).await.status, 200);
    rig.pressure.tell(95, 100);
    let refused = open.post(CALL).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(refused.json()["error"]["message"], "no memory for another exchange; try again");
    assert_eq!(rig.asked().len(), 1);
    rig.pressure.tell(94, 100);
    assert_eq!(open.post(CALL).await.status, 200);
    assert!(rig.metrics.render().contains("stipula_limits_total{limit=\"memory\"} 1\n"));
    // Who comes new is told at the door.
    assert_eq!(rig.post(CALL).await.status, 503);
    rig.pressure.tell(84, 100);
    assert_eq!(rig.post(CALL).await.status, 200);
    assert!(rig.metrics.render().contains("stipula_limits_total{limit=\"memory\"} 2\n"));
}

#[tokio::test]
async fn a_session_survives_its_peers_restart() {
    let restarted = Arc::new(AtomicBool::new(false));
    let after = Arc::clone(&restarted);
    let rig = Rig::new(Some(bound(tool())), move |asked: &Asked| {
        let current = if after.load(Ordering::SeqCst) { "two" } else { "one" };
        if asked.text.contains("\"initialize\"") {
            let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#;
            return Answer::with(
                200,
                &[("mcp-session-id", current), ("content-type", "application/json")],
                answer,
            );
        }
        if asked.headers.get("mcp-session-id").map(String::as_str) != Some(current) {
            return Answer::json("").status(404);
        }
        if asked.text.contains("initialized") {
            Answer::json("").status(202)
        } else {
            Answer::json(GOOD)
        }
    })
    .await;
    let open = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
    assert_eq!(rig.post(open).await.headers["mcp-session-id"], "one");
    let session = [("mcp-session-id", "one")];
    assert_eq!(rig.post_with(&session, CALL).await.status, 200);
    restarted.store(true, Ordering::SeqCst);
    assert_eq!(&rig.post_with(&session, CALL).await.text[..], GOOD.as_bytes());
    assert_eq!(&rig.post_with(&session, CALL).await.text[..], GOOD.as_bytes());
    let texts: Vec<String> = rig.asked().into_iter().map(|asked| asked.text).collect();
    assert_eq!(texts.len(), 2 + 4 + 1, "{texts:?}");
    // Another caller with the same id opens nothing.
    let stranger = [("mcp-session-id", "one"), ("authorization", "Bearer x")];
    assert_eq!(rig.post_with(&stranger, CALL).await.status, 404);
    // What its client ended stays ended.
    let asked = rig.caller().send("DELETE", "/mcp", &session, "").await.status;
    assert_eq!(asked, 200);
    assert_eq!(rig.asked().pop().unwrap().headers["mcp-session-id"], "two");
    assert_eq!(rig.post_with(&session, CALL).await.status, 404);
}
