//! Drafts: the first version from a surface, the next one from the version before.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::seal::inexact_integers;
use super::{
    Constraints, Contract, Direction, Inferred, Intent, MessageType, Offer, Participant,
    Provenance, ProvenanceKind, Role, Rollback, Schema, Signing, SigningAlgorithm, Surface,
    TelemetryTerms, TermSource, Tool,
};
use crate::domain::message::{Digest, Millis, UnixMillis};
use crate::domain::routine::RoutineDoc;

/// What a first version is made from.
#[derive(Clone, Debug)]
pub struct FirstVersion<'s> {
    /// Names it.
    pub id: Uuid,
    /// The peer: origin of its URL (or command line) and `serverInfo.name`.
    pub peer_identity: String,
    /// What the peer published.
    pub surface: &'s Surface,
    /// When it is sealed.
    pub at: UnixMillis,
    /// How long it is good for, 1 h to 30 d.
    pub lifetime: Millis,
    /// What the provenance refers to: `first-use`, a file.
    pub reference: String,
    /// How it came about.
    pub kind: ProvenanceKind,
}

/// A tool that the contract does not cover; its peer runs unbound for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub tool: String,
    /// What the cost gate, or the seal, would refuse.
    pub why: String,
}

/// How far a version moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Renewed, or only descriptive text changed.
    Patch,
    /// The peer changed and the promise still holds.
    Minor,
    /// The promise itself changed.
    Major,
}

/// The reply terms of a tool that rest on samples, as a message type.
#[must_use]
pub fn inferred_reply(tool: &str, inferred: Inferred) -> MessageType {
    let required = inferred.schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    MessageType {
        name: tool.to_owned(),
        direction: Direction::Reply,
        required_fields: required.collect(),
        schema: inferred.schema,
        source: TermSource::Inferred,
        samples: Some(inferred.samples),
        definition: None,
    }
}

/// What a next version is made from, beside the version before.
#[derive(Clone, Debug)]
pub struct Next {
    /// Names it.
    pub id: Uuid,
    /// When it is sealed.
    pub at: UnixMillis,
    /// How long it is good for, 1 h to 30 d.
    pub lifetime: Millis,
    /// How far the version moves.
    pub step: Step,
    /// What the peer speaks where it differs from the promise; `None` where they are equal.
    pub offer: Option<Offer>,
    /// Maps promise to offer.
    pub routine: RoutineDoc,
    /// Tools whose promise is new or changed, as the promise states them from now on.
    pub adopted: Vec<Tool>,
    /// Names of tools that are promised no longer.
    pub dropped: Vec<String>,
    /// Reply terms that do not come with a definition: inferred ones, or declared ones that were
    /// mended. Each takes the place of the tool's reply message type.
    pub replies: Vec<MessageType>,
    /// Why there is a next version.
    pub provenance: Provenance,
}

/// Drafts version 1.0.0 from a surface. Tools that the cost gate refuses are left out and named.
#[must_use]
pub fn first_version(from: FirstVersion<'_>) -> (Contract, Vec<LeftOut>) {
    let mut out = Vec::new();
    let mut message_types = Vec::new();
    let mut intents = Vec::new();
    for tool in &from.surface.tools {
        if let Some(refused) = left_out(tool) {
            out.push(refused);
            continue;
        }
        message_types.extend(messages_of(tool));
        intents.push(intent_of(tool));
    }
    let contract = Contract {
        contract_id: from.id,
        version: semver::Version::new(1, 0, 0),
        hash: Digest::from_bytes([0; 32]),
        sealed_at: from.at,
        expiry: from.at.plus(from.lifetime),
        supersedes: None,
        participants: vec![
            participant("agent".to_owned(), Role::Initiator, json!({})),
            participant(from.peer_identity, Role::Responder, from.surface.capabilities.clone()),
        ],
        message_types,
        intents,
        error_codes: Vec::new(),
        constraints: Constraints::default(),
        provenance: vec![Provenance {
            r#ref: from.reference,
            kind: from.kind,
            timestamp: from.at,
            detail: "the surface as it was first read".to_owned(),
        }],
        signing: Signing { algorithm: SigningAlgorithm::Sha256, public_key: None, signature: None },
        deprecation: None,
        migration: None,
        rollback: Rollback { rollback_to: None, auto_rollback: true, failure_threshold: 2 },
        telemetry: TelemetryTerms {
            trace_propagation: "w3c".to_owned(),
            log_level: "info".to_owned(),
        },
        offer: None,
        routine: RoutineDoc::default(),
        profile: None,
    };
    (contract, out)
}

/// Drafts the version after `previous`: what is not named in `next` stays as it was.
#[must_use]
pub fn next_version(previous: &Contract, next: Next) -> Contract {
    let mut contract = previous.clone();
    contract.contract_id = next.id;
    contract.version = stepped(&previous.version, next.step);
    contract.sealed_at = next.at;
    contract.expiry = next.at.plus(next.lifetime);
    contract.supersedes = Some(previous.contract_id);
    contract.rollback.rollback_to = Some(previous.hash);
    contract.provenance.push(next.provenance);
    contract.offer = next.offer.filter(|offer| !offer.tools.is_empty() || !offer.gone.is_empty());
    contract.routine = next.routine;
    contract.deprecation = None;
    contract.migration = None;
    let dropped: BTreeSet<&str> = next.dropped.iter().map(String::as_str).collect();
    contract.message_types.retain(|message| !dropped.contains(message.name.as_str()));
    contract.intents.retain(|intent| !dropped.contains(intent.name.as_str()));
    for tool in &next.adopted {
        adopt(&mut contract, tool);
    }
    for reply in next.replies {
        put_reply(&mut contract.message_types, reply);
    }
    contract
}

fn stepped(version: &semver::Version, step: Step) -> semver::Version {
    match step {
        Step::Patch => semver::Version::new(version.major, version.minor, version.patch + 1),
        Step::Minor => semver::Version::new(version.major, version.minor + 1, 0),
        Step::Major => semver::Version::new(version.major + 1, 0, 0),
    }
}

/// A tool that was promised keeps its place in the list; a new one comes last.
fn adopt(contract: &mut Contract, tool: &Tool) {
    let place = contract.message_types.iter().position(|message| message.name == tool.name());
    // What was inferred of its replies is no part of a definition: it stays until one is declared.
    let inferred = contract.message_types.iter().find(|message| {
        message.name == tool.name()
            && message.direction == Direction::Reply
            && message.source == TermSource::Inferred
    });
    let inferred = inferred.filter(|_| tool.output_schema().is_none()).cloned();
    contract.message_types.retain(|message| message.name != tool.name());
    let place = place.unwrap_or(contract.message_types.len());
    contract.message_types.splice(place..place, messages_of(tool).chain(inferred));
    let intent = intent_of(tool);
    match contract.intents.iter_mut().find(|known| known.name == intent.name) {
        Some(known) => *known = intent,
        None => contract.intents.push(intent),
    }
}

fn put_reply(messages: &mut Vec<MessageType>, reply: MessageType) {
    let same = |message: &MessageType, direction| {
        message.name == reply.name && message.direction == direction
    };
    if let Some(known) = messages.iter_mut().find(|message| same(message, Direction::Reply)) {
        *known = reply;
    } else {
        let request = messages.iter().position(|message| same(message, Direction::Request));
        messages.insert(request.map_or(messages.len(), |place| place + 1), reply);
    }
}

/// Whether the seal would refuse this tool, promised or offered, and why: whoever drafts leaves it out.
#[must_use]
pub fn left_out(tool: &Tool) -> Option<LeftOut> {
    let out = |why: String| Some(LeftOut { tool: tool.name().to_owned(), why });
    for (member, schema) in
        [("inputSchema", tool.input_schema()), ("outputSchema", tool.output_schema())]
    {
        if let Some(Err(refused)) = schema.map(Schema::compile) {
            return out(format!("{member}{}: {}", refused.pointer, refused.what));
        }
    }
    let mut faults = Vec::new();
    inexact_integers(tool.definition(), &mut String::new(), &mut faults);
    faults.first().and_then(|fault| out(fault.to_string()))
}

fn messages_of(tool: &Tool) -> impl Iterator<Item = MessageType> + use<> {
    let message = |direction, schema: Value, definition| MessageType {
        name: tool.name().to_owned(),
        direction,
        required_fields: required_of(&schema),
        schema,
        source: TermSource::Declared,
        samples: None,
        definition,
    };
    // A tool without an input schema takes any object.
    let request = tool.input_schema().cloned().unwrap_or_else(|| json!({"type": "object"}));
    let request = message(Direction::Request, request, Some(tool.clone()));
    let reply = tool.output_schema().map(|schema| message(Direction::Reply, schema.clone(), None));
    std::iter::once(request).chain(reply)
}

fn required_of(schema: &Value) -> Vec<String> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn intent_of(tool: &Tool) -> Intent {
    Intent {
        name: tool.name().to_owned(),
        description: tool.description().to_owned(),
        triggers: vec![tool.name().to_owned()],
        outcomes: Vec::new(),
    }
}

/// A declaration that no seal can hold is left out: a tool's promise does not rest on it.
fn participant(id: String, role: Role, mut capabilities: Value) -> Participant {
    if let Some(members) = capabilities.as_object_mut() {
        members.retain(|_, declared| {
            let mut faults = Vec::new();
            inexact_integers(declared, &mut String::new(), &mut faults);
            faults.is_empty()
        });
    }
    Participant { id, role, protocol: "mcp".to_owned(), capabilities }
}

impl Contract {
    /// The promised tools, in the order they are listed to the agent.
    #[must_use]
    pub fn promised_tools(&self) -> Vec<&Tool> {
        self.message_types.iter().filter_map(|message| message.definition.as_ref()).collect()
    }

    /// The promise of this name.
    #[must_use]
    pub fn promised(&self, name: &str) -> Option<&Tool> {
        self.message(name, Direction::Request)?.definition.as_ref()
    }

    /// What the peer speaks under this name: the offer's entry, or the promise where they are equal.
    #[must_use]
    pub fn offered(&self, name: &str) -> Option<&Tool> {
        let Some(offer) = &self.offer else { return self.promised(name) };
        if let Some(tool) = offer.tools.iter().find(|tool| tool.name() == name) {
            return Some(tool);
        }
        if offer.gone.iter().any(|gone| gone == name) { None } else { self.promised(name) }
    }

    /// The promised message of this name and direction.
    #[must_use]
    pub fn message(&self, name: &str, direction: Direction) -> Option<&MessageType> {
        self.message_types
            .iter()
            .find(|message| message.name == name && message.direction == direction)
    }

    /// The schema that a promised tool's arguments are held to.
    #[must_use]
    pub fn request_schema(&self, name: &str) -> Option<&Value> {
        self.message(name, Direction::Request).map(|message| &message.schema)
    }

    /// The schema that a promised tool's replies are held to, declared or inferred.
    #[must_use]
    pub fn reply_schema(&self, name: &str) -> Option<&Value> {
        self.message(name, Direction::Reply).map(|message| &message.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_with_a_number_that_has_no_canonical_form_is_left_out() {
        let vast = json!({"vast": {"limit": 9_223_372_036_854_775_807_i64}});
        let declared = json!({"tools": {}, "experimental": vast});
        let peer = participant("p".to_owned(), Role::Responder, declared);
        assert_eq!(peer.capabilities, json!({"tools": {}}));
    }
}
