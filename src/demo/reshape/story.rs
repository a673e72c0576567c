//! The story, told in order.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::server::{Issues, TOOL, issue};
use crate::demo::account::Account;
use crate::demo::agent::{Agent, Heard};
use crate::demo::stage::{DemoError, Stage};
use crate::domain::message::Clock;

/// The name under which the sidecar knows the server.
const PEER: &str = "issues";
/// Calls before the server answers otherwise: as many as terms are inferred from.
const BEFORE: u64 = 20;
/// Calls after it, the first one included.
const AFTER: u64 = 20;

/// What an agent heard of one call.
struct Told {
    /// The document in its text.
    document: Value,
    /// What Stipula says of it; null where it left as it came.
    verdict: Value,
}

/// Plays the story; `tell` hears each step as it happens.
///
/// # Errors
/// Where a socket, the sidecar, a client or the control plane fails; a story that goes otherwise than
/// it should is told in its figures and in [`Account::missed`].
pub async fn play(clock: Arc<dyn Clock>, tell: &mut dyn FnMut(&str)) -> Result<Account, DemoError> {
    let started = clock.monotonic_micros();
    let server = Issues::new()?;
    let stage = Stage::open(PEER, server.clone(), None).await?;
    tell(&format!("a real MCP server that opens issues listens on {}", stage.server));
    let agent = stage.agent().await?;
    let mut kept = 0;
    for number in 1..=BEFORE {
        let told = call(&agent, number).await?;
        kept += u64::from(told.verdict.is_null() && told.document == whole(number));
    }
    // The first answer says that all was seen; what it led to is in force with the second.
    settled(&stage).await?;
    let before = settled(&stage).await?;
    tell("terms were inferred from its replies and sealed");

    server.reshape();
    let first = call(&agent, BEFORE + 1).await?;
    settled(&stage).await?;
    let events = stage.sidecar.events();
    tell("it answers {\"id\",\"url\"} now; the first reply raised drift");
    let mut carried = u64::from(is_carried(&first, BEFORE + 1));
    let mut made_up = values_made_up(&first);
    for number in BEFORE + 2..=BEFORE + AFTER {
        let told = call(&agent, number).await?;
        carried += u64::from(is_carried(&told, number));
        made_up += values_made_up(&told);
    }
    let after = settled(&stage).await?;
    let played = Played {
        declared: server.declares_replies(),
        opened: server.opened(),
        kept,
        carried,
        made_up,
        first,
        events,
        before,
        after,
        routine: stage.sidecar.routine(),
        elapsed_ms: clock.monotonic_micros().saturating_sub(started) / 1_000,
    };
    agent.leave().await?;
    stage.close().await;
    Ok(played.account())
}

fn arguments(number: u64) -> Map<String, Value> {
    let given = json!({
        "owner": "octo", "repo": format!("app{}", number % 3), "title": format!("Issue no. {number}"),
    });
    given.as_object().cloned().unwrap_or_default()
}

fn whole(number: u64) -> Value {
    issue(number, &arguments(number))
}

async fn call(agent: &Agent, number: u64) -> Result<Told, DemoError> {
    let heard = agent.call(TOOL, &Value::Object(arguments(number))).await?;
    let Heard::Result(result) = heard else {
        return Err(DemoError::client(format!("{TOOL} was not answered: {heard:?}")));
    };
    let result = serde_json::to_value(&result)?;
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    Ok(Told {
        document: serde_json::from_str(text)?,
        verdict: result["_meta"]["dev.stipula/verdict"].clone(),
    })
}

/// Whether a reply has all that could be found, with the very values, and names the rest.
fn is_carried(told: &Told, number: u64) -> bool {
    let whole = whole(number);
    let found = ["id", "html_url", "number"].iter().all(|it| told.document[*it] == whole[*it]);
    let named = told.verdict["missing"] == json!(["/state", "/title"]);
    found && named && told.verdict["verdict"] == "waived"
}

/// Values of a reply that nothing can be known of.
fn values_made_up(told: &Told) -> usize {
    ["title", "state"].iter().filter(|it| told.document.get(**it).is_some()).count()
}

async fn settled(stage: &Stage) -> Result<Value, DemoError> {
    stage.sidecar.settled().await.map_err(DemoError::Control)
}

/// All that was seen.
struct Played {
    declared: bool,
    opened: u64,
    kept: u64,
    carried: u64,
    made_up: usize,
    first: Told,
    events: Value,
    before: Value,
    after: Value,
    routine: Value,
    elapsed_ms: u64,
}

impl Played {
    fn account(self) -> Account {
        let mut account = Account::default();
        let version = |status: &Value| status["version"].as_str().unwrap_or("-").to_owned();
        let (before, after) = (version(&self.before), version(&self.after));
        let events = self.events.as_array().map_or(0, Vec::len);
        let seen = self.events[0]["type"].as_str().unwrap_or("no").to_owned();
        let listed = |member: &str| {
            let names = self.first.verdict[member].as_array().into_iter().flatten();
            names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        };
        let missing = listed("missing");
        account.line(format!("Replies kept before: {} of {BEFORE}", self.kept));
        account.line(format!("Terms inferred from {BEFORE} replies, sealed as v{before}"));
        account.line(format!("Drift raised with the first reply: {seen}"));
        account.line("");
        account.table(
            "The first reply",
            &[
                vec!["carried over".to_owned(), "html_url, number".to_owned()],
                vec!["gone, and named".to_owned(), missing.clone()],
                vec!["as the agent saw it".to_owned(), self.first.document.to_string()],
            ],
        );
        account.line(format!("Replies carried over: {} of {AFTER}, as v{after}", self.carried));
        account.line(format!("Issues opened twice: {}", self.opened - (BEFORE + AFTER)));
        account.line(format!("Values made up: {}; it took {} ms", self.made_up, self.elapsed_ms));
        account.expect(self.made_up == 0, "a title or a state was made up");
        account.expect(!self.declared, "the tool declares its replies: nothing was inferred");
        account.expect(self.kept == BEFORE, "a reply of the promised shape was altered");
        account.expect(before == "1.0.1", format!("no terms were sealed: the version is {before}"));
        account.expect(events == 1, format!("one fault gave {events} events"));
        account.expect(self.carried == AFTER, "a reply was not carried over as it should be");
        account.expect(self.opened == BEFORE + AFTER, "a write was sent twice");
        account.expect(missing == "/state, /title", format!("what was named as gone: {missing}"));
        account.artifact("1-before.json", self.before);
        account.artifact(
            "2-first.json",
            json!({ "document": self.first.document, "verdict": self.first.verdict }),
        );
        account.artifact("3-after.json", self.after);
        account.artifact("4-events.json", self.events);
        account.artifact("5-routine.json", self.routine);
        account
    }
}
