//! The story, told in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::account::Played;
use super::issues::{Taken, Tracker};
use super::plan::{Deed, reads, writes};
use crate::demo::account::Account;
use crate::demo::agent::{Agent, Heard};
use crate::demo::stage::{DemoError, Stage};
use crate::domain::message::Clock;

/// The name under which the sidecar knows the server.
const PEER: &str = "issues";
/// Agents that read at once.
const READERS: usize = 4;
/// How often each reader makes its calls in a phase.
const ROUNDS: usize = 20;

/// What came of one kind of calls in one phase, as the agents saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Calls that were made.
    pub(super) calls: usize,
    /// Those that succeeded.
    pub(super) succeeded: usize,
    /// Those of them that said something else than the same call before the release.
    pub(super) different: usize,
    /// Genuine errors of a tool.
    pub(super) tool_errors: usize,
    /// Refused calls by JSON-RPC code.
    pub(super) refused: BTreeMap<i32, usize>,
}

impl Tally {
    /// Calls that did not succeed, or said something else.
    pub(super) const fn failed(&self) -> usize {
        self.calls - self.succeeded + self.different
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.succeeded += other.succeeded;
        self.different += other.different;
        self.tool_errors += other.tool_errors;
        for (code, times) in &other.refused {
            *self.refused.entry(*code).or_default() += times;
        }
    }
}

/// One phase of the story.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Phase {
    /// `before`, `held` or `approved`.
    pub(super) name: &'static str,
    /// Calls of tools that only read.
    pub(super) reads: Tally,
    /// Calls of tools that write.
    pub(super) writes: Tally,
    /// Writes that the server took.
    pub(super) written: usize,
    /// The contract's version at the end of the phase.
    pub(super) version: String,
    /// Everything the sidecar says about the peer at the end of the phase.
    pub(super) status: Value,
}

/// What each read said before the release.
type Known = BTreeMap<&'static str, String>;

/// Plays the story; `tell` hears each step as it happens.
///
/// # Errors
/// Where a socket, the sidecar, a client or the admin listener fails; a story that goes otherwise than
/// it should is told in its figures and in [`Account::missed`].
pub async fn play(clock: Arc<dyn Clock>, tell: &mut dyn FnMut(&str)) -> Result<Account, DemoError> {
    let started = clock.monotonic_micros();
    let server = Tracker::new()?;
    let stage = Stage::open(PEER, server.clone(), None).await?;
    tell(&format!("a real MCP server with GitHub's issue tools listens on {}", stage.server));
    let (mut readers, writer) = (Vec::new(), stage.agent().await?);
    for _ in 0..READERS {
        readers.push(stage.agent().await?);
    }
    tell(&format!("{} agents are connected through the sidecar", READERS + 1));

    let mut known = Known::new();
    let mut tally = Tally::default();
    read_once(&readers[0], &mut tally, |tool, text| {
        known.insert(tool, text);
        true
    })
    .await?;
    tally.add(&read(&readers, &known).await?);
    let wrote = write(&writer, 1).await?;
    let before = phase(&stage, &server, "before", tally, wrote).await?.0;
    tell("every tool was called under the contract");

    // The release comes while all readers are at work.
    server.change_after(READERS * reads().len());
    let writing = async {
        server.until_changed().await;
        write(&writer, 2).await
    };
    let (tally, wrote) = tokio::join!(read(&readers, &known), writing);
    let held = phase(&stage, &server, "held", tally?, wrote?).await?.0;
    tell("the release came amid the calls; reads go on, writes are held");

    let waiting = stage.sidecar.ask("/api/v1/approvals").await?;
    let approval = approve(&stage, &waiting).await?;
    tell("a person approved");
    let tally = read(&readers, &known).await?;
    let wrote = write(&writer, 3).await?;
    let (approved, taken) = phase(&stage, &server, "approved", tally, wrote).await?;
    tell("every tool was called again, by its old name");

    let played = Played {
        phases: [before, held, approved],
        waiting,
        approval,
        routine: stage.sidecar.routine(),
        events: stage.sidecar.events(),
        carried: carried(&taken),
        elapsed_ms: clock.monotonic_micros().saturating_sub(started) / 1_000,
    };
    for agent in readers {
        agent.leave().await?;
    }
    writer.leave().await?;
    stage.close().await;
    let (old, new) = server.surfaces();
    Ok(played.account(old, new))
}

/// Approves all that waits as one, at the admin listener, as the command line does.
async fn approve(stage: &Stage, waiting: &Value) -> Result<Value, DemoError> {
    let bundles = waiting["bundles"].as_array().map_or(&[][..], Vec::as_slice);
    let mut done = Vec::new();
    for bundle in bundles {
        let id = bundle["id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/approvals/{id}/approve");
        let reason = json!({ "reason": "read the release notes" });
        let answer = stage.sidecar.tell(&path, &reason).await?;
        done.push(json!({ "id": id, "tools": bundle["tools"], "done": answer["done"] }));
    }
    Ok(json!(done))
}

/// The phase as it ended, and what the server took in it.
async fn phase(
    stage: &Stage,
    server: &Tracker,
    name: &'static str,
    reads: Tally,
    writes: Tally,
) -> Result<(Phase, Vec<Taken>), DemoError> {
    let status = stage.sidecar.settled().await.map_err(DemoError::Control)?;
    let taken = server.taken();
    let version = status["version"].as_str().unwrap_or_default().to_owned();
    let written = taken.iter().filter(|taken| taken.deed.writes()).count();
    Ok((Phase { name, reads, writes, written, version, status }, taken))
}

/// All readers read at once.
async fn read(readers: &[Agent], known: &Known) -> Result<Tally, DemoError> {
    let each = readers.iter().map(|reader| async move {
        let mut tally = Tally::default();
        for _ in 0..ROUNDS {
            read_once(reader, &mut tally, |tool, text| known.get(tool) == Some(&text)).await?;
        }
        Ok::<_, DemoError>(tally)
    });
    let mut all = Tally::default();
    for tally in futures_util::future::try_join_all(each).await? {
        all.add(&tally);
    }
    Ok(all)
}

/// One round of reads; `same` is told what each said and knows whether that is right.
async fn read_once(
    agent: &Agent,
    tally: &mut Tally,
    mut same: impl FnMut(&'static str, String) -> bool,
) -> Result<(), DemoError> {
    for (tool, arguments) in reads() {
        let heard = agent.call(tool, &arguments).await?;
        if let Some(text) = count(tally, heard)
            && !same(tool, text)
        {
            tally.different += 1;
        }
    }
    Ok(())
}

/// One round of writes.
async fn write(agent: &Agent, turn: usize) -> Result<Tally, DemoError> {
    let mut tally = Tally::default();
    for (tool, arguments) in writes(turn) {
        count(&mut tally, agent.call(tool, &arguments).await?);
    }
    Ok(tally)
}

/// Counts what was heard; the text of a result.
fn count(tally: &mut Tally, heard: Heard) -> Option<String> {
    tally.calls += 1;
    match heard {
        Heard::Result(result) => {
            tally.succeeded += 1;
            Some(json!(result.content).to_string())
        }
        Heard::ToolError => {
            tally.tool_errors += 1;
            None
        }
        Heard::Refused(code) => {
            *tally.refused.entry(code).or_default() += 1;
            None
        }
    }
}

/// Each call of the last phase beside what the server took for it: reads by what they do, writes in
/// their order.
fn carried(taken: &[Taken]) -> Vec<Value> {
    let of = |tool: &str| Deed::of(tool, None);
    let mut written = taken.iter().filter(|taken| taken.deed.writes());
    let mut pairs: Vec<(&str, Value, Option<&Taken>)> = Vec::new();
    for (tool, arguments) in reads() {
        let same = taken.iter().find(|taken| Some(taken.deed) == of(tool));
        pairs.push((tool, arguments, same));
    }
    for (tool, arguments) in writes(3) {
        pairs.push((tool, arguments, written.next()));
    }
    let row = |(tool, arguments, taken): (&str, Value, Option<&Taken>)| {
        json!({
            "tool": tool,
            "arguments": arguments,
            "taken": taken.map(|taken| json!({ "tool": taken.tool, "arguments": taken.arguments })),
            "as_meant": taken.is_some_and(|taken| Some(taken.deed) == of(tool)),
        })
    };
    pairs.into_iter().map(row).collect()
}
