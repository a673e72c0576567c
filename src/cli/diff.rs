//! `stipula diff`.

use serde_json::{Value, json};

use super::arguments::Diff;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, sarif, source};
use crate::domain::drift::{self, Change, Compatibility};
use crate::domain::negotiation::{self, Decision, Held, Proposal};
use crate::domain::routine::RoutineDoc;

pub(super) fn diff(options: Diff, screen: &Screen) -> Result<Answer, Failure> {
    let old = source::surface(&options.old)?;
    let new = source::surface(&options.new)?;
    let found = drift::diff(&old, &new);
    let proposals = negotiation::assess(&old, &new);
    if let Some(path) = &options.sarif {
        source::write(path, &sarif::report(&found.changes, &options.new))?;
    }
    if let Some(path) = &options.routine {
        let document = document(&proposals, options.include_review);
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        source::write(path, &format!("{text}\n"))?;
    }
    if screen.is_json() {
        let proposals: Vec<Value> = proposals.iter().map(proposal_json).collect();
        screen.json(&json!({
            "verdict": found.verdict,
            "changes": found.changes,
            "proposals": proposals,
        }));
    } else {
        tell(found.verdict, &found.changes, &proposals, screen);
    }
    Ok(if found.verdict == Compatibility::Breaking { Answer::No } else { Answer::Yes })
}

fn document(proposals: &[Proposal], include_review: bool) -> RoutineDoc {
    let taken = proposals.iter().filter(|proposal| {
        proposal.gate == Decision::Auto || (include_review && proposal.gate == Decision::Review)
    });
    RoutineDoc(taken.flat_map(|proposal| proposal.routine.0.clone()).collect())
}

fn proposal_json(proposal: &Proposal) -> Value {
    json!({
        "tool": proposal.tool,
        "to_tool": proposal.to_tool,
        "routine": proposal.routine,
        "proof": proposal.proof,
        "gate": proposal.gate,
        "held_by": proposal.held_by.iter().map(rule).collect::<Vec<_>>(),
        "scope": proposal.scope,
    })
}

/// A rule that holds, as people and scripts read it.
fn rule(held: &Held) -> String {
    format!("rule {}: {}", held.rule.number(), held.why)
}

fn tell(verdict: Compatibility, changes: &[Change], proposals: &[Proposal], screen: &Screen) {
    let (tone, word) = match verdict {
        Compatibility::Compatible => (Tone::Good, "compatible"),
        Compatibility::Additive => (Tone::Good, "additive"),
        Compatibility::Breaking => (Tone::Bad, "breaking"),
    };
    screen.line(toned(tone, word));
    let mut tool = None;
    for change in changes {
        if tool != Some(&change.tool) {
            screen.line(format!("\n{}", toned(Tone::Strong, &change.tool)));
            tool = Some(&change.tool);
        }
        let severity = change.severity.word();
        let severity = toned(Tone::of_severity(severity), format!("{severity:8}"));
        screen.line(format!("  {severity}  {}", change.message));
        screen.line(toned(Tone::Quiet, format!("            {} {}", change.kind, change.pointer)));
    }
    for proposal in proposals {
        let (tone, word) = match proposal.gate {
            Decision::Auto => (Tone::Good, "heals by itself"),
            Decision::Review => (Tone::Warning, "waits for a person"),
            Decision::None => (Tone::Bad, "cannot be carried over"),
        };
        let to = proposal.to_tool.as_deref().filter(|to| *to != proposal.tool);
        let to = to.map(|to| format!(" -> {to}")).unwrap_or_default();
        screen.line(format!(
            "\n{}{to}: {}",
            toned(Tone::Strong, &proposal.tool),
            toned(tone, word)
        ));
        for held in &proposal.held_by {
            screen.line(format!("  {}", rule(held)));
        }
    }
}
