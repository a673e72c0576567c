//! The story, told in order.

use std::sync::Arc;

use serde_json::{Value, json};

use super::report::{Phase, Report};
use super::server::Flights;
use crate::demo::agent::{Agent, Heard};
use crate::demo::stage::{DemoError, Stage};
use crate::domain::message::Clock;
use crate::domain::routine::{RoutineDoc, explain};

/// The recorded answer of the advisor.
const ADVISOR: &str = include_str!("../../../fixtures/demo/advisor.json");
/// The tool that changes.
const TOOL: &str = "search_flights";
/// Calls a phase makes.
const CALLS: usize = 60;

/// Plays the story; `tell` hears each step as it happens.
///
/// # Errors
/// Where a socket, the sidecar or the client fails; a story that goes otherwise than it should is
/// told in its figures.
pub async fn play(clock: Arc<dyn Clock>, tell: &mut dyn FnMut(&str)) -> Result<Report, DemoError> {
    let started = clock.monotonic_micros();
    let server = Flights::new()?;
    let answers = serde_json::from_str(ADVISOR)?;
    let stage = Stage::open("flights", server.clone(), Some(answers)).await?;
    let sidecar = &stage.sidecar;
    tell(&format!("a real MCP server listens on {}", stage.server));
    let agent = stage.agent().await?;
    tell("an agent is connected through the sidecar; its tools are sealed as v1.0.0");

    let mut phases = Vec::new();
    sidecar.observe().await.map_err(DemoError::Control)?;
    phases.push(phase(&stage, "baseline", &agent).await?);
    tell("60 calls under the contract");

    server.change();
    tell("the server changed search_flights; the sidecar only observes");
    phases.push(phase(&stage, "drift", &agent).await?);

    sidecar.enforce().await.map_err(DemoError::Control)?;
    tell("the sidecar enforces: renegotiated, proven, swapped");
    phases.push(phase(&stage, "patch", &agent).await?);

    let routine = sidecar.routine();
    let explained = match serde_json::from_value::<RoutineDoc>(routine.clone()) {
        Ok(document) => explain(&document),
        Err(error) => error.to_string(),
    };
    let events = sidecar.events();
    let advisor_calls = sidecar.status()["advisor_calls"].as_u64().unwrap_or_default();
    agent.leave().await?;
    stage.close().await;
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

/// What came of one phase, as the agent saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    succeeded: usize,
    tool_errors: usize,
    refused: usize,
}

/// One phase: a window of its own, the calls, and what the sidecar says afterwards.
async fn phase(stage: &Stage, name: &'static str, agent: &Agent) -> Result<Phase, DemoError> {
    let sidecar = &stage.sidecar;
    sidecar.open_window().await.map_err(DemoError::Control)?;
    let Seen { succeeded, tool_errors, refused } = work(agent).await?;
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

/// The calls of one phase: 45 searches, of which 16 find no seat, and 15 look-ups.
async fn work(agent: &Agent) -> Result<Seen, DemoError> {
    let mut seen = Seen::default();
    for call in 0..CALLS {
        let (tool, arguments) = planned(call);
        match agent.call(tool, &arguments).await? {
            Heard::Result(_) => seen.succeeded += 1,
            Heard::ToolError => seen.tool_errors += 1,
            Heard::Refused(_) => seen.refused += 1,
        }
    }
    Ok(seen)
}

/// The call at a place of the plan. Every fourth looks an airport up; of the searches 16 of 45, evenly
/// spread, ask for a route that has no seats.
fn planned(call: usize) -> (&'static str, Value) {
    if call % 4 == 3 {
        let code = ["ZRH", "LIS", "BER"][(call / 4) % 3];
        return ("get_airport", json!({ "code": code }));
    }
    let search = call - call.div_ceil(4).min(call / 4);
    let fails = (search * 16) / 45 != ((search + 1) * 16) / 45;
    let (from, to) = if fails {
        ("ZRH", "BER")
    } else {
        [("ZRH", "LIS"), ("GVA", "OPO"), ("BSL", "BER")][search % 3]
    };
    let arguments = json!({ "origin": from, "destination": to, "departure_date": "2026-12-24" });
    (TOOL, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_45_searches_of_which_16_fail_and_15_look_ups() {
        let calls: Vec<_> = (0..CALLS).map(planned).collect();
        let searches: Vec<_> = calls.iter().filter(|(tool, _)| *tool == TOOL).collect();
        let failing = searches
            .iter()
            .filter(|(_, arguments)| {
                arguments["origin"] == "ZRH" && arguments["destination"] == "BER"
            })
            .count();
        assert_eq!((searches.len(), failing, calls.len() - searches.len()), (45, 16, 15));
    }
}
