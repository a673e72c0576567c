//! A routine document from text, with every fault at its place.

use serde_json::Value;

use super::fault::CompileError;
use super::model::{Op, RoutineDoc, ToolRoutine};
use crate::domain::json::{Limits, Tape};

impl RoutineDoc {
    /// Reads a document from JSON text: strict JSON, unique keys, nothing unknown.
    ///
    /// # Errors
    /// Every fault with its JSON Pointer; one without a pointer where the text is no JSON.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<CompileError>> {
        let mut tape = Tape::default();
        match tape.read(text, Limits::default()) {
            Ok(document) => Self::from_value(&document.root().to_value()),
            Err(error) => Err(vec![fault("", format!("expected a routine as JSON: {error}"))]),
        }
    }

    /// Takes a document over from a tree.
    ///
    /// # Errors
    /// Every fault with its JSON Pointer.
    pub fn from_value(value: &Value) -> Result<Self, Vec<CompileError>> {
        let Some(tools) = value.as_object() else {
            let what = "expected an object with a routine for each promised tool";
            return Err(vec![fault("", what)]);
        };
        let mut faults = Vec::new();
        let mut document = Self::default();
        for (name, entry) in tools {
            let before = faults.len();
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            for list in ["request", "reply"] {
                inspect(entry.get(list), &format!("{pointer}/{list}"), &mut faults);
            }
            if faults.len() > before {
                continue;
            }
            match serde_json::from_value::<ToolRoutine>(entry.clone()) {
                Ok(routine) => {
                    document.0.insert(name.clone(), routine);
                }
                Err(error) => faults.push(fault(&pointer, error.to_string())),
            }
        }
        if faults.is_empty() { Ok(document) } else { Err(faults) }
    }
}

fn fault(pointer: &str, what: impl Into<String>) -> CompileError {
    CompileError { pointer: pointer.to_owned(), what: what.into() }
}

/// Finds the innermost operations that cannot be read. The document's depth is bounded by the reader.
fn inspect(list: Option<&Value>, pointer: &str, faults: &mut Vec<CompileError>) {
    let Some(list) = list else { return };
    let Some(ops) = list.as_array() else {
        faults.push(fault(pointer, "expected a list of operations"));
        return;
    };
    for (index, op) in ops.iter().enumerate() {
        let here = format!("{pointer}/{index}");
        let before = faults.len();
        for nested in ["ops", "else"] {
            inspect(op.get(nested), &format!("{here}/{nested}"), faults);
        }
        for (arm, case) in
            op.get("when").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            inspect(case.get("ops"), &format!("{here}/when/{arm}/ops"), faults);
        }
        if faults.len() > before {
            continue;
        }
        if let Err(error) = serde_json::from_value::<Op>(op.clone()) {
            faults.push(fault(&here, error.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_and_written_alike() {
        let text = r#"{"get_issue":{"call":"issue_read","request":[{"op":"set","at":"/method","value":"get"},{"op":"cases","at":"/a","when":[{"ops":[]}],"else":[]}],"errors":[{"from":"A","to":"B"}]}}"#;
        let document = RoutineDoc::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
    }

    #[test]
    fn faults_name_the_innermost_operation() {
        for (text, pointer, part) in [
            ("[]", "", "an object"),
            ("{", "", "as JSON"),
            (r#"{"a":{},"a":{}}"#, "", "twice"),
            (r#"{"a":{"requests":[]}}"#, "/a", "unknown field"),
            (r#"{"a":{"request":{}}}"#, "/a/request", "list"),
            (r#"{"a/b":{"reply":[{"op":"fly"}]}}"#, "/a~1b/reply/0", "unknown variant"),
            (r#"{"a":{"reply":[{"op":"move","from":"x","to":"/y"}]}}"#, "/a/reply/0", ""),
            (
                r#"{"a":{"reply":[{"op":"each","at":"","ops":[{"op":"wrap"}]}]}}"#,
                "/a/reply/0/ops/0",
                "at",
            ),
            (
                r#"{"a":{"reply":[{"op":"cases","at":"","when":[{"ops":[{"op":"wrap","at":"","x":1}]}]}]}}"#,
                "/a/reply/0/when/0/ops/0",
                "x",
            ),
        ] {
            let faults = RoutineDoc::parse(text.as_bytes()).unwrap_err();
            assert_eq!(faults.len(), 1, "{text}");
            assert_eq!(faults[0].pointer, pointer, "{text}");
            assert!(faults[0].what.contains(part), "{text}: {}", faults[0].what);
        }
    }
}
