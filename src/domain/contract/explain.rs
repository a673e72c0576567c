//! A contract in plain sentences.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::{Contract, Direction, MessageType, SigningAlgorithm, TermSource, Tool, confidence};
use crate::domain::routine::ToolRoutine;

/// Tells what a contract promises, what the peer speaks, how one becomes the other, until when, and
/// where it comes from. Lines end in a line feed.
#[must_use]
pub fn explain(contract: &Contract) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = tell(contract, &mut out);
    out
}

fn tell(contract: &Contract, out: &mut String) -> fmt::Result {
    writeln!(out, "Contract {}, version {}.", contract.contract_id, contract.version)?;
    writeln!(out, "{}, {}.", sealed_how(contract), contract.hash)?;
    let days = contract.expiry.since(contract.sealed_at).0 / 86_400_000;
    writeln!(
        out,
        "Sealed at {}, good until {} ({}).",
        contract.sealed_at,
        contract.expiry,
        counted(usize::try_from(days).unwrap_or(usize::MAX), "day")
    )?;
    if let Some(before) = contract.supersedes {
        writeln!(out, "It supersedes {before}.")?;
    }
    let sides: Vec<&str> = contract.participants.iter().map(|side| side.id.as_str()).collect();
    writeln!(out, "It stands between {}.", sides.join(" and "))?;
    promises(contract, out)?;
    constraints(contract, out)?;
    offer(contract, out)?;
    routine(contract, out)?;
    writeln!(out, "\nIt comes from:")?;
    for step in &contract.provenance {
        let kind = word(&step.kind);
        writeln!(out, "- {} at {}, {}: {}.", kind, step.timestamp, step.r#ref, step.detail)?;
    }
    Ok(())
}

fn sealed_how(contract: &Contract) -> String {
    match (contract.signing.algorithm, &contract.signing.public_key) {
        (SigningAlgorithm::Ed25519, Some(key)) => format!("Signed with the Ed25519 key {key}"),
        _ => "Sealed by its hash alone".to_owned(),
    }
}

fn promises(contract: &Contract, out: &mut String) -> fmt::Result {
    let tools = contract.promised_tools();
    writeln!(out, "\nThe agent is promised {}:", counted(tools.len(), "tool"))?;
    for tool in tools {
        let first = tool.description().lines().next().unwrap_or_default().trim();
        let about = if first.is_empty() { String::new() } else { format!(": {first}") };
        writeln!(out, "- {}{about}", tool.name())?;
        let takes = contract.request_schema(tool.name()).map_or_else(String::new, members);
        writeln!(out, "  It takes {}.", or_nothing(takes, "no named arguments"))?;
        match contract.message(tool.name(), Direction::Reply) {
            Some(reply) => {
                writeln!(out, "  It replies with {}{}.", replied(reply), rests_on(reply))?
            }
            None => writeln!(out, "  What it replies is not promised.")?,
        }
    }
    Ok(())
}

/// What holds beside the tools.
fn constraints(contract: &Contract, out: &mut String) -> fmt::Result {
    let stated = &contract.constraints;
    let slo = stated.slo.unwrap_or_default();
    let told = [
        stated.timeout_ms.map(|most| format!("an answer takes no longer than {most} ms")),
        stated.max_payload_bytes.map(|most| format!("a call is no larger than {most} bytes")),
        slo.p95_ms.map(|most| format!("19 of 20 calls of a tool take no longer than {most} ms")),
        slo.error_rate
            .map(|most| format!("no more than {:.2} % of the calls of a tool fail", most * 100.0)),
        stated.rate_limit.as_ref().map(|rate| format!("a rate of {rate}, which is not applied")),
        stated.idempotency_required.then(|| "idempotency keys, which are not applied".to_owned()),
        stated.tool_scopes.as_ref().map(|of| format!("scopes {of}, which are not applied")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        writeln!(out, "\nIt states:")?;
    }
    told.iter().try_for_each(|one| writeln!(out, "- {one}."))
}

fn replied(reply: &MessageType) -> String {
    or_nothing(members(&reply.schema), "a value that its schema describes")
}

fn or_nothing(told: String, otherwise: &str) -> String {
    if told.is_empty() { otherwise.to_owned() } else { told }
}

fn rests_on(reply: &MessageType) -> String {
    match reply.source {
        TermSource::Declared => String::new(),
        TermSource::Approved => ", as a person approved".to_owned(),
        TermSource::Inferred => {
            let seen = reply.samples.unwrap_or(0);
            let samples = usize::try_from(seen).unwrap_or(usize::MAX);
            format!(
                ", inferred from {}, which is weaker evidence: at least {:.0} % of its replies keep \
                 it, with a confidence of 95 %",
                counted(samples, "sample"),
                (confidence(seen) * 100.0).floor()
            )
        }
    }
}

/// `from (string, required), limit (integer)`.
fn members(schema: &Value) -> String {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let declared = schema.get("properties").and_then(Value::as_object);
    let told = declared.into_iter().flatten().map(|(name, member)| {
        let kind = match member.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
            }
            _ if member.get("enum").is_some() => "one of a list".to_owned(),
            _ => "any".to_owned(),
        };
        let need = if required.contains(&name.as_str()) { ", required" } else { "" };
        format!("{name} ({kind}{need})")
    });
    told.collect::<Vec<_>>().join(", ")
}

fn offer(contract: &Contract, out: &mut String) -> fmt::Result {
    let Some(offer) = &contract.offer else {
        return writeln!(out, "\nThe peer speaks as promised.");
    };
    writeln!(out, "\nThe peer speaks otherwise (surface {}):", offer.surface)?;
    let other: Vec<&str> = offer.tools.iter().map(Tool::name).collect();
    if !other.is_empty() {
        writeln!(out, "- it offers {} in its own words.", other.join(", "))?;
    }
    if !offer.gone.is_empty() {
        writeln!(out, "- it offers no more {}.", offer.gone.join(", "))?;
    }
    Ok(())
}

fn routine(contract: &Contract, out: &mut String) -> fmt::Result {
    if contract.routine.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThe routine carries over:")?;
    for (tool, routine) in &contract.routine.0 {
        let call = match &routine.call {
            Some(call) => format!(" calls {call};"),
            None => String::new(),
        };
        writeln!(out, "- {tool}:{call} {}.", operations(routine))?;
        if !routine.gone.is_empty() {
            writeln!(
                out,
                "  Its replies lack {}: nothing stands for them.",
                routine.gone.join(", ")
            )?;
        }
    }
    let back = if contract.rollback.auto_rollback { "by itself" } else { "by hand" };
    let misses = usize::try_from(contract.rollback.failure_threshold).unwrap_or(usize::MAX);
    if let Some(hash) = contract.rollback.rollback_to {
        writeln!(out, "After {} it goes back {back} to {hash}.", counted(misses, "miss"))?;
    }
    Ok(())
}

fn operations(routine: &ToolRoutine) -> String {
    let parts = [
        (routine.request.len(), "operation on the request", "operations on the request"),
        (routine.reply.len(), "operation on the reply", "operations on the reply"),
        (routine.errors.len(), "error code", "error codes"),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    or_nothing(told.join(", "), "the values stay as they are")
}

fn counted(count: usize, word: &str) -> String {
    let plural = if word.ends_with('s') { "es" } else { "s" };
    format!("{count} {word}{}", if count == 1 { "" } else { plural })
}

/// The word that a value is written as.
fn word(value: &impl serde::Serialize) -> String {
    let written = serde_json::to_value(value).ok();
    written.as_ref().and_then(Value::as_str).unwrap_or_default().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Constraints, FirstVersion, ProvenanceKind, Slo, Surface, first_version};
    use super::explain;
    use crate::domain::message::{Millis, UnixMillis};

    #[test]
    fn what_a_contract_states_beside_its_tools_is_told_and_whether_it_is_applied() {
        let (mut contract, _) = first_version(FirstVersion {
            id: uuid::Uuid::nil(),
            peer_identity: "http://127.0.0.1".to_owned(),
            surface: &Surface::default(),
            at: UnixMillis(0),
            lifetime: Millis(86_400_000),
            reference: "test".to_owned(),
            kind: ProvenanceKind::Manual,
        });
        assert!(!explain(&contract).contains("It states"));
        contract.constraints = Constraints {
            timeout_ms: Some(5_000),
            slo: Some(Slo { p95_ms: Some(200), error_rate: Some(0.015) }),
            tool_scopes: Some(json!({ "read": ["notes"] })),
            ..Constraints::default()
        };
        let told = explain(&contract);
        for line in [
            "- an answer takes no longer than 5000 ms.",
            "- 19 of 20 calls of a tool take no longer than 200 ms.",
            "- no more than 1.50 % of the calls of a tool fail.",
            "- scopes {\"read\":[\"notes\"]}, which are not applied.",
        ] {
            assert!(told.lines().any(|it| it == line), "{line}\n{told}");
        }
    }
}
