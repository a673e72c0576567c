//! Replies: kept ones leave as the bytes that came, broken and malformed ones do not leave.

use serde_json::{Value, json};
use stipula::domain::message::{Executed, Verdict};
use stipula::live::{Mode, ToolBinding};

use crate::rig::{Answer, CALL, MODERN, Rig, bound, modern, routine, soon, tool};

#[tokio::test]
async fn a_kept_json_reply_leaves_as_the_bytes_that_came() {
    let body = "\n{ \"result\" : {\"content\":[],\"structuredContent\":{\"price\":1e2,\"x\":18446744073709551616}},\t\"id\":7,\"jsonrpc\":\"2.0\"} ";
    let mut rig = Rig::new(Some(bound(tool())), move |_| Answer::json(body)).await;
    let told = rig.post(CALL).await;
    assert_eq!((told.status, &told.text[..]), (200, body.as_bytes()));
    assert_eq!(rig.asked()[0].text, CALL);
    let fact = soon(rig.fact()).await;
    assert_eq!((fact.verdict, fact.executed), (Verdict::Kept, Executed::Yes));
    assert_eq!(fact.reply_digest, Some(stipula::domain::message::Digest::of(body.as_bytes())));
    let sample = fact.sample.unwrap();
    assert_eq!(&sample.arguments[..], br#"{"q":"oslo"}"#);
    assert_eq!(&sample.structured.unwrap()[..], br#"{"price":1e2,"x":18446744073709551616}"#);
}

#[tokio::test]
async fn a_kept_event_stream_leaves_as_the_bytes_that_came() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = [
            "id: 1",
            "data:",
            "",
            ": hello",
            "",
            "event: message",
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}",
            "",
            "data: {\"jsonrpc\":\"2.0\",\"id\":7,",
            "data: \"result\":{\"structuredContent\":{\"price\":2}}}",
            "id: 9",
            "",
            "",
        ]
        .join(end);
        let answer = stream.clone();
        let rig = Rig::new(Some(bound(tool())), move |_| Answer::stream(&answer)).await;
        let told = rig.post(CALL).await;
        assert_eq!(String::from_utf8_lossy(&told.text), stream, "{end:?}");
        assert_eq!(told.headers["content-type"], "text/event-stream");
    }
}

#[tokio::test]
async fn what_is_no_reply_is_refused_with_the_requests_id() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7,"result":{{"structuredContent":{}1{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let good = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"price":1}}}"#;
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("truncated", good.as_bytes()[..good.len() - 3].to_vec()),
        ("doubled", [good, good].concat().into_bytes()),
        (
            "duplicate key",
            good.replace("\"price\":1", "\"price\":1,\"pr\\u0069ce\":2").into_bytes(),
        ),
        ("too deep", deep.into_bytes()),
        (
            "not UTF-8",
            good.replace("price", "pr\u{0}ce")
                .into_bytes()
                .iter()
                .map(|b| if *b == 0 { 0xff } else { *b })
                .collect(),
        ),
        ("not JSON", b"<html>busy</html>".to_vec()),
        ("empty", Vec::new()),
        ("another id", good.replace("\"id\":7", "\"id\":8").into_bytes()),
        ("a string id", good.replace("\"id\":7", "\"id\":\"7\"").into_bytes()),
        ("no id", good.replace("\"id\":7,", "").into_bytes()),
        (
            "result and error",
            good.replace("\"id\":7", "\"id\":7,\"error\":{\"code\":1}").into_bytes(),
        ),
        ("neither", br#"{"jsonrpc":"2.0","id":7}"#.to_vec()),
        ("a notification", br#"{"jsonrpc":"2.0","method":"x"}"#.to_vec()),
        (
            "unknown resultType",
            good.replace("{\"structured", "{\"resultType\":\"weird\",\"structured").into_bytes(),
        ),
    ];
    for (name, body) in rows {
        let as_stream = [b"event: message\ndata: ".as_slice(), &body, b"\n\n"].concat();
        let notification = name == "a notification" || name == "empty";
        let mut rig = Rig::new(Some(bound(tool())), move |_| Answer::json(&body)).await;
        malformed(name, &rig.post(CALL).await.text);
        let fact = soon(rig.named()).await;
        assert_eq!((fact.verdict, fact.executed), (Verdict::Refused, Executed::Unknown), "{name}");
        if !notification {
            let rig = Rig::new(Some(bound(tool())), move |_| Answer::stream(&as_stream)).await;
            malformed(name, data(&rig.post(CALL).await.text));
        }
    }
    let rig = Rig::new(Some(bound(tool())), |_| Answer::cut(good_start())).await;
    malformed("cut body", &rig.post(CALL).await.text);
}

fn good_start() -> &'static str {
    r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"price":1}}}"#
}

fn malformed(name: &str, text: &[u8]) {
    let told: Value = serde_json::from_slice(text).unwrap_or_else(|_| panic!("{name}: {text:?}"));
    assert_eq!(told["id"], 7, "{name}");
    assert_eq!(told["error"]["code"], -31002, "{name}: {told}");
    assert_eq!(told["error"]["data"]["executed"], "unknown", "{name}");
}

/// The data of the last event.
fn data(stream: &[u8]) -> &[u8] {
    let at = stream.windows(6).rposition(|window| window == b"data: ").unwrap() + 6;
    stream[at..].trim_ascii_end()
}

#[tokio::test]
async fn a_broken_promise_of_a_call_that_ran_is_an_error_result() {
    let body = r#"{"jsonrpc":"2.0","id":"a","result":{"content":[],"structuredContent":{"price":"9"},"resultType":"complete"}}"#;
    let settings = stipula::proxy::Settings { heal_wait_ms: 20, ..Default::default() };
    let mut rig = Rig::with(settings, Some(bound(tool())), move |_| Answer::json(body)).await;
    let told = rig.post_with(&MODERN, &modern(&json!({"q": "x"}))).await;
    let result = &told.json()["result"];
    let verdict = &result["_meta"]["dev.stipula/verdict"];
    assert_eq!((told.status, &told.json()["id"]), (200, &json!("a")));
    assert_eq!((&result["isError"], &result["resultType"]), (&json!(true), &json!("complete")));
    assert!(result.get("structuredContent").is_none());
    assert_eq!(
        (&verdict["verdict"], &verdict["executed"], &verdict["code"], &verdict["version"]),
        (&json!("refused"), &json!(true), &json!(-31002), &json!("1.0.0"))
    );
    let signal = soon(rig.named()).await;
    assert!(signal.held.is_some());
    assert_eq!(signal.violations[0].pointer, "/price");
    let end = soon(rig.named()).await;
    assert_eq!((end.held, end.verdict), (None, Verdict::Refused));
}

#[tokio::test]
async fn modes_and_exemptions_let_a_broken_reply_through() {
    let broken = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;
    let error = r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true,"structuredContent":{"price":"9"},"content":[]}}"#;
    let more =
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"x"}}"#;
    let task = r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"task","taskId":"x"}}"#;
    let never_kept = || ToolBinding { kept: false.into(), ..tool() };
    let rows = [
        ("observe", ToolBinding { mode: Mode::Observe, ..tool() }, broken, Verdict::Waived),
        ("never kept", never_kept(), broken, Verdict::Waived),
        ("isError", tool(), error, Verdict::Kept),
        ("input required", tool(), more, Verdict::Kept),
        ("task", tool(), task, Verdict::Kept),
    ];
    for (name, tool, body, verdict) in rows {
        let mut rig = Rig::new(Some(bound(tool)), move |_| Answer::json(body)).await;
        let told = rig.post(CALL).await;
        assert_eq!(&told.text[..], body.as_bytes(), "{name}");
        let fact = match verdict {
            Verdict::Waived => soon(rig.named()).await,
            _ => soon(rig.fact()).await,
        };
        assert_eq!(fact.verdict, verdict, "{name}");
    }
}

#[tokio::test]
async fn warn_marks_what_it_lets_through() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"_meta":{"k":1},"content":[]}}"#;
    let tool = ToolBinding { mode: Mode::Warn, ..tool() };
    let rig = Rig::new(Some(bound(tool)), move |_| Answer::json(body)).await;
    let meta = &rig.post(CALL).await.json()["result"]["_meta"];
    assert_eq!(meta["k"], 1);
    assert_eq!(meta["dev.stipula/verdict"]["verdict"], "waived");
}

#[tokio::test]
async fn a_write_that_lost_a_field_is_delivered_with_its_name() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"structuredContent":{"ref":1}}}"#;
    let settings = stipula::proxy::Settings { heal_wait_ms: 20, ..Default::default() };
    let tool = ToolBinding { read_only: false, read_only_hint: false, ..tool() };
    let rig = Rig::with(settings, Some(bound(tool)), move |_| Answer::json(body)).await;
    let told = rig.post(CALL).await.json();
    assert_eq!(told["result"]["structuredContent"], json!({"ref": 1}));
    let verdict = &told["result"]["_meta"]["dev.stipula/verdict"];
    assert_eq!((&verdict["verdict"], &verdict["missing"]), (&json!("waived"), &json!(["/price"])));
}

#[tokio::test]
async fn a_mended_reply_changes_in_three_places_and_nowhere_else() {
    let body = "{\"jsonrpc\":\"2.0\", \"id\":7,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"cost\\\": 5}\"},{\"type\":\"text\",\"text\":\"five\"}],\"structuredContent\":{\"cost\":5.0},\"x\":[1 , 2]}}";
    let healed = ToolBinding {
        routine: routine(json!({"reply": [{"op": "move", "from": "/cost", "to": "/price"}]})),
        ..tool()
    };
    let mut rig = Rig::new(Some(bound(healed)), move |_| Answer::json(body)).await;
    let told = rig.post(CALL).await;
    let text = String::from_utf8(told.text.to_vec()).unwrap();
    let note = told.json()["result"]["_meta"]["dev.stipula/verdict"].clone();
    assert_eq!((&note["verdict"], &note["executed"]), (&json!("mended"), &json!(true)));
    let meta = text.find("\"_meta\":").unwrap();
    let after = text[meta..].find("\"content\"").unwrap() + meta;
    let rest = format!("{}{}", &text[..meta], &text[after..]);
    let expected = body
        .replace(r#"{"cost":5.0}"#, r#"{"price":5.0}"#)
        .replace(r#""{\"cost\": 5}""#, r#""{\"price\":5.0}""#);
    assert_eq!(rest, expected);
    let fact = soon(rig.fact()).await;
    assert_eq!(fact.verdict, Verdict::Mended);
    assert!(fact.mended_by.is_some());
}

#[tokio::test]
async fn a_mended_event_keeps_its_other_lines() {
    let stream = "event: message\r\nid: 4\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"structuredContent\":{\"cost\":5}}}\r\n\r\n";
    let healed = ToolBinding {
        routine: routine(json!({"reply": [{"op": "move", "from": "/cost", "to": "/price"}]})),
        ..tool()
    };
    let rig = Rig::new(Some(bound(healed)), move |_| Answer::stream(stream)).await;
    let text = String::from_utf8(rig.post(CALL).await.text.to_vec()).unwrap();
    assert!(text.starts_with("event: message\r\nid: 4\r\ndata: {"), "{text}");
    assert!(text.ends_with("\"structuredContent\":{\"price\":5}}}\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_stream_that_ends_without_a_reply_gets_an_error_with_the_id() {
    let stream = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let rig = Rig::new(Some(bound(tool())), move |_| Answer::stream(stream)).await;
    let text = rig.post(CALL).await.text;
    assert!(text.starts_with(stream.as_bytes()));
    malformed("ended", data(&text));
    // One that can be resumed ends as it did: its reader comes back.
    let stream = "id: 1\ndata:\n\n";
    let rig = Rig::new(Some(bound(tool())), move |_| Answer::stream(stream)).await;
    assert_eq!(&rig.post(CALL).await.text[..], stream.as_bytes());
}

#[tokio::test]
async fn nothing_is_waived_that_no_record_can_name_on_a_tool_that_may_write() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;
    let never_kept = || ToolBinding { kept: false.into(), read_only: false, ..tool() };
    let rig = Rig::new(Some(bound(never_kept())), move |_| Answer::json(body)).await;
    assert_eq!(&rig.post(CALL).await.text[..], body.as_bytes());
    rig.fill_the_reserved_lane();
    let told = rig.post(CALL).await.json();
    assert_eq!(told["result"]["isError"], true, "{told}");
    assert_eq!(told["result"]["_meta"]["dev.stipula/verdict"]["executed"], true);
}
