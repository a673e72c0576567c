//! The story, told in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::agent::{Agent, CALLS, Seen};
use super::flights::FlightPeer;
use super::report::{Phase, Report};
use crate::app::{Demonstration, StartError};
use crate::domain::message::Clock;
use crate::domain::routine::{RoutineDoc, explain};

/// The recorded answer of the advisor.
const ADVISOR: &str = include_str!("../../fixtures/demo/advisor.json");
/// The tool that changes.
const TOOL: &str = "search_flights";

/// Why the story could not be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A socket.
    #[error("a loopback socket: {0}")]
    Io(#[from] std::io::Error),
    /// A fixture.
    #[error("a fixture of the demo: {0}")]
    Fixture(#[from] serde_json::Error),
    /// The sidecar.
    #[error("the sidecar: {0}")]
    Start(#[from] StartError),
    /// The client.
    #[error("the client: {0}")]
    Client(String),
    /// The control plane.
    #[error("the control plane: {0}")]
    Control(String),
}

impl DemoError {
    pub(super) fn client(error: impl std::fmt::Display) -> Self {
        Self::Client(error.to_string())
    }
}

/// Plays the story; `tell` hears each step as it happens.
///
/// # Errors
/// Where a socket, the sidecar or the client fails; a story that goes otherwise than it should is
/// told in its figures.
pub async fn play(clock: Arc<dyn Clock>, tell: &mut dyn FnMut(&str)) -> Result<Report, DemoError> {
    let started = clock.monotonic_micros();
    let peer = FlightPeer::start().await?;
    let url = format!("http://{}/mcp", peer.address);
    let sidecar = Demonstration::start(&url, serde_json::from_str(ADVISOR)?)?;
    tell(&format!("a real MCP server listens on {}", peer.address));
    let agent = Agent::connect(sidecar.url("/mcp")).await?;
    tell("an agent is connected through the sidecar; its tools are sealed as v1.0.0");

    let mut phases = Vec::new();
    sidecar.observe().await.map_err(DemoError::Control)?;
    phases.push(phase(&sidecar, "baseline", &agent).await?);
    tell("60 calls under the contract");

    peer.change();
    tell("the server changed search_flights; the sidecar only observes");
    phases.push(phase(&sidecar, "drift", &agent).await?);

    sidecar.enforce().await.map_err(DemoError::Control)?;
    tell("the sidecar enforces: renegotiated, proven, swapped");
    phases.push(phase(&sidecar, "patch", &agent).await?);

    let routine = sidecar.routine();
    let explained = match serde_json::from_value::<RoutineDoc>(routine.clone()) {
        Ok(document) => explain(&document),
        Err(error) => error.to_string(),
    };
    let events = sidecar.events();
    let advisor_calls = sidecar.status()["advisor_calls"].as_u64().unwrap_or_default();
    agent.leave().await?;
    sidecar.stop(Duration::from_secs(1)).await;
    peer.stop();
    Ok(Report {
        recompiled: routine.get(TOOL).is_some(),
        phases,
        events,
        routine,
        explained,
        advisor_calls,
        elapsed_ms: clock.monotonic_micros().saturating_sub(started) / 1_000,
    })
}

/// One phase: a window of its own, the calls, and what the sidecar says afterwards.
async fn phase(
    sidecar: &Demonstration,
    name: &'static str,
    agent: &Agent,
) -> Result<Phase, DemoError> {
    sidecar.open_window().await.map_err(DemoError::Control)?;
    let Seen { succeeded, tool_errors, refused, .. } = agent.work().await?;
    let status = sidecar.settled().await.map_err(DemoError::Control)?;
    let text =
        |member: &str| status.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Phase {
        name,
        calls: CALLS,
        succeeded,
        tool_errors,
        refused,
        score: status["coherence"].as_f64().unwrap_or_default(),
        grade: text("grade"),
        version: text("version"),
        status: json!(status),
    })
}
