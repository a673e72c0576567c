//! A surface read from a file: the forms that people save tool lists in.

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Contract, Surface, Tool};

/// Why a file holds no surface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// None of the forms that are known.
    #[error(
        "expected a contract, a tools/list result, or an array of tools; got {0}; save the result of tools/list or name a sealed contract"
    )]
    Form(String),
    /// A contract whose fields do not read.
    #[error("the contract does not read: {0}")]
    Contract(String),
    /// An entry that is no tool.
    #[error("{pointer}: expected an object with a `name` that is a string")]
    NotATool {
        /// JSON Pointer into the file.
        pointer: String,
    },
    /// Names that stand more than once.
    #[error("tool names that stand more than once: {}; a surface names each tool once", .0.join(", "))]
    Duplicate(Vec<String>),
}

impl Surface {
    /// Reads a contract file (its promise), a saved `tools/list` result (bare, in its JSON-RPC
    /// response, or any object with `tools`), or an array of tools.
    ///
    /// # Errors
    /// Where it is none of these, an entry is no tool, or a name stands twice.
    pub fn from_json(value: &Value) -> Result<Self, ManifestError> {
        if value.get("contract_id").is_some() {
            return Self::of_contract(value);
        }
        let (holder, base) = match value.get("result") {
            Some(result) => (result, "/result"),
            None => (value, ""),
        };
        let (tools, base) = match (value, holder.get("tools")) {
            (Value::Array(tools), _) => (tools, String::new()),
            (_, Some(Value::Array(tools))) => (tools, format!("{base}/tools")),
            _ => return Err(ManifestError::Form(form_of(value))),
        };
        let server_name = holder.pointer("/serverInfo/name").and_then(Value::as_str);
        let capabilities = holder.get("capabilities").cloned().unwrap_or_else(|| json!({}));
        let tools = tools
            .iter()
            .enumerate()
            .map(|(index, tool)| {
                Tool::from_definition(listed(tool))
                    .ok_or_else(|| ManifestError::NotATool { pointer: format!("{base}/{index}") })
            })
            .collect::<Result<_, _>>()?;
        Self { server_name: server_name.map(str::to_owned), capabilities, tools }.unique()
    }

    fn of_contract(value: &Value) -> Result<Self, ManifestError> {
        let contract = Contract::deserialize(value)
            .map_err(|error| ManifestError::Contract(error.to_string()))?;
        let tools = contract.promised_tools().into_iter().cloned().collect();
        let responder = contract.participants.get(1);
        let capabilities = responder.map_or_else(|| json!({}), |peer| peer.capabilities.clone());
        Self { server_name: None, capabilities, tools }.unique()
    }

    fn unique(self) -> Result<Self, ManifestError> {
        let mut names: Vec<&str> = self.tools.iter().map(Tool::name).collect();
        names.sort_unstable();
        let mut twice: Vec<String> = names
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0].to_owned())
            .collect();
        twice.dedup();
        if twice.is_empty() { Ok(self) } else { Err(ManifestError::Duplicate(twice)) }
    }
}

/// The definition as the peer lists it: collectors of manifests note the snapshot's name beside it.
fn listed(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if let Some(members) = tool.as_object_mut() {
        members.shift_remove("_snap");
    }
    tool
}

fn form_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let names: Vec<&str> = members.keys().take(8).map(String::as_str).collect();
            format!("an object with the members {}", names.join(", "))
        }
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
    }
}
