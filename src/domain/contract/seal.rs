//! The seal: who checks a contract mints the proof that it was checked.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use super::signer::{Signer, signature_faults};
use super::{Contract, Direction, Role, Schema, Signing, SigningAlgorithm};
use crate::domain::json::{Limits, Tape, canonical_digest};
use crate::domain::message::{Digest, Millis};

/// The shortest lifetime: one hour.
const SHORTEST: Millis = Millis(60 * 60 * 1000);
/// The longest lifetime: thirty days.
const LONGEST: Millis = Millis(30 * 24 * 60 * 60 * 1000);
/// The largest integer whose neighbours RFC 8785 still tells apart.
const EXACT: u64 = 1 << 53;

/// One thing that is wrong with a contract, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", if pointer.is_empty() { "the contract" } else { pointer })]
pub struct SealFault {
    /// JSON Pointer into the contract.
    pub pointer: String,
    /// What was expected and what came.
    pub what: String,
}

/// Why a contract is not sealed, or a sealed one not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text is no contract: not strict JSON, a field missing, unknown or of another type.
    #[error("this is no contract: {0}")]
    Unreadable(String),
    /// All that is wrong with the contract.
    #[error("{}", join(.0))]
    Faults(Vec<SealFault>),
    /// The key that should sign cannot be used.
    #[error("the signing key cannot be used: {0}")]
    Key(String),
}

fn join(faults: &[SealFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Contract {
    /// SHA-256 of the RFC 8785 canonical form of everything but `hash` and `signing.signature`.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a contract has string keys only and serde_json holds no number without a form"
    )]
    pub fn content_hash(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("a contract is a JSON object");
        if let Some(members) = value.as_object_mut() {
            members.remove("hash");
            if let Some(signing) = members.get_mut("signing").and_then(Value::as_object_mut) {
                signing.remove("signature");
            }
        }
        canonical_digest(&value).expect("a JSON value has a canonical form")
    }
}

/// A contract whose hash, signature and fields were checked. Only sealing and opening make one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed(Arc<Contract>);

impl Deref for Sealed {
    type Target = Contract;

    fn deref(&self) -> &Contract {
        &self.0
    }
}

impl Sealed {
    /// Checks a contract that claims to be sealed: fields, hash, signature.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn open(contract: impl Into<Arc<Contract>>) -> Result<Self, SealError> {
        let contract: Arc<Contract> = contract.into();
        let mut faults = field_faults(&contract);
        let hash = contract.content_hash();
        if hash != contract.hash {
            faults.push(fault(
                "/hash",
                format!("expected {hash}, the hash of what is written here, got {}: altered after it was sealed", contract.hash),
            ));
        }
        faults.extend(signature_faults(&contract));
        if faults.is_empty() { Ok(Self(contract)) } else { Err(SealError::Faults(faults)) }
    }

    /// Reads a sealed contract from its text: one strict JSON value, keys unique, no unknown fields.
    ///
    /// # Errors
    /// Where the text is no contract, or all that [`Sealed::open`] finds.
    pub fn parse(text: &[u8]) -> Result<Self, SealError> {
        // The strict reader refuses what serde_json lets through inside free-form members: a key
        // that stands twice, which one reader takes and another does not.
        Tape::default()
            .read(text, Limits::default())
            .map_err(|error| SealError::Unreadable(error.to_string()))?;
        let unreadable = |error: serde_json::Error| SealError::Unreadable(error.to_string());
        let written: Value = serde_json::from_slice(text).map_err(unreadable)?;
        let contract: Contract = serde_json::from_slice(text).map_err(unreadable)?;
        // Ids, times and digests can be spelled in several ways that mean the same. A sealed file has
        // one, so that no byte of it can change unseen.
        let said = serde_json::to_value(&contract).map_err(unreadable)?;
        if let Some(at) = differs(&written, &said) {
            let what =
                "expected the spelling that sealing writes, got another one of the same value";
            return Err(SealError::Faults(vec![fault(&at, what)]));
        }
        Self::open(contract)
    }

    /// The text that is written to a file: indented, fields in their order, a line feed at the end.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a contract has string keys only")]
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(&*self.0).expect("a contract is a JSON object");
        text.push('\n');
        text
    }

    /// The contract, to be held by others without a copy.
    #[must_use]
    pub fn shared(&self) -> Arc<Contract> {
        Arc::clone(&self.0)
    }

    /// The contract, to draft the next version from.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.0
    }
}

/// Seals a draft: checks its fields, sets `signing`, `hash` and, with a signer, the signature.
///
/// # Errors
/// All that is wrong with the draft's fields.
pub fn seal(mut contract: Contract, signer: Option<&Signer>) -> Result<Sealed, SealError> {
    contract.signing = match signer {
        Some(signer) => Signing {
            algorithm: SigningAlgorithm::Ed25519,
            public_key: Some(signer.public_key()),
            signature: None,
        },
        None => Signing { algorithm: SigningAlgorithm::Sha256, public_key: None, signature: None },
    };
    contract.hash = contract.content_hash();
    contract.signing.signature = signer.map(|signer| signer.sign(&contract.hash));
    // What was made is held to the same checks as what a stranger hands in.
    Sealed::open(contract)
}

/// JSON Pointer to the first difference.
fn differs(one: &Value, other: &Value) -> Option<String> {
    let below = |name: &str, found: String| {
        format!("/{}{found}", name.replace('~', "~0").replace('/', "~1"))
    };
    match (one, other) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            a.iter().find_map(|(name, a)| {
                let b = b.get(name).unwrap_or(&Value::Null);
                differs(a, b).map(|found| below(name, found))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(at, (a, b))| differs(a, b).map(|found| below(&at.to_string(), found)))
        }
        _ => (one != other).then(String::new),
    }
}

pub(super) fn fault(pointer: &str, what: impl Into<String>) -> SealFault {
    SealFault { pointer: pointer.to_owned(), what: what.into() }
}

fn field_faults(contract: &Contract) -> Vec<SealFault> {
    let mut faults = Vec::new();
    let initiators = contract.participants.iter().filter(|p| p.role == Role::Initiator).count();
    if initiators == 0 || initiators == contract.participants.len() {
        faults.push(fault("/participants", "expected at least one initiator and one responder"));
    }
    let lifetime = contract.expiry.since(contract.sealed_at);
    if lifetime < SHORTEST || lifetime > LONGEST {
        faults.push(fault(
            "/expiry",
            format!("expected a lifetime from 1 hour to 30 days, got {} s", lifetime.0 / 1000),
        ));
    }
    let mut seen = BTreeSet::new();
    for (index, message) in contract.message_types.iter().enumerate() {
        let pointer = format!("/message_types/{index}");
        if !seen.insert((message.name.as_str(), message.direction == Direction::Request)) {
            faults.push(fault(
                &pointer,
                format!("{:?} stands twice in this direction", message.name),
            ));
        }
        if let Some(definition) = &message.definition
            && definition.name() != message.name
        {
            faults.push(fault(
                &format!("{pointer}/definition/name"),
                format!("expected {:?}, got {:?}", message.name, definition.name()),
            ));
        }
        if let Err(refused) = Schema::compile(&message.schema) {
            faults.push(fault(&format!("{pointer}/schema{}", refused.pointer), refused.what));
        }
    }
    faults.extend(offer_faults(contract));
    if let Ok(value) = serde_json::to_value(contract) {
        inexact_integers(&value, &mut String::new(), &mut faults);
    }
    faults
}

fn offer_faults(contract: &Contract) -> Vec<SealFault> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, tool) in contract.offer.iter().flat_map(|offer| &offer.tools).enumerate() {
        let pointer = format!("/offer/tools/{index}");
        if tool.name().is_empty() || !seen.insert(tool.name()) {
            faults.push(fault(
                &pointer,
                format!("expected a name of its own, got {:?}", tool.name()),
            ));
        }
        for (member, schema) in
            [("inputSchema", tool.input_schema()), ("outputSchema", tool.output_schema())]
        {
            if let Some(Err(refused)) = schema.map(Schema::compile) {
                faults.push(fault(&format!("{pointer}/{member}{}", refused.pointer), refused.what));
            }
        }
    }
    faults
}

/// Integers that a binary64 number cannot hold have no form of their own in RFC 8785: two contracts
/// that differ in one would have one hash.
pub(super) fn inexact_integers(value: &Value, at: &mut String, faults: &mut Vec<SealFault>) {
    let length = at.len();
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if size.is_some_and(|size| size > EXACT) {
                faults
                    .push(fault(at, format!("expected an integer of at most 2^53, got {number}")));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                inexact_integers(item, at, faults);
                at.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                inexact_integers(member, at, faults);
                at.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// One break in a chain of versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {version} (number {index} of the chain): {what}")]
pub struct ChainFault {
    /// Which contract of the slice.
    pub index: usize,
    /// Its version.
    pub version: String,
    /// What was expected and what came.
    pub what: String,
}

/// Checks that these contracts, oldest first, are one chain: each supersedes the one before it,
/// versions rise, time does not go back, no id stands twice, and whoever began to sign goes on with
/// that key. Whether each is sealed is for [`Sealed::open`].
#[must_use]
pub fn verify_chain(contracts: &[Contract]) -> Vec<ChainFault> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, contract) in contracts.iter().enumerate() {
        let mut say = |what: String| {
            faults.push(ChainFault { index, version: contract.version.to_string(), what });
        };
        if !ids.insert(contract.contract_id) {
            say(format!("the id {} stands twice", contract.contract_id));
        }
        let Some(before) = index.checked_sub(1).and_then(|index| contracts.get(index)) else {
            continue;
        };
        if contract.supersedes != Some(before.contract_id) {
            let came = contract.supersedes.map_or("nothing".to_owned(), |id| id.to_string());
            say(format!("expected to supersede {}, supersedes {came}", before.contract_id));
        }
        if contract.version <= before.version {
            say(format!("expected a version above {}", before.version));
        }
        if contract.sealed_at < before.sealed_at {
            say(format!("sealed at {}, before the version that it supersedes", contract.sealed_at));
        }
        if before.signing.public_key.is_some()
            && contract.signing.public_key != before.signing.public_key
        {
            say("expected the key that signed the version before".to_owned());
        }
    }
    faults
}
