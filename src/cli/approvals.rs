//! `stipula approvals list|show|approve|deny`.

use serde_json::{Value, json};

use super::arguments::{Approvals, Decision};
use super::ask::{list, word};
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, client};

pub(super) fn approvals(command: Approvals, screen: &Screen) -> Result<Answer, Failure> {
    match command {
        Approvals::List(admin) => waiting(&admin.admin, screen),
        Approvals::Show { id, admin } => show(&id, &admin.admin, screen),
        Approvals::Approve(decision) => decide(&decision, "approve", screen),
        Approvals::Deny(decision) => decide(&decision, "deny", screen),
    }
}

fn waiting(admin: &str, screen: &Screen) -> Result<Answer, Failure> {
    let answer = client::get(admin, "/api/v1/approvals")?;
    if screen.is_json() {
        screen.json(&answer);
        return Ok(Answer::Yes);
    }
    let waiting = list(&answer, "approvals");
    if waiting.is_empty() {
        screen.line("nothing waits");
        return Ok(Answer::Yes);
    }
    let head = ["peer", "tool", "severity", "held by", "expires", "id"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for proposal in waiting {
        let rules: Vec<String> =
            list(proposal, "held_by").iter().map(|held| word(held, "rule")).collect();
        rows.push(vec![
            word(proposal, "peer"),
            word(proposal, "tool"),
            word(proposal, "severity"),
            rules.join(", "),
            word(proposal, "expires_at"),
            word(proposal, "id"),
        ]);
    }
    screen.table(&rows);
    Ok(Answer::Yes)
}

fn show(id: &str, admin: &str, screen: &Screen) -> Result<Answer, Failure> {
    let proposal = client::get(admin, &format!("/api/v1/approvals/{id}"))?;
    if screen.is_json() {
        screen.json(&proposal);
        return Ok(Answer::Yes);
    }
    let title = format!("{} of {}", word(&proposal, "tool"), word(&proposal, "peer"));
    screen.line(toned(Tone::Strong, title));
    screen.line(format!("severity  {}", word(&proposal, "severity")));
    screen.line(format!("expires   {}", word(&proposal, "expires_at")));
    screen.line(format!("event     {}", word(&proposal, "drift_id")));
    screen.line("\nIt waits for you because");
    for held in list(&proposal, "held_by") {
        screen.line(format!("  {}: {}", word(held, "rule"), word(held, "why")));
    }
    screen.line("\nIf you approve");
    for line in proposal["explained"].as_str().unwrap_or_default().lines() {
        screen.line(format!("  {line}"));
    }
    let id = word(&proposal, "id");
    screen.line(format!("\nstipula approvals approve {id}\nstipula approvals deny {id}"));
    Ok(Answer::Yes)
}

fn decide(decision: &Decision, verb: &str, screen: &Screen) -> Result<Answer, Failure> {
    let path = format!("/api/v1/approvals/{}/{verb}", decision.id);
    let answer = client::post(&decision.telling, &path, &json!({ "reason": decision.reason }))?;
    done(&answer, screen);
    Ok(Answer::Yes)
}

/// Tells what was done.
pub(super) fn done(answer: &Value, screen: &Screen) {
    if screen.is_json() {
        screen.json(answer);
    } else {
        screen.line(word(answer, "done"));
    }
}
