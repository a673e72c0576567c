//! `stipula approvals list|show|approve|deny`.

use serde_json::{Value, json};

use super::arguments::{Approvals, Decision};
use super::ask::{list, word};
use super::render::{Screen, Tone, toned, visible};
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
    for bundle in list(&answer, "bundles") {
        let (peer, id) = (word(bundle, "peer"), word(bundle, "id"));
        let tools = list(bundle, "tools").len();
        screen.line(format!("\nAll {tools} of {peer} as one version: stipula approvals show {id}"));
    }
    Ok(Answer::Yes)
}

fn show(id: &str, admin: &str, screen: &Screen) -> Result<Answer, Failure> {
    let shown = client::get(admin, &format!("/api/v1/approvals/{id}"))?;
    if screen.is_json() {
        screen.json(&shown);
        return Ok(Answer::Yes);
    }
    if shown["shown"].is_array() {
        let tools: Vec<&str> = list(&shown, "tools").iter().filter_map(Value::as_str).collect();
        let title = format!("{} tools of {} as one", tools.len(), word(&shown, "peer"));
        screen.line(toned(Tone::Strong, title));
        for proposal in list(&shown, "shown") {
            screen.line("");
            one(proposal, screen);
        }
    } else {
        one(&shown, screen);
        if let Some(bundle) = shown["bundle"].as_str() {
            heading("It waits with others", screen);
            screen.line(format!("  stipula approvals show {bundle}"));
        }
    }
    heading("If you approve", screen);
    screen.line(format!("  {}", word(&shown, "if_approved")));
    let id = word(&shown, "id");
    screen.line(format!(
        "\nstipula approvals approve {id} --reason TEXT\nstipula approvals deny {id} --reason TEXT"
    ));
    Ok(Answer::Yes)
}

/// One proposal: why it waits, both definitions, the routine, and what it does to samples.
fn one(proposal: &Value, screen: &Screen) {
    let title = format!("{} of {}", word(proposal, "tool"), word(proposal, "peer"));
    screen.line(toned(Tone::Strong, visible(&title)));
    for (name, member) in
        [("severity", "severity"), ("expires ", "expires_at"), ("event   ", "drift_id")]
    {
        screen.line(format!("{name}  {}", word(proposal, member)));
    }
    let inner = &proposal["proposal"];
    screen.line(format!(
        "proof     {}, proposed by the {}",
        word(inner, "proof"),
        word(inner, "origin")
    ));
    heading("It waits for you because", screen);
    for rule in list(proposal, "rules") {
        screen.line(format!("  rule {}: {}", rule["number"], word(rule, "demands")));
        let held = list(proposal, "held_by").iter().filter(|held| held["rule"] == rule["rule"]);
        for held in held {
            screen.line(format!("    {}", visible(&word(held, "why"))));
        }
    }
    heading("Who is affected", screen);
    match list(proposal, "affected") {
        [] => screen.line("  nobody called it since the start"),
        affected => {
            for caller in affected {
                let (who, last) = (word(caller, "principal"), word(caller, "last"));
                screen.line(format!("  {who}: {} calls, the last at {last}", caller["calls"]));
            }
        }
    }
    definition("As it was promised", &proposal["promised"], screen);
    definition("As it is offered now", &proposal["offered"], screen);
    heading("What carries it over", screen);
    for line in proposal["explained"].as_str().unwrap_or_default().lines() {
        screen.line(format!("  {}", visible(line)));
    }
    let examples = &proposal["examples"];
    samples(
        "Calls before and after (generated from the promised schema)",
        list(examples, "calls"),
        screen,
    );
    samples(
        "Replies before and after (generated from the offered schema)",
        list(examples, "replies"),
        screen,
    );
}

fn heading(text: &str, screen: &Screen) {
    screen.line(format!("\n{}", toned(Tone::Strong, text)));
}

/// A tool's definition as its peer lists it.
fn definition(title: &str, tool: &Value, screen: &Screen) {
    heading(title, screen);
    if tool.is_null() {
        screen.line("  no one tool");
        return;
    }
    let text = serde_json::to_string_pretty(tool).unwrap_or_default();
    for line in text.lines() {
        screen.line(format!("  {}", visible(line)));
    }
}

fn samples(title: &str, samples: &[Value], screen: &Screen) {
    if samples.is_empty() {
        return;
    }
    heading(title, screen);
    for sample in samples {
        screen.line(format!("  {}", visible(&sample["before"].to_string())));
        let after = match sample["refused"].as_str() {
            Some(why) => format!("refused: {why}"),
            None => sample["after"].to_string(),
        };
        screen.line(format!("    -> {}", visible(&after)));
    }
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
