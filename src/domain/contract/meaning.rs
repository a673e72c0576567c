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
        let mut out = Map::new();
        for (name, member) in members {
            let meaning = match name.as_str() {
                "execution" | "icons" => None,
                "_meta" => member.get("ui").map(|ui| json!({"ui": ui})),
                "annotations" if member.as_object().is_some_and(Map::is_empty) => None,
                "inputSchema" | "outputSchema" => Some(normal_schema(member)),
                _ => Some(member.clone()),
            };
            if let Some(meaning) = meaning {
                out.insert(name.clone(), meaning);
            }
        }
        Value::Object(out)
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
