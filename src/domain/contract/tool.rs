//! A tool as its peer lists it, and the surface: all of them at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::message::ToolName;

/// One entry of `tools/list`, kept verbatim; unknown members stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tool {
    definition: Arc<Value>,
}

/// The effect hints of `annotations` (MCP, server/tools): `None` where a hint is not stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `readOnlyHint`.
    pub read_only: Option<bool>,
    /// `destructiveHint`.
    pub destructive: Option<bool>,
    /// `idempotentHint`.
    pub idempotent: Option<bool>,
    /// `openWorldHint`.
    pub open_world: Option<bool>,
}

impl Tool {
    /// Takes a listed definition; `None` unless it is an object with a `name` that is a string.
    #[must_use]
    pub fn from_definition(definition: Value) -> Option<Self> {
        definition.get("name")?.as_str()?;
        Some(Self { definition: Arc::new(definition) })
    }

    /// The definition as the peer lists it.
    #[must_use]
    pub fn definition(&self) -> &Value {
        &self.definition
    }

    /// The tool's name; empty only for a definition that was read from a damaged file.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    /// The name as the type that travels.
    #[must_use]
    pub fn tool_name(&self) -> ToolName {
        ToolName::from(self.name())
    }

    /// The description, or `""`.
    #[must_use]
    pub fn description(&self) -> &str {
        self.text("description").unwrap_or_default()
    }

    /// `inputSchema`; a tool without one admits any object.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Value> {
        self.definition.get("inputSchema")
    }

    /// `outputSchema`, where the tool declares one.
    #[must_use]
    pub fn output_schema(&self) -> Option<&Value> {
        self.definition.get("outputSchema")
    }

    /// The effect hints.
    #[must_use]
    pub fn hints(&self) -> Hints {
        let annotations = self.definition.get("annotations");
        let hint = |name: &str| annotations?.get(name)?.as_bool();
        Hints {
            read_only: hint("readOnlyHint"),
            destructive: hint("destructiveHint"),
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        }
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.definition.get(member)?.as_str()
    }
}

/// What a peer publishes about itself at one moment: all pages of its tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surface {
    /// `serverInfo.name`, where the peer told it.
    pub server_name: Option<String>,
    /// Declared capabilities, verbatim.
    pub capabilities: Value,
    /// The tools in the order they were listed; names are unique.
    pub tools: Vec<Tool>,
}

impl Surface {
    /// The tool of this name.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name() == name)
    }

    /// The tools by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&str, &Tool> {
        self.tools.iter().map(|tool| (tool.name(), tool)).collect()
    }
}
