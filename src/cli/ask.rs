//! `stipula status`, `what-drifted` and `why`: questions to a running sidecar.

use serde_json::Value;

use super::arguments::{Admin, Why};
use super::render::{Screen, Tone, toned, visible};
use super::{Answer, Failure, client};

pub(super) fn status(options: &Admin, screen: &Screen) -> Result<Answer, Failure> {
    let status = client::get(&options.admin, "/api/v1/status")?;
    if screen.is_json() {
        screen.json(&status);
        return Ok(Answer::Yes);
    }
    for peer in list(&status, "peers") {
        let reachable = if peer["reachable"] == false {
            toned(Tone::Bad, " unreachable")
        } else {
            String::new()
        };
        screen.line(format!("{}{reachable}", toned(Tone::Strong, word(peer, "peer"))));
        let version = peer["version"].as_str().map_or_else(
            || "nothing is sealed yet".to_owned(),
            |version| format!("v{version}, expires {}", word(peer, "expiry")),
        );
        screen.line(format!("  contract    {version}"));
        screen.line(format!("  mode        {}", word(peer, "mode")));
        let score = peer["coherence"].as_f64().unwrap_or_default();
        screen.line(format!("  coherence   {score:.2} ({})", word(peer, "grade")));
        screen.line(format!("  generation  {}", peer["generation"]));
        for line in ladder(peer) {
            screen.line(line);
        }
        for event in list(peer, "open_events") {
            let line = format!(
                "  {}  {} {} drift of {}, {}",
                toned(Tone::Warning, "event     "),
                word(event, "severity"),
                word(event, "type"),
                event["tool"].as_str().unwrap_or("the peer"),
                word(event, "state"),
            );
            screen.line(line);
            screen.line(toned(
                Tone::Quiet,
                format!("              stipula why {}", word(event, "id")),
            ));
            if let Some(decision) = event["decision"].as_str() {
                let line = format!("              stipula approvals approve {decision}");
                screen.line(toned(Tone::Quiet, line));
            }
        }
        for shadow in list(peer, "shadow") {
            let tool = word(shadow, "tool");
            let label = toned(Tone::Warning, "shadow    ");
            screen.line(format!("  {label}  {tool}: {}", visible(&word(shadow, "awaits"))));
        }
        for waiting in list(peer, "waiting") {
            let line =
                format!("  {}  {}", toned(Tone::Warning, "waits     "), word(waiting, "tool"));
            screen.line(line);
            let command = format!("              stipula approvals show {}", word(waiting, "id"));
            screen.line(toned(Tone::Quiet, command));
        }
    }
    advisors(&status["advisors"], screen);
    configuration(&status["configuration"], screen);
    Ok(Answer::Yes)
}

/// What stands against the configuration as the file has it now.
fn configuration(standing: &Value, screen: &Screen) {
    if standing["current"] != false {
        return;
    }
    let file = word(standing, "file");
    let what = format!("{file} is not in force as it is now; the one before it is kept");
    screen.line(toned(Tone::Bad, what));
    for fault in list(standing, "faults") {
        screen.line(format!("  {}", fault.as_str().unwrap_or_default()));
    }
}

/// How far down the degrade ladder the peer and its tools are, where all is not well.
fn ladder(peer: &Value) -> Vec<String> {
    let level = word(peer, "level");
    if level == "L0" {
        return Vec::new();
    }
    let breaker = |of: &Value| match of["breaker"].as_str() {
        None | Some("closed") => String::new(),
        Some(state) => format!(", breaker {}", state.replace('_', "-")),
    };
    let peer_line = format!("  {}  {level}{}", toned(Tone::Warning, "degraded  "), breaker(peer));
    let tools = list(peer, "tools").iter().filter(|tool| tool["level"] != "L0");
    let tools = tools.map(|tool| {
        format!("              {} {}{}", word(tool, "tool"), word(tool, "level"), breaker(tool))
    });
    std::iter::once(peer_line).chain(tools).collect()
}

/// The advisors in their order, where there are any.
fn advisors(advisors: &Value, screen: &Screen) {
    if advisors.is_null() {
        return;
    }
    screen.line(toned(Tone::Strong, "advisors"));
    for one in list(advisors, "order") {
        let breaker = word(one, "breaker");
        let stands = match one["why"].as_str() {
            Some(why) => toned(Tone::Warning, format!("{breaker}: {why}")),
            None => breaker,
        };
        let spent = &one["spent"];
        screen.line(format!(
            "  {}  {}, breaker {stands}; {} requests, {} tokens in, {} out",
            word(one, "name"),
            word(one, "kind"),
            word(spent, "calls"),
            word(spent, "input_tokens"),
            word(spent, "output_tokens"),
        ));
    }
    let day = &advisors["last_day"];
    screen.line(toned(
        Tone::Quiet,
        format!("  last 24 h: {} requests, cost {}", word(day, "calls"), word(day, "cost")),
    ));
}

pub(super) fn what_drifted(options: &Admin, screen: &Screen) -> Result<Answer, Failure> {
    let drift = client::get(&options.admin, "/api/v1/drift")?;
    if screen.is_json() {
        screen.json(&drift);
        return Ok(Answer::Yes);
    }
    let events = list(&drift, "events");
    if events.is_empty() {
        screen.line("nothing drifted");
        return Ok(Answer::Yes);
    }
    let head = ["detected", "peer", "tool", "type", "severity", "sensor", "state", "seen", "id"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for entry in events {
        let event = &entry["event"];
        rows.push(vec![
            word(event, "detected_at"),
            word(entry, "peer"),
            word(event, "tool"),
            word(event, "type"),
            word(event, "severity"),
            word(event, "sensor"),
            word(event, "state"),
            event["occurrences"].to_string(),
            word(event, "drift_id"),
        ]);
    }
    screen.table(&rows);
    Ok(Answer::Yes)
}

pub(super) fn why(options: &Why, screen: &Screen) -> Result<Answer, Failure> {
    let why = client::get(&options.admin.admin, &format!("/api/v1/why/{}", options.id))?;
    if screen.is_json() {
        screen.json(&why);
        return Ok(Answer::Yes);
    }
    for record in list(&why, "records") {
        super::ledger::tell(record, screen);
    }
    Ok(Answer::Yes)
}

/// A member that is a list, or an empty one.
pub(super) fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

/// A member that is text; what is absent is told as `-`.
pub(super) fn word(value: &Value, member: &str) -> String {
    match &value[member] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
