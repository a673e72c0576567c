//! What waits for a person, from the first refused call to the decision, over the command line.

mod stage;

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar, cli, said_to};

const BEFORE: &str = include_str!("../fixtures/demo/consolidation/before.json");
const AFTER: &str = include_str!("../fixtures/demo/consolidation/after.json");

/// The tools that write: old name, new name, method, and what an agent gives.
fn writes() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let about = |more: &Value| {
        let mut arguments = json!({ "owner": "octo", "repo": "hello" });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let part = about(&json!({ "issue_number": 4, "sub_issue_id": 99 }));
    vec![
        ("create_issue", "issue_write", "create", about(&json!({ "title": "New" }))),
        (
            "update_issue",
            "issue_write",
            "update",
            about(&json!({ "issue_number": 4, "body": "x" })),
        ),
        ("add_sub_issue", "sub_issue_write", "add", part.clone()),
        ("remove_sub_issue", "sub_issue_write", "remove", part.clone()),
        ("reprioritize_sub_issue", "sub_issue_write", "reprioritize", part),
    ]
}

fn tools(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Takes the tools that are listed, and says what it took.
fn echo(listed: &Value) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    let of = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = listed.as_array().unwrap().iter().map(of).collect();
    move |asked| {
        if !names.contains(&asked.tool) {
            return asked.error(-32602, &format!("Unknown tool: {}", asked.tool));
        }
        let took = json!({ "tool": asked.tool, "arguments": asked.arguments });
        asked.result(&took.to_string())
    }
}

/// The release has come, every read was healed and every write is held.
async fn held() -> (Peer, Sidecar, Agent, tempfile::TempDir) {
    let (before, after) = (tools(BEFORE), tools(AFTER));
    let peer = Peer::start(before.clone(), echo(&before)).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for (tool, _, _, arguments) in writes() {
        let said = agent.call(tool, &arguments).await.structured().unwrap();
        assert_eq!(said, json!({ "tool": tool, "arguments": arguments }));
    }
    peer.change(after.clone(), echo(&after));
    for (tool, _, _, arguments) in writes() {
        assert_eq!(agent.call(tool, &arguments).await.error().0, -31007, "{tool}");
    }
    let issue = json!({ "owner": "octo", "repo": "hello", "issue_number": 4 });
    for (tool, method) in [
        ("get_issue", "get"),
        ("get_issue_comments", "get_comments"),
        ("list_sub_issues", "get_sub_issues"),
    ] {
        let said = agent.call(tool, &issue).await.structured().unwrap();
        assert_eq!(
            (&said["tool"], &said["arguments"]["method"]),
            (&json!("issue_read"), &json!(method))
        );
    }
    (peer, sidecar, agent, state)
}

fn bundle(listed: &Value) -> (String, BTreeSet<String>) {
    let [bundle] = listed["bundles"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let tools = bundle["tools"].as_array().unwrap().iter();
    let tools = tools.map(|tool| tool.as_str().unwrap().to_owned()).collect();
    (bundle["id"].as_str().unwrap().to_owned(), tools)
}

/// Id of what waits about a tool.
fn about<'l>(listed: &'l Value, tool: &str) -> &'l str {
    let waiting = listed["approvals"].as_array().unwrap();
    let one = waiting.iter().find(|it| it["tool"] == tool).unwrap_or_else(|| panic!("{listed}"));
    one["id"].as_str().unwrap()
}

/// A decision that is refused: its exit code and what it says.
async fn refused(sidecar: &Sidecar, verb: &str, id: &str) -> (Option<i32>, String) {
    let admin = format!("http://{}", sidecar.admin);
    let state = sidecar.state.to_str().unwrap();
    let output = cli(&["approvals", verb, id, "--admin", &admin, "--state", state]).await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_approval_releases_every_write_of_a_release() {
    let (peer, sidecar, mut agent, _state) = held().await;
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let (id, inside) = bundle(&listed);
    let all: BTreeSet<String> = writes().iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(inside, all);
    assert_eq!(listed["approvals"].as_array().unwrap().len(), all.len());
    let version = sidecar.status().await["version"].clone();

    let done = sidecar.decide(&["approvals", "approve", &id, "--reason", "read it"]).await;
    let now = sidecar.status().await["version"].clone();
    let said = done["done"].as_str().unwrap();
    assert!(said.ends_with(&format!("are carried over as v{}", now.as_str().unwrap())), "{said}");
    let minor = |version: &Value| -> u64 {
        version.as_str().unwrap().split('.').nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(minor(&now), minor(&version) + 1, "one version for all of them");
    for (tool, to, method, arguments) in writes() {
        let said = agent.call(tool, &arguments).await.structured().unwrap();
        let mut expected = arguments.clone();
        expected["method"] = json!(method);
        assert_eq!(said, json!({ "tool": to, "arguments": expected }), "{tool}");
    }
    let left = sidecar.cli(&["approvals", "list"]).await;
    assert_eq!(left, json!({ "approvals": [], "bundles": [] }));
    let (code, said) = refused(&sidecar, "approve", &id).await;
    assert_eq!(code, Some(1), "{said}");
    drop(peer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_approved_as_it_was_shown_or_not_at_all() {
    let (_peer, sidecar, mut agent, _state) = held().await;
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let (whole, _) = bundle(&listed);
    let denied = about(&listed, "update_issue");
    sidecar.decide(&["approvals", "deny", denied, "--reason", "not that one"]).await;
    let (code, said) = refused(&sidecar, "approve", &whole).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stipula approvals list"), "{said}");
    for (tool, _, _, arguments) in writes() {
        let expected = if tool == "update_issue" { -31004 } else { -31007 };
        assert_eq!(agent.call(tool, &arguments).await.error().0, expected, "{tool}");
    }
    let (rest, inside) = bundle(&sidecar.cli(&["approvals", "list"]).await);
    assert_eq!(inside.len(), 4, "{inside:?}");
    sidecar.decide(&["approvals", "approve", &rest]).await;
    for (tool, to, _, arguments) in writes() {
        let said = agent.call(tool, &arguments).await;
        if tool == "update_issue" {
            assert_eq!(said.error().0, -31004);
        } else {
            assert_eq!(said.structured().unwrap()["tool"], to);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_again_cannot_be_approved_any_more() {
    let (peer, sidecar, mut agent, state) = held().await;
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let (stale_bundle, stale) = (bundle(&listed).0, about(&listed, "create_issue").to_owned());
    let kept = about(&listed, "add_sub_issue").to_owned();
    // Now a required argument that only a caller knows.
    let mut tools = tools(AFTER);
    let write =
        tools.as_array_mut().unwrap().iter_mut().find(|it| it["name"] == "issue_write").unwrap();
    write["inputSchema"]["properties"]["ticket"] =
        json!({ "type": "string", "description": "From the desk." });
    write["inputSchema"]["required"].as_array_mut().unwrap().push(json!("ticket"));
    peer.change(tools.clone(), echo(&tools));
    let (tool, _, _, arguments) = writes().swap_remove(0);
    agent.call(tool, &arguments).await.error();
    let said = soon_gone(&sidecar, &stale).await;
    for id in [&stale, &stale_bundle] {
        let (code, why) = refused(&sidecar, "approve", id).await;
        assert_eq!(code, Some(1), "{why}");
    }
    // What it did not concern waits as it did.
    assert_eq!(about(&said, "add_sub_issue"), kept);
    // Nothing that is offered takes such a call any more: the tool is gone.
    assert_eq!(agent.call(tool, &arguments).await.error().0, -31006);

    // A restart does not bring it back.
    sidecar.stop().await;
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let ids: Vec<&Value> =
        listed["approvals"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert!(!ids.contains(&&json!(stale)), "{listed}");
    assert!(ids.contains(&&json!(kept)), "{listed}");
}

/// The list once this id is not in it.
async fn soon_gone(sidecar: &Sidecar, id: &str) -> Value {
    stage::soon("a proposal to leave the queue", async {
        loop {
            let listed = sidecar.cli(&["approvals", "list"]).await;
            let waiting = listed["approvals"].as_array().unwrap();
            if waiting.iter().all(|it| it["id"] != json!(id)) {
                return listed;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_decides_is_shown_all_that_is_needed() {
    let (_peer, sidecar, _agent, _state) = held().await;
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let id = about(&listed, "create_issue");
    let shown = sidecar.cli(&["approvals", "show", id]).await;
    let named = |text: &str, name: &str| {
        tools(text).as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone()
    };
    assert_eq!(shown["promised"], named(BEFORE, "create_issue"));
    assert_eq!(shown["offered"], named(AFTER, "issue_write"));
    assert_eq!(shown["rules"][0]["number"], 1);
    let calls = shown["examples"]["calls"].as_array().unwrap();
    assert!(!calls.is_empty());
    for call in calls {
        assert_eq!(
            (&call["before"]["tool"], &call["after"]["tool"]),
            (&json!("create_issue"), &json!("issue_write"))
        );
        let mut expected = call["before"]["arguments"].clone();
        expected["method"] = json!("create");
        assert_eq!(call["after"]["arguments"], expected);
    }

    let admin = format!("http://{}", sidecar.admin);
    let text = |id: String| {
        let admin = admin.clone();
        async move {
            let output = cli(&["approvals", "show", &id, "--admin", &admin]).await;
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let one = text(id.to_owned()).await;
    for part in [
        "create_issue of flights",
        "rule 1: the same peer, and no change of what a call may do",
        "As it was promised",
        "\"name\": \"create_issue\"",
        "As it is offered now",
        "\"name\": \"issue_write\"",
        "A call of create_issue becomes a call of issue_write.",
        "Calls before and after (generated from the promised schema)",
        "    -> {\"",
        "If you approve",
        &format!("stipula approvals approve {id} --reason TEXT"),
    ] {
        assert!(one.contains(part), "no {part:?} in {one}");
    }
    let (all, _) = bundle(&listed);
    let many = text(all.clone()).await;
    for (tool, ..) in writes() {
        assert!(many.contains(&format!("{tool} of flights")), "no {tool} in {many}");
    }
    assert!(many.contains(&format!("stipula approvals approve {all} --reason TEXT")), "{many}");
    let output = cli(&["approvals", "list", "--admin", &admin]).await;
    let list = String::from_utf8(output.stdout).unwrap();
    assert!(
        list.contains(&format!("All 5 of flights as one version: stipula approvals show {all}")),
        "{list}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_over_once_is_carried_over_the_next_release_too() {
    let (peer, sidecar, mut agent, _state) = held().await;
    let (id, _) = bundle(&sidecar.cli(&["approvals", "list"]).await);
    sidecar.decide(&["approvals", "approve", &id]).await;
    // The tool that reads is shown as well by now.
    sidecar
        .until("the new tool", |status| {
            status["tools"].as_array().unwrap().iter().any(|tool| tool["tool"] == "issue_read")
        })
        .await;
    // The next release adds an optional argument to every tool.
    let mut tools = tools(AFTER);
    for tool in tools.as_array_mut().unwrap() {
        let more = json!({ "type": "string", "description": "Which language to answer in." });
        tool["inputSchema"]["properties"]["language"] = more;
    }
    peer.change(tools.clone(), echo(&tools));
    let token = std::fs::read_to_string(sidecar.state.join("admin.token")).unwrap();
    let review = Request::post("/api/v1/review")
        .header("authorization", format!("Bearer {}", token.trim()))
        .body(Full::new(Bytes::from_static(br#"{"peer":"flights"}"#)));
    let (code, text) = said_to(sidecar.admin, review.unwrap()).await;
    assert_eq!(code, 200, "{text}");
    let issue = json!({ "owner": "octo", "repo": "hello", "issue_number": 4 });
    for (tool, method) in [("get_issue", "get"), ("list_sub_issues", "get_sub_issues")] {
        let said = agent.call(tool, &issue).await.structured().unwrap();
        assert_eq!(
            (&said["tool"], &said["arguments"]["method"]),
            (&json!("issue_read"), &json!(method))
        );
    }
    // Whoever knows the new name calls it as before.
    let by_its_name =
        json!({ "owner": "octo", "repo": "hello", "issue_number": 4, "method": "get" });
    let said = agent.call("issue_read", &by_its_name).await.structured().unwrap();
    assert_eq!(said["arguments"], by_its_name);
}
