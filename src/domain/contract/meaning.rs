//! What a definition says, however it is written: digests that a change of wording alone leaves be.

use serde_json::{Map, Value, json};

use super::normal::normal_schema;
use super::{Surface, Tool};
use crate::domain::json::canonical_digest;
use crate::domain::message::Digest;

impl Tool {
    /// SHA-256 of the RFC 8785 canonical form of the definition as it was listed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(self.definition())
    }

    /// The definition in normal form: definitions that say the same are equal here. Left out is what
    /// no call depends on: `$schema` lines, `execution`, `icons`, `_meta` but for `_meta.ui`.
    #[must_use]
    pub fn meaning(&self) -> Value {
        let Some(members) = self.definition().as_object() else {
            return self.definition().clone();
        };
        let told = members.iter().filter_map(|(name, member)| {
            let meaning = match SCHEMAS.contains(&name.as_str()) {
                true => Some(normal_schema(member)),
                false => beside_schemas(name, member),
            };
            meaning.map(|meaning| (name.clone(), meaning))
        });
        Value::Object(told.collect())
    }

    /// Whether two definitions have one [`Self::meaning`]; schemas are looked at last, and only those
    /// that are written differently.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) =
            (self.definition().as_object(), other.definition().as_object())
        else {
            return self.definition() == other.definition();
        };
        let beside = |members: &Map<String, Value>| -> Map<String, Value> {
            let told = members.iter().filter(|(name, _)| !SCHEMAS.contains(&name.as_str()));
            told.filter_map(|(name, member)| Some((name.clone(), beside_schemas(name, member)?)))
                .collect()
        };
        beside(one) == beside(two)
            && SCHEMAS.iter().all(|name| match (one.get(*name), two.get(*name)) {
                (Some(one), Some(two)) => one == two || normal_schema(one) == normal_schema(two),
                (one, two) => one.is_none() && two.is_none(),
            })
    }
}

const SCHEMAS: [&str; 2] = ["inputSchema", "outputSchema"];

/// What a member of a definition says that is no schema; `None` for one that no call depends on.
fn beside_schemas(name: &str, member: &Value) -> Option<Value> {
    match name {
        "execution" | "icons" => None,
        "_meta" => member.get("ui").map(|ui| json!({"ui": ui})),
        "annotations" if member.as_object().is_some_and(Map::is_empty) => None,
        _ => Some(member.clone()),
    }
}

impl Surface {
    /// SHA-256 over the server's name and the meaning of every tool, in whatever order they were
    /// listed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let tools: Vec<Value> = self.by_name().into_values().map(Tool::meaning).collect();
        digest(&json!({"server": self.server_name, "tools": tools}))
    }
}

#[expect(clippy::expect_used, reason = "a JSON value has string keys and finite numbers only")]
fn digest(value: &Value) -> Digest {
    canonical_digest(value).expect("a JSON value has a canonical form")
}
