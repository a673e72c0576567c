//! Both APIs against a server on loopback that speaks them, well and badly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use schemars::schema_for;
use serde_json::{Value, json};

use super::*;
use crate::domain::message::Secret;
use crate::domain::routine::ToolRoutine;
use crate::wire::transport::body::Body;
use crate::wire::transport::loopback::{serve, whole};
use crate::wire::transport::server::Server;
use crate::wire::transport::upstream::Endpoint;

const WITHIN: Duration = Duration::from_secs(20);
const KEY: &str = "sk-canary-7f3a";

/// What the server was asked: path and query, headers, body.
type Asked = Arc<Mutex<Vec<(String, http::HeaderMap, Value)>>>;

/// A server that always answers this.
fn answering(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (Server, Asked) {
    let asked = Asked::default();
    let (seen, body) = (Arc::clone(&asked), body.into());
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let server = serve(move |request: Request<Body>| {
        let (seen, body, headers) = (Arc::clone(&seen), body.clone(), headers.clone());
        async move {
            let (head, text) = request.into_parts();
            let text = whole(text).await;
            let json = serde_json::from_slice(&text).unwrap_or_default();
            seen.lock().unwrap().push((head.uri.to_string(), head.headers, json));
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::full(body)).unwrap()
        }
    });
    (server, asked)
}

fn settings(kind: Kind) -> Settings {
    Settings {
        kind,
        model: "m-1".to_owned(),
        key: Some(Secret::new(KEY)),
        api_version: None,
        constraint: Constraint::Schema,
        max_tokens: 1_000,
        reply_bytes: 64 * 1024,
    }
}

fn provider(server: &Server, base: &str, settings: Settings) -> Provider {
    let url = format!("http://{}{base}", server.local_addr());
    Provider::new(Arc::new(Endpoint::new(&url, Default::default()).unwrap()), settings).unwrap()
}

fn schema() -> Value {
    schema_for!(ToolRoutine).to_value()
}

async fn ask(provider: &Provider) -> Heard {
    let turns = [
        Turn::Ours("question".to_owned()),
        Turn::Theirs("{}".to_owned()),
        Turn::Ours("no".to_owned()),
    ];
    provider.ask(provider.request("system", &schema(), &turns), WITHIN).await
}

const KINDS: [Kind; 4] = [Kind::Anthropic, Kind::OpenAi, Kind::AzureOpenAi, Kind::OpenAiCompatible];

/// A good answer in the words of an API, with this text as the model's.
fn good(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Anthropic => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "c2ln"},
                {"type": "text", "text": text},
            ],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 5},
        }),
        _ => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": text, "refusal": null}}],
            "usage": {"prompt_tokens": 105, "completion_tokens": 20, "total_tokens": 125},
        }),
    }
}

/// The same with another reason to stop.
fn stopped(kind: Kind, reason: &str) -> Value {
    let mut body = good(kind, "{\"call\":");
    match kind {
        Kind::Anthropic => body["stop_reason"] = json!(reason),
        _ => body["choices"][0]["finish_reason"] = json!(reason),
    }
    body
}

async fn heard(kind: Kind, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Heard {
    let (server, _) = answering(status, headers, body);
    ask(&provider(&server, "", settings(kind))).await
}

#[tokio::test]
async fn a_routine_is_heard_from_every_kind_of_provider() {
    let routine =
        json!({"call": "issue_read", "request": [{"op": "set", "at": "/method", "value": "get"}]});
    for kind in KINDS {
        for text in
            [routine.to_string(), format!("```json\n{routine}\n```"), format!(" {routine}\n")]
        {
            let heard = heard(kind, 200, &[], good(kind, &text).to_string()).await;
            assert_eq!(heard.answer, Ok(routine.clone()), "{kind:?}");
            assert_eq!(heard.usage, Some(Usage { input: 105, output: 20 }), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn each_provider_is_asked_in_its_own_words() {
    for (kind, base, version, path, key) in [
        (Kind::Anthropic, "", None, "/v1/messages", ("x-api-key", KEY.to_owned())),
        (
            Kind::OpenAi,
            "/v1",
            None,
            "/v1/chat/completions",
            ("authorization", format!("Bearer {KEY}")),
        ),
        (
            Kind::AzureOpenAi,
            "/openai/deployments/d",
            Some("2024-10-21"),
            "/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ("api-key", KEY.to_owned()),
        ),
        (
            Kind::AzureOpenAi,
            "/openai/v1/",
            None,
            "/openai/v1/chat/completions",
            ("api-key", KEY.to_owned()),
        ),
        (
            Kind::OpenAiCompatible,
            "/v1/",
            None,
            "/v1/chat/completions",
            ("authorization", format!("Bearer {KEY}")),
        ),
    ] {
        let (server, asked) = answering(200, &[], good(kind, "{}").to_string());
        let settings = Settings { api_version: version.map(str::to_owned), ..settings(kind) };
        assert_eq!(ask(&provider(&server, base, settings)).await.answer, Ok(json!({})));
        let (uri, headers, body) = asked.lock().unwrap().pop().unwrap();
        assert!(uri.ends_with(path), "{uri} {path}");
        assert_eq!(headers[key.0], key.1, "{kind:?}");
        let proofs = ["x-api-key", "authorization", "api-key"];
        assert_eq!(proofs.iter().filter(|name| headers.contains_key(**name)).count(), 1);
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(body["model"], "m-1");
        assert!(body.get("temperature").is_none() && body.get("tools").is_none());
        let roles: Vec<&str> = body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["role"].as_str())
            .collect();
        if kind == Kind::Anthropic {
            assert_eq!(headers["anthropic-version"], "2023-06-01");
            assert_eq!(roles, ["user", "assistant", "user"]);
            assert_eq!((&body["system"], &body["max_tokens"]), (&json!("system"), &json!(1_000)));
            assert_eq!(body["output_config"]["format"]["type"], "json_schema");
            assert!(body["output_config"]["format"]["schema"]["properties"]["call"].is_object());
        } else {
            assert_eq!(roles, ["system", "user", "assistant", "user"]);
            let compatible = kind == Kind::OpenAiCompatible;
            let bound = if compatible { "max_tokens" } else { "max_completion_tokens" };
            assert_eq!(body[bound], 1_000, "{body}");
            let format = &body["response_format"];
            assert_eq!(format["type"], "json_schema");
            assert_eq!(format["json_schema"]["strict"], true);
            assert!(format["json_schema"]["name"].is_string());
        }
    }
}

#[tokio::test]
async fn a_tool_carries_the_answer_where_it_is_asked_for() {
    let mut body = good(Kind::Anthropic, "I call it.");
    let call =
        json!({"type": "tool_use", "id": "t", "name": "propose_routine", "input": {"call": "b"}});
    body["content"].as_array_mut().unwrap().push(call);
    body["stop_reason"] = json!("tool_use");
    let (server, asked) = answering(200, &[], body.to_string());
    let by_tool = Settings { constraint: Constraint::Tool, ..settings(Kind::Anthropic) };
    let heard = ask(&provider(&server, "", by_tool.clone())).await;
    assert_eq!(heard.answer, Ok(json!({"call": "b"})));
    let (_, _, sent) = asked.lock().unwrap().pop().unwrap();
    // Models that always think refuse a forced tool.
    assert_eq!(sent["tool_choice"]["type"], "auto");
    assert_eq!(sent["tools"][0]["input_schema"]["properties"]["request"]["type"], "array");
    assert!(sent.get("output_config").is_none());

    let (server, _) = answering(200, &[], good(Kind::Anthropic, "{}").to_string());
    let without = ask(&provider(&server, "", by_tool)).await.answer;
    assert!(matches!(without, Err(Failure::NotJson(_))), "{without:?}");
}

#[tokio::test]
async fn what_is_no_answer_of_the_api_is_named() {
    for kind in KINDS {
        for body in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            "\"text\"",
            "<html>ok</html>",
            "{\"a\":1,\"a\":2}",
            "{\"error\":{}}",
            "{\"choices\":[]}",
            "{\"choices\":[{}]}",
            "{\"type\":\"message\",\"content\":\"text\"}",
            "{\"type\":\"message\",\"content\":[]}",
        ] {
            let heard = heard(kind, 200, &[], body).await;
            assert!(
                matches!(heard.answer, Err(Failure::Malformed(_))),
                "{kind:?} {body} {heard:?}"
            );
        }
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(matches!(heard(kind, 200, &[], deep).await.answer, Err(Failure::Malformed(_))));
        let bad = heard(kind, 200, &[], Bytes::from_static(b"{\"type\":\"\xff\"}")).await;
        assert!(matches!(bad.answer, Err(Failure::Malformed(_))), "{bad:?}");
        let odd = heard(kind, 200, &[], stopped(kind, "because").to_string()).await;
        assert!(matches!(odd.answer, Err(Failure::Malformed(_))), "{odd:?}");
    }
}

#[tokio::test]
async fn a_model_that_stops_early_or_declines_is_understood() {
    for (kind, reason, expected) in [
        (Kind::Anthropic, "max_tokens", Failure::CutOff),
        (Kind::Anthropic, "model_context_window_exceeded", Failure::CutOff),
        (Kind::Anthropic, "refusal", Failure::Declined),
        (Kind::OpenAi, "length", Failure::CutOff),
        (Kind::OpenAiCompatible, "length", Failure::CutOff),
        (Kind::AzureOpenAi, "content_filter", Failure::Declined),
    ] {
        let heard = heard(kind, 200, &[], stopped(kind, reason).to_string()).await;
        assert_eq!(heard.answer, Err(expected), "{kind:?} {reason}");
        // What was written up to there is charged.
        assert_eq!(heard.usage, Some(Usage { input: 105, output: 20 }));
    }
    let mut body = good(Kind::OpenAi, "");
    body["choices"][0]["message"] = json!({"role": "assistant", "content": null, "refusal": "no"});
    let refused = heard(Kind::OpenAi, 200, &[], body.to_string()).await;
    assert_eq!(refused.answer, Err(Failure::Declined));
}

#[tokio::test]
async fn a_model_that_answers_with_words_or_too_much_is_not_taken() {
    for kind in KINDS {
        for text in
            ["Certainly! Here it is: {}", "{} {}", "{\"call\":1,\"call\":2}", "", "```\n{\n```"]
        {
            let heard = heard(kind, 200, &[], good(kind, text).to_string()).await;
            assert!(matches!(heard.answer, Err(Failure::NotJson(_))), "{kind:?} {text} {heard:?}");
        }
        let long = format!("\"{}\"", "x".repeat(70_000));
        let (server, _) = answering(200, &[], good(kind, &long).to_string());
        let roomy = Settings { reply_bytes: 1 << 20, ..settings(kind) };
        let heard = ask(&provider(&server, "", roomy)).await;
        assert_eq!(heard.answer, Err(Failure::TooLong(64 * 1024)));
    }
}

#[tokio::test]
async fn a_status_is_told_with_its_word_and_its_pause_and_nothing_else() {
    let error = |kind: Kind, word: &str| match kind {
        Kind::Anthropic => json!({"type": "error", "request_id": "r",
            "error": {"type": word, "message": format!("key {KEY} …")}}),
        _ => json!({"error": {"type": word, "code": null, "message": format!("key {KEY} …")}}),
    };
    for kind in KINDS {
        for (status, headers, word, pause) in [
            (429, &[("retry-after", "7")][..], "rate_limit_error", Some(7_000)),
            (429, &[("retry-after", "0.5")], "rate_limit_exceeded", Some(500)),
            (429, &[("retry-after-ms", "20"), ("retry-after", "1")], "slow_down", Some(20)),
            (429, &[("retry-after", "1e300")], "slow_down", Some(3_600_000)),
            (503, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], "unavailable", None),
            (529, &[], "overloaded_error", None),
            (500, &[], "api_error", None),
            (401, &[], "authentication_error", None),
            (400, &[], "invalid_request_error", None),
        ] {
            let heard = heard(kind, status, headers, error(kind, word).to_string()).await;
            let expected =
                Failure::Status { status, word: Some(word.to_owned()), retry_after_ms: pause };
            assert_eq!(heard, Heard { usage: None, answer: Err(expected) }, "{kind:?} {status}");
            assert!(!format!("{heard:?}").contains(KEY));
        }
        // A word of theirs that is more than a word is left out, and so is a page.
        for body in [error(kind, "No! See https://x").to_string(), "<html>".to_owned()] {
            let heard = heard(kind, 500, &[], body).await;
            let Err(Failure::Status { word: None, .. }) = heard.answer else { panic!("{heard:?}") };
        }
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (other, asked_there) = answering(200, &[], good(Kind::Anthropic, "{}").to_string());
    let there = format!("http://{}/v1/messages", other.local_addr());
    for status in [301, 302, 307, 308] {
        for kind in KINDS {
            let heard = heard(kind, status, &[("location", &there)], "").await;
            assert!(
                matches!(heard.answer, Err(Failure::Status { status: told, .. }) if told == status),
                "{heard:?}"
            );
        }
    }
    assert!(asked_there.lock().unwrap().is_empty());
}

#[tokio::test]
async fn more_bytes_than_are_taken_are_not_read() {
    let huge = Bytes::from(vec![b' '; 8 << 20]);
    for kind in KINDS {
        for status in [200, 500] {
            let heard = heard(kind, status, &[], huge.clone()).await;
            assert_eq!(heard.answer, Err(Failure::TooLong(64 * 1024)), "{kind:?} {status}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up_in_time() {
    // The head comes, then one byte, then nothing more; or nothing at all.
    let drip = serve(|_| async {
        let (sender, body) = Body::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Bytes::from_static(b" ")).await;
            sender.closed().await;
        });
        Response::new(body)
    });
    let silent = serve(|_| async { std::future::pending::<Response<Body>>().await });
    for (server, kind) in [(&drip, Kind::Anthropic), (&silent, Kind::OpenAi)] {
        let provider = provider(server, "", settings(kind));
        let request = provider.request("system", &schema(), &[Turn::Ours("question".to_owned())]);
        let heard = provider.ask(request, Duration::from_millis(50)).await;
        assert_eq!(heard.answer, Err(Failure::Slow(50)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_and_a_server_that_is_not_there_are_no_answer() {
    let broken = serve(|_| async {
        let (sender, body) = Body::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Bytes::from_static(b"{\"type\":")).await;
            sender.fail().await;
        });
        Response::new(body)
    });
    let heard = ask(&provider(&broken, "", settings(Kind::Anthropic))).await;
    assert!(matches!(heard.answer, Err(Failure::Unreachable(_))), "{heard:?}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let endpoint = Arc::new(Endpoint::new(&url, Default::default()).unwrap());
    let gone = Provider::new(endpoint, settings(Kind::OpenAi)).unwrap();
    let heard = ask(&gone).await;
    assert!(matches!(heard.answer, Err(Failure::Unreachable(_))), "{heard:?}");
}

#[test]
fn a_key_is_not_told() {
    let endpoint = Arc::new(Endpoint::new("http://127.0.0.1:9", Default::default()).unwrap());
    for kind in KINDS {
        let told = format!("{:?}", Provider::new(Arc::clone(&endpoint), settings(kind)).unwrap());
        assert!(!told.contains(KEY), "{told}");
    }
    let bad = Settings { key: Some(Secret::new("sk\nx")), ..settings(Kind::OpenAi) };
    let told = Provider::new(endpoint, bad).unwrap_err();
    assert!(told.contains("the key has characters"), "{told}");
}

/// Everything below a schema that is a schema's object.
fn walk<'s>(schema: &'s Value, found: &mut Vec<&'s serde_json::Map<String, Value>>) {
    match schema {
        Value::Object(members) => {
            found.push(members);
            members.values().for_each(|below| walk(below, found));
        }
        Value::Array(items) => items.iter().for_each(|below| walk(below, found)),
        _ => {}
    }
}

#[test]
fn the_grammar_stays_within_what_providers_take() {
    for optional in [Optional::LeftOut, Optional::Null] {
        let closed = closed(&schema(), optional);
        let mut parts = Vec::new();
        walk(&closed, &mut parts);
        let (mut left_out, mut unions) = (0, 0);
        for part in &parts {
            for keyword in ["oneOf", "default", "format", "minimum", "title", "$schema"] {
                let is_property = part.get(keyword).is_some_and(|it| it.get("type").is_some());
                assert!(is_property || !part.contains_key(keyword), "{keyword} in {part:?}");
            }
            let Some(Value::Object(properties)) = part.get("properties") else { continue };
            assert_eq!(part["additionalProperties"], false, "{part:?}");
            let required = part["required"].as_array().unwrap();
            left_out += properties.keys().filter(|name| !required.contains(&json!(name))).count();
            let is_union = |it: &&Value| it.get("anyOf").is_some() || it["type"].is_array();
            unions += properties.values().filter(is_union).count();
        }
        if optional == Optional::Null {
            assert_eq!(left_out, 0);
        } else {
            assert!(left_out <= 24, "{left_out} members may be left out, 24 are taken");
            assert!(unions <= 16, "{unions} unions, 16 are taken");
        }
        // Nothing refers back to itself: the last level has no operation within an operation.
        let last = closed["$defs"]["Step"].to_string();
        assert!(last.contains("\"move\"") && !last.contains("$defs/Step"), "{last}");
        assert!(!closed["$defs"].to_string().contains("$defs/Op\""), "it is recursive");
    }
}

#[test]
fn what_the_grammar_admits_is_a_routine() {
    use crate::domain::contract::Schema;
    use serde::Deserialize as _;
    let strict = Schema::compile(&closed(&schema(), Optional::Null)).unwrap();
    let loose = Schema::compile(&closed(&schema(), Optional::LeftOut)).unwrap();
    let answer = json!({
        "call": null,
        "request": [
            {"op": "move", "from": "/a", "to": "/b", "optional": false},
            {"op": "set", "at": "/c", "value": "x"},
            {"op": "each", "at": "/l", "ops": [{"op": "cast", "at": "/n", "to": "string"}]},
            {"op": "cases", "at": "/k", "when": [{"is": null, "ops": []}], "else": null},
        ],
        "reply": [],
        "errors": [],
        "gone": [],
    });
    assert_eq!(strict.violations_value(&answer), []);
    ToolRoutine::deserialize(&answer).unwrap();
    let answer = json!({"request": [{"op": "move", "from": "/a", "to": "/b"}]});
    assert_eq!(loose.violations_value(&answer), []);
    assert!(!strict.admits_value(&answer));
    ToolRoutine::deserialize(&answer).unwrap();
    assert!(!loose.admits_value(&json!({"request": [{"op": "exec", "at": "/a"}]})));
}
