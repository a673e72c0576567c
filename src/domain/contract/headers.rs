//! Arguments that MCP mirrors in HTTP headers (`x-mcp-header`, streamable HTTP 2026-07-28).

use std::collections::BTreeMap;

use serde_json::Value;

use super::Tool;

/// An argument that is repeated in the header `Mcp-Param-{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredHeader {
    /// Names of the properties that lead to the argument, outermost first.
    pub path: Vec<String>,
    /// The name after `Mcp-Param-`, as the schema writes it.
    pub name: String,
}

/// An annotation that breaks the rules; a client drops the tool that carries it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {what}")]
pub struct HeaderFault {
    /// JSON Pointer into the definition.
    pub pointer: String,
    /// What was expected and what came.
    pub what: String,
}

impl Tool {
    /// The arguments that are mirrored in headers, in the order of the schema.
    ///
    /// # Errors
    /// All annotations that break the rules: a name that is no HTTP token (RFC 9110, 5.6.2), stands
    /// twice (case ignored), marks another type than integer, string or boolean, or a place that is
    /// not reached through `properties` alone.
    pub fn mirrored_headers(&self) -> Result<Vec<MirroredHeader>, Vec<HeaderFault>> {
        let mut found = Found::default();
        if let Some(schema) = self.input_schema() {
            found.walk(schema, "/inputSchema", Some(&mut Vec::new()));
        }
        if found.faults.is_empty() { Ok(found.headers) } else { Err(found.faults) }
    }
}

#[derive(Default)]
struct Found {
    headers: Vec<MirroredHeader>,
    faults: Vec<HeaderFault>,
    names: BTreeMap<String, String>,
}

impl Found {
    /// `path` is `None` where the place is not reached through `properties` alone.
    fn walk(&mut self, schema: &Value, pointer: &str, path: Option<&mut Vec<String>>) {
        let Some(members) = schema.as_object() else { return };
        let mut path = path;
        if let Some(name) = members.get("x-mcp-header") {
            self.note(name, schema, pointer, path.as_deref().map(Vec::as_slice));
        }
        for (keyword, value) in members {
            if ["enum", "const", "default", "examples"].contains(&keyword.as_str()) {
                continue;
            }
            let at = format!("{pointer}/{}", escaped(keyword));
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        let at = format!("{at}/{}", escaped(name));
                        match path.as_deref_mut() {
                            Some(path) => {
                                path.push(name.clone());
                                self.walk(property, &at, Some(path));
                                path.pop();
                            }
                            None => self.walk(property, &at, None),
                        }
                    }
                }
                (
                    "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                    Value::Object(named),
                ) => {
                    for (name, schema) in named {
                        self.walk(schema, &format!("{at}/{}", escaped(name)), None);
                    }
                }
                (_, Value::Array(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        self.walk(item, &format!("{at}/{index}"), None);
                    }
                }
                (_, Value::Object(_)) => self.walk(value, &at, None),
                _ => {}
            }
        }
    }

    fn note(&mut self, name: &Value, schema: &Value, pointer: &str, path: Option<&[String]>) {
        let mut say = |what: String| {
            self.faults.push(HeaderFault { pointer: format!("{pointer}/x-mcp-header"), what });
        };
        let Some(name) = name.as_str().filter(|name| is_token(name)) else {
            say(format!("expected a header name of token characters, got {name}"));
            return;
        };
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            say("expected a place that is reached through `properties` alone".to_owned());
            return;
        };
        let declared = schema.get("type").and_then(Value::as_str).unwrap_or("no single type");
        if !["integer", "string", "boolean"].contains(&declared) {
            say(format!("expected an integer, a string or a boolean, got {declared}"));
        }
        if let Some(first) = self.names.insert(name.to_ascii_lowercase(), pointer.to_owned()) {
            self.faults.push(HeaderFault {
                pointer: format!("{pointer}/x-mcp-header"),
                what: format!("expected a name of its own, {name:?} stands at {first} too"),
            });
        }
        self.headers.push(MirroredHeader { path: path.to_vec(), name: name.to_owned() });
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
