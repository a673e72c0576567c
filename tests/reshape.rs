//! A peer goes on listing what it listed and answers less: terms inferred from its replies notice the
//! first one, what can still be found is carried over, what is gone is named. The real binary.

mod stage;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar};

const SAMPLES: u64 = 20;

fn create_issue() -> Value {
    json!([{
        "name": "create_issue",
        "description": "Opens an issue.",
        "inputSchema": {
            "type": "object",
            "properties": { "title": { "type": "string" }, "repo": { "type": "string" } },
            "required": ["title", "repo"],
        },
    }])
}

/// The issue as it always was; its number is what its title ends with.
fn issue(asked: &Asked) -> Value {
    let title = asked.arguments["title"].as_str().unwrap();
    let repo = asked.arguments["repo"].as_str().unwrap();
    let number: u64 = title.rsplit(' ').next().unwrap().parse().unwrap();
    json!({
        "id": 900_000 + 13 * number,
        "number": number,
        "title": title,
        "state": "open",
        "url": format!("https://api.example.com/repos/octo/{repo}/issues/{number}"),
        "html_url": format!("https://example.com/octo/{repo}/issues/{number}"),
    })
}

/// All that is left of it.
fn reshaped(asked: &Asked) -> Value {
    let whole = issue(asked);
    json!({ "id": whole["id"], "url": whole["html_url"] })
}

/// As servers answer that write JSON into a text.
fn in_text(asked: &Asked, document: &Value) -> Answer {
    let text = Value::from(document.to_string());
    let id = &asked.id;
    Answer::json(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":{text}}}]}}}}"#
    ))
}

async fn open(agent: &mut Agent, number: u64) -> Said {
    let repo = format!("app{}", number % 3);
    agent.call("create_issue", &json!({ "title": format!("issue {number}"), "repo": repo })).await
}

fn verdict(said: &Said) -> Value {
    said.json()["result"]["_meta"]["dev.stipula/verdict"].clone()
}

/// Teaches the sidecar the terms; the version that holds them is told.
async fn taught(sidecar: &mut Sidecar, agent: &mut Agent) {
    for number in 1..=SAMPLES {
        let said = open(agent, number).await;
        assert_eq!(verdict(&said), Value::Null, "{said:?}");
    }
    sidecar.told("inferred reply terms of create_issue from 20 samples, as v1.0.1").await;
}

fn is_carried_over(document: &Value, number: u64) {
    let url = format!("https://example.com/octo/app{}/issues/{number}", number % 3);
    assert_eq!(document["html_url"], json!(url), "{document}");
    assert_eq!(document["number"], json!(number), "{document}");
    assert_eq!((document.get("title"), document.get("state")), (None, None), "{document}");
}

fn says_what_is_gone(said: &Said) {
    let verdict = verdict(said);
    assert_eq!(verdict["verdict"], "waived", "{verdict}");
    assert_eq!(verdict["executed"], true, "{verdict}");
    assert_eq!(verdict["missing"], json!(["/state", "/title"]), "{verdict}");
    assert_eq!(verdict["terms"], json!({ "source": "inferred", "samples": SAMPLES }), "{verdict}");
    assert!(verdict["drift"].is_string(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_reshape_is_noticed_at_once_and_mended_as_far_as_it_goes() {
    let peer = Peer::start(create_issue(), |asked| asked.result(&issue(asked).to_string())).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;
    assert!(sidecar.events().await.is_empty());

    peer.reply(|asked| asked.result(&reshaped(asked).to_string()));
    let first = open(&mut agent, 21).await;
    is_carried_over(&first.structured().unwrap(), 21);
    says_what_is_gone(&first);
    sidecar.told("healed create_issue as v1.1.0").await;

    let events = sidecar.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["type"], &events[0]["severity"]), (&json!("schema"), &json!("medium")));
    assert_eq!(events[0]["sensor"], "inferred_reply", "{events:?}");
    assert_eq!(events[0]["state"], "open", "a part of the promise is gone: {events:?}");
    assert_eq!(peer.calls(), SAMPLES + 1, "a write is never sent again");

    for number in 22..50 {
        let said = open(&mut agent, number).await;
        is_carried_over(&said.structured().unwrap(), number);
        says_what_is_gone(&said);
    }
    let status = sidecar.until("the counts", |status| status["version"] == "1.1.0").await;
    assert_eq!(status["tools"][0]["routine"], true, "what is gone is no miss of the routine");
    assert_eq!(sidecar.events().await.len(), 1, "one fault gives one event");

    // A restart forgets nothing of it.
    sidecar.stop().await;
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let said = open(&mut agent, 60).await;
    is_carried_over(&said.structured().unwrap(), 60);
    says_what_is_gone(&said);
    assert_eq!(sidecar.events().await.len(), 1);

    // The old shape is back: it leaves as it comes, and the event ends.
    peer.reply(|asked| asked.result(&issue(asked).to_string()));
    for number in 61..66 {
        let said = open(&mut agent, number).await;
        assert_eq!(said.structured().unwrap()["title"], json!(format!("issue {number}")));
        assert_eq!(verdict(&said), Value::Null);
    }
    sidecar
        .until("the end of the event", |status| {
            status["open_events"].as_array().unwrap().is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reshape_of_json_in_a_text_is_mended_in_the_text() {
    let peer = Peer::start(create_issue(), |asked| in_text(asked, &issue(asked))).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;

    peer.reply(|asked| in_text(asked, &reshaped(asked)));
    for number in 21..24 {
        let said = open(&mut agent, number).await;
        let content = said.json()["result"]["content"].clone();
        assert_eq!(content.as_array().map(Vec::len), Some(1), "{content}");
        let document: Value = serde_json::from_str(content[0]["text"].as_str().unwrap()).unwrap();
        is_carried_over(&document, number);
        says_what_is_gone(&said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_no_relation_is_named_and_never_made_up() {
    let peer = Peer::start(create_issue(), |asked| asked.result(&issue(asked).to_string())).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;

    // Another host, and a second URL that has the form as well.
    peer.reply(|asked| {
        let whole = issue(asked);
        let elsewhere = whole["html_url"].as_str().unwrap().replace("example.com", "example.net");
        asked.result(&json!({ "id": whole["id"], "url": elsewhere }).to_string())
    });
    let said = open(&mut agent, 21).await;
    let document = said.structured().unwrap();
    assert_eq!(document.as_object().map(serde_json::Map::len), Some(2), "{document}");
    let missing = json!(["/html_url", "/number", "/state", "/title"]);
    assert_eq!(verdict(&said)["missing"], missing);
    assert_eq!(sidecar.events().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inferred_term_never_withholds_a_reply() {
    let mut tools = create_issue();
    tools[0]["annotations"] = json!({ "readOnlyHint": true });
    let peer = Peer::start(tools, |asked| asked.result(&issue(asked).to_string())).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;
    peer.reply(|asked| {
        let mut other = issue(asked);
        other["number"] = json!("many");
        asked.result(&other.to_string())
    });
    let said = open(&mut agent, 21).await;
    assert_eq!(said.structured().unwrap()["number"], "many");
    let verdict = verdict(&said);
    assert_eq!((&verdict["verdict"], &verdict["changed"]), (&json!("waived"), &json!(["/number"])));
    assert_eq!(sidecar.events().await.len(), 1);
}

/// One text block for each item, as some frameworks write a list.
fn in_blocks(asked: &Asked, items: &[Value]) -> Answer {
    let text = |item: &Value| json!({ "type": "text", "text": item.to_string() });
    let content: Vec<Value> = items.iter().map(text).collect();
    let (id, content) = (&asked.id, Value::from(content));
    Answer::json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":{content}}}}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_answers_in_several_ways_may_go_on_so() {
    let answer = |asked: &Asked| {
        let whole = issue(asked);
        match whole["number"].as_u64().unwrap() % 4 {
            0 => in_blocks(asked, &[whole.clone(), whole]),
            1 => in_blocks(asked, &[]),
            2 => asked.result(&whole.to_string()),
            _ => in_text(asked, &whole),
        }
    };
    let peer = Peer::start(create_issue(), answer).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;
    for number in 21..60 {
        let said = open(&mut agent, number).await;
        assert_eq!(verdict(&said), Value::Null, "{number}: {said:?}");
    }
    assert!(sidecar.events().await.is_empty());
    // And is held to what all of its documents had.
    peer.reply(|asked| in_text(asked, &reshaped(asked)));
    assert_eq!(verdict(&open(&mut agent, 60).await)["verdict"], "waived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_always_came_and_comes_no_more_is_drift() {
    let peer = Peer::start(create_issue(), |asked| in_text(asked, &issue(asked))).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;
    peer.reply(|asked| in_blocks(asked, &[json!("done"), json!("really")]));
    let said = open(&mut agent, 21).await;
    assert_eq!(verdict(&said)["verdict"], "waived", "{said:?}");
    assert_eq!(sidecar.events().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_spelled_otherwise_goes_where_paired_replay_shows_it() {
    let mut tools = create_issue();
    tools[0]["annotations"] = json!({ "readOnlyHint": true });
    let peer = Peer::start(tools, |asked| asked.result(&issue(asked).to_string())).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for number in 0..SAMPLES {
        open(&mut agent, number / 4).await.structured().unwrap();
    }
    sidecar.told("inferred reply terms of create_issue").await;
    peer.reply(|asked| {
        let mut spelled = issue(asked);
        let state = spelled.as_object_mut().unwrap().remove("state");
        spelled["State"] = state.unwrap();
        asked.result(&spelled.to_string())
    });
    let said = open(&mut agent, 4).await;
    let document = said.structured().unwrap();
    assert_eq!(document["state"], "open", "{document}");
    assert_eq!(verdict(&said)["verdict"], "mended");
    assert!(peer.calls() > SAMPLES + 1, "recorded requests were asked again");
    sidecar
        .until("the end of the event", |status| {
            status["open_events"].as_array().unwrap().is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_reply_is_mended_by_what_held_before_too() {
    let mut tools = create_issue();
    let text = json!({ "type": "string" });
    tools[0]["outputSchema"] = json!({
        "type": "object",
        "properties": {
            "id": { "type": "integer" }, "number": { "type": "integer" }, "title": text,
            "state": text, "url": text, "html_url": text,
        },
        "required": ["id", "number", "title", "state", "url", "html_url"],
    });
    let peer = Peer::start(tools, |asked| asked.result(&issue(asked).to_string())).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for number in 1..=SAMPLES {
        open(&mut agent, number).await.structured().unwrap();
    }
    let dir = state.path().to_str().unwrap();
    stage::soon("the relations in the ledger", async {
        loop {
            let shown = stage::cli(&["ledger", "show", dir]).await;
            if String::from_utf8_lossy(&shown.stdout).contains("relations_learnt") {
                break;
            }
        }
    })
    .await;
    peer.reply(|asked| asked.result(&reshaped(asked).to_string()));
    let said = open(&mut agent, 21).await;
    is_carried_over(&said.structured().unwrap(), 21);
    let verdict = verdict(&said);
    assert_eq!(verdict["missing"], json!(["/title", "/state"]), "{verdict}");
    assert!(verdict.get("terms").is_none(), "{verdict}");
    let events = sidecar.events().await;
    assert_eq!((events.len(), &events[0]["sensor"]), (1, &json!("reply")), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_told_that_the_terms_are_inferred() {
    let peer = Peer::start(create_issue(), |asked| asked.result(&issue(asked).to_string())).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    taught(&mut sidecar, &mut agent).await;
    for number in 21..=60 {
        assert_eq!(verdict(&open(&mut agent, number).await), Value::Null);
    }
    assert_eq!(sidecar.status().await["version"], "1.0.1", "sealed once, not for every sample");
    sidecar.stop().await;

    let files = std::fs::read_dir(state.path().join("contracts")).unwrap();
    let mut told = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let explained = stage::cli(&["explain", path.to_str().unwrap()]).await;
        told.push(String::from_utf8(explained.stdout).unwrap());
    }
    let inferred: Vec<&String> = told.iter().filter(|it| it.contains("version 1.0.1")).collect();
    assert_eq!((told.len(), inferred.len()), (2, 1));
    assert!(inferred[0].contains("inferred from 20 samples"), "{}", inferred[0]);
    assert!(inferred[0].contains("weaker evidence"), "{}", inferred[0]);
}
