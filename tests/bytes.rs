//! What leaves is what came, byte by byte, or a refusal that a client survives: the real binary in
//! front of a peer that writes whatever bytes it is told.

mod stage;

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use stage::{Agent, Answer, Peer, Said, Sidecar};

/// What the sidecar may hold, in MiB, whatever passes.
const MOST_MIB: u64 = 200;
/// One tool without an output schema, one with.
const TOOLS: [&str; 2] = ["plain", "typed"];

fn tools() -> Value {
    let input = json!({ "type": "object", "properties": {} });
    let output = json!({ "type": "object", "properties": { "ok": { "type": "boolean" } }, "required": ["ok"] });
    json!([
        { "name": "plain", "inputSchema": input, "annotations": { "readOnlyHint": true } },
        { "name": "typed", "inputSchema": input, "outputSchema": output, "annotations": { "readOnlyHint": true } },
    ])
}

/// Text that does not pack well.
fn noise(length: usize) -> String {
    let mut dice = StdRng::seed_from_u64(20_261_121);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..length).map(|_| char::from(alphabet[dice.random_range(0..alphabet.len())])).collect()
}

fn tiny_objects(count: u32) -> String {
    let mut dice = StdRng::seed_from_u64(7);
    let row = |_| format!(r#"{{"a":{}}}"#, dice.random_range(0..1_000_000_u32));
    (0..count).map(row).collect::<Vec<_>>().join(",")
}

/// Results that keep their promise, as text.
fn kept() -> Vec<(&'static str, String)> {
    let with = |more: &str| format!(r#"{{"ok":true,"more":{more}}}"#);
    vec![
        ("10 kB", with(&format!("{:?}", noise(10_000)))),
        ("1 MB", with(&format!("{:?}", noise(1_000_000)))),
        ("16 MB", with(&format!("{:?}", noise(16_000_000)))),
        ("300,000 objects", with(&format!("[{}]", tiny_objects(300_000)))),
        (
            "long integers",
            with(
                "[9007199254740993,9223372036854775807,-9223372036854775808,18446744073709551615,123456789012345678901234567890]",
            ),
        ),
        ("numbers as written", with("[1E2,-0,1e400,-0.0,1.10,1e-400,0.1e+1]")),
        (
            "key order and space",
            "{ \"z\" : 1 ,\n\t\"ok\"\r\n: true , \"10\":{ } ,\"a\" :[ ]  }".to_owned(),
        ),
        ("escapes", with(r#""\u0041\/\u00e9é\b\f\ud83d\ude00 \u2028 \\u0041""#)),
        ("lone surrogates", with(r#"["\ud800","\udc00x","a\ud83d"]"#)),
    ]
}

fn reply(id: &str, structured: &str) -> String {
    format!(
        " {{\"result\": {{\"content\":[{{\"type\":\"text\",\"text\":\"as it came \\u00e9\"}}],\"structuredContent\":{structured},\"_meta\":{{\"x\":1E2}}}},\n\"id\":{id} ,\"jsonrpc\":\"2.0\"}}\n"
    )
}

/// The message as an event stream that ends its lines so.
fn events(message: &str, end: &str) -> String {
    let mut text = format!(": hello{end}{end}event: message{end}id: e-1{end}");
    for line in message.split('\n') {
        // A carriage return would end the line; white space is as good there.
        text.push_str(&format!("data: {}{end}", line.replace('\r', " ")));
    }
    text + end
}

fn packed(message: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

struct Scene {
    peer: Peer,
    sidecar: Sidecar,
    agent: Agent,
    _state: tempfile::TempDir,
}

impl Scene {
    /// Both tools have kept their terms once.
    async fn new() -> Self {
        let peer = Peer::start(tools(), |asked| asked.result(r#"{"ok":true}"#)).await;
        let state = tempfile::tempdir().unwrap();
        // The replies of `plain` have nothing in common, and no terms are to be inferred from them.
        let none = "inference: { samples: 0 }";
        let sidecar = Sidecar::start_configured(&peer, state.path(), none).await;
        let agent = Agent::connect(sidecar.proxy).await;
        let mut scene = Self { peer, sidecar, agent, _state: state };
        scene.is_well("at the start").await;
        scene
    }

    /// What an agent is told when the peer answers so.
    async fn told(
        &mut self,
        tool: &str,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Said {
        self.peer.reply(move |asked| answer(&asked.id));
        self.agent.call(tool, &json!({})).await
    }

    /// The session lives: good calls work in it. Nor did the sidecar hold too much.
    async fn is_well(&mut self, when: &str) {
        for tool in TOOLS {
            let said = self.told(tool, |id| Answer::json(reply(id, r#"{"ok":true}"#))).await;
            assert_eq!(said.structured().unwrap(), json!({ "ok": true }), "{when}, {tool}");
        }
        assert!(self.peer.knows(self.agent.session.as_deref().unwrap()), "{when}");
        let most = self.sidecar.most_held_mib();
        assert!(most < MOST_MIB, "{when}: {most} MiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_replies_leave_as_they_came() {
    let mut scene = Scene::new().await;
    let mut compared = 0;
    for (name, structured) in kept() {
        for tool in TOOLS {
            for framing in ["json", "lf", "crlf", "gzip"] {
                let row = format!("{name}, {tool}, {framing}");
                let message = structured.clone();
                let said = scene
                    .told(tool, move |id| {
                        let message = reply(id, &message);
                        match framing {
                            "json" => Answer::json(message),
                            "lf" => Answer::stream(events(&message, "\n")),
                            "crlf" => Answer::stream(events(&message, "\r\n")),
                            _ => {
                                let mut answer = Answer::json(packed(&message));
                                answer.headers.push(("content-encoding", "gzip".to_owned()));
                                answer
                            }
                        }
                    })
                    .await;
                let message = reply(&said.id.to_string(), &structured);
                let expected = match framing {
                    "lf" => events(&message, "\n"),
                    "crlf" => events(&message, "\r\n"),
                    _ => message,
                };
                assert_eq!(said.status, 200, "{row}");
                assert!(said.headers.get("content-encoding").is_none(), "{row}");
                assert!(said.body == expected.as_bytes(), "{row}: {:?}", head(&said));
                compared += 1;
            }
        }
        scene.is_well(name).await;
    }
    println!(
        "{compared} replies byte-identical; {} MiB held at most",
        scene.sidecar.most_held_mib()
    );
}

fn head(said: &Said) -> String {
    String::from_utf8_lossy(&said.body[..said.body.len().min(400)]).into_owned()
}

/// What it is called, and what the peer answers to a request with this id.
type Row = (&'static str, fn(&str) -> Answer);

/// Bodies that are no reply to the request.
fn malformed() -> Vec<Row> {
    vec![
        ("truncated text", |id| {
            let message = reply(id, r#"{"ok":true}"#);
            Answer::json(message[..message.len() - 20].to_owned())
        }),
        ("truncated body", |id| Answer { cut: true, ..Answer::json(reply(id, r#"{"ok":true}"#)) }),
        ("empty", |_| Answer::json("")),
        ("doubled", |id| Answer::json(reply(id, r#"{"ok":true}"#).repeat(2))),
        ("a key twice", |id| Answer::json(reply(id, r#"{"ok":true,"ok":true}"#))),
        ("a result twice", |id| {
            Answer::json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}},"result":{{}}}}"#))
        }),
        ("100,000 deep", |id| {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            Answer::json(reply(id, &format!(r#"{{"ok":true,"more":{deep}}}"#)))
        }),
        ("not UTF-8", |id| {
            let mut bytes = reply(id, r#"{"ok":true,"more":"@"}"#).into_bytes();
            let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
            bytes[at] = 0xff;
            Answer::json(bytes)
        }),
        ("not JSON", |_| Answer::json("<html><body>502</body></html>")),
        ("another kind", |_| Answer::of("text/html", "<html></html>")),
        ("another id", |id| Answer::json(reply(&format!("1{id}"), r#"{"ok":true}"#))),
        ("an id of another kind", |id| Answer::json(reply(&format!("\"{id}\""), r#"{"ok":true}"#))),
        ("no id", |_| Answer::json(r#"{"jsonrpc":"2.0","result":{"content":[]}}"#)),
        ("neither result nor error", |id| {
            Answer::json(format!(r#"{{"jsonrpc":"2.0","id":{id}}}"#))
        }),
        ("not gzip", |id| {
            let mut answer = Answer::json(reply(id, r#"{"ok":true}"#));
            answer.headers.push(("content-encoding", "gzip".to_owned()));
            answer
        }),
        ("a packed stream", |id| {
            let mut answer = Answer::stream(packed(&events(&reply(id, r#"{"ok":true}"#), "\n")));
            answer.headers.push(("content-encoding", "gzip".to_owned()));
            answer
        }),
        ("a bomb", |id| {
            let blank = " ".repeat(30_000_000);
            let mut answer = Answer::json(packed(&(reply(id, r#"{"ok":true}"#) + &blank)));
            answer.headers.push(("content-encoding", "gzip".to_owned()));
            answer
        }),
        ("longer than the limit", |id| {
            let long = format!(r#"{{"ok":true,"more":"{}"}}"#, "x".repeat(33 << 20));
            Answer::json(reply(id, &long))
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_reply_becomes_an_error_that_a_session_survives() {
    let mut scene = Scene::new().await;
    for (name, answer) in malformed() {
        for tool in TOOLS {
            let (code, message) = scene.told(tool, answer).await.error();
            assert_eq!(code, -31002, "{name}, {tool}: {message}");
        }
        scene.is_well(name).await;
    }
    println!("{} MiB held at most", scene.sidecar.most_held_mib());
}

/// The one message with this id that a stream holds.
fn streamed(said: &Said) -> Value {
    assert_eq!(said.status, 200, "{}", head(said));
    let text = String::from_utf8_lossy(&said.body).into_owned();
    let messages: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| serde_json::from_str(data).unwrap())
        .filter(|message: &Value| message["id"] == json!(said.id))
        .collect();
    assert_eq!(messages.len(), 1, "{text}");
    messages[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_reply_on_a_stream_becomes_an_error_in_its_place() {
    let mut scene = Scene::new().await;
    let event = |text: &str| format!("event: message\ndata: {text}\n\n");
    let one_line = |id: &str, structured: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"structuredContent":{structured}}}}}"#
        )
    };
    for name in ["cut text", "a key twice", "another id", "not JSON", "no reply", "broken off"] {
        for tool in TOOLS {
            let said = scene
                .told(tool, move |id| {
                    let good = one_line(id, r#"{"ok":true}"#);
                    match name {
                        "cut text" => Answer::stream(event(&good[..good.len() - 9])),
                        "a key twice" => {
                            Answer::stream(event(&one_line(id, r#"{"ok":true,"ok":true}"#)))
                        }
                        "another id" => {
                            Answer::stream(event(&one_line(&format!("1{id}"), r#"{"ok":true}"#)))
                        }
                        "not JSON" => Answer::stream(event("<html>")),
                        "no reply" => Answer::stream(": nothing\n\n"),
                        _ => {
                            Answer { cut: true, ..Answer::stream(format!("data: {}", &good[..9])) }
                        }
                    }
                })
                .await;
            let message = streamed(&said);
            assert_eq!(message["error"]["code"], -31002, "{name}, {tool}: {message}");
        }
        scene.is_well(name).await;
    }
    // A second reply to one request: the first one counts.
    let said = scene
        .told("typed", move |id| {
            let (first, second) = (r#"{"ok":true}"#, r#"{"ok":false}"#);
            Answer::stream(event(&one_line(id, first)) + &event(&one_line(id, second)))
        })
        .await;
    assert_eq!(streamed(&said)["result"]["structuredContent"]["ok"], true);
    scene.is_well("a reply twice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_promise_is_told_as_a_result_that_ran() {
    let mut scene = Scene::new().await;
    let rows = [
        ("another type", r#""structuredContent":{"ok":"yes"}"#),
        ("a member that is gone", r#""structuredContent":{}"#),
        ("another kind", r#""structuredContent":[true]"#),
        ("no result at all", r#""x":1"#),
    ];
    for (name, member) in rows {
        for framing in ["json", "stream"] {
            let row = format!("{name}, {framing}");
            let said = scene
                .told("typed", move |id| {
                    let text = format!(
                        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],{member}}}}}"#
                    );
                    match framing {
                        "json" => Answer::json(text),
                        _ => Answer::stream(format!("data: {text}\n\n")),
                    }
                })
                .await;
            let message = if framing == "json" { said.json() } else { streamed(&said) };
            assert_eq!(said.status, 200, "{row}");
            assert_eq!(message["id"], json!(said.id), "{row}");
            assert_eq!(message["result"]["isError"], true, "{row}: {message}");
            let verdict = &message["result"]["_meta"]["dev.stipula/verdict"];
            assert_eq!(verdict["verdict"], "refused", "{row}: {message}");
            assert_eq!(verdict["executed"], true, "{row}: {message}");
            assert_eq!(verdict["code"], -31002, "{row}: {message}");
        }
        scene.is_well(name).await;
    }
}
