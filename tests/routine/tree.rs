//! A JSON value as a plain tree. Numbers keep their text, objects their order: both leave as they
//! came, so both are part of what is compared.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    String(String),
    /// A string with a lone surrogate, as it is written: it has no text.
    Odd(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads JSON text, by a reader that is not the one under test.
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim();
        match text.as_bytes()[0] {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => match serde_json::from_str(text) {
                Ok(text) => Self::String(text),
                Err(_) => Self::Odd(text.to_owned()),
            },
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
                Self::Array(items.iter().map(|item| Self::read(item.get())).collect())
            }
            b'{' => {
                let Members(members) = serde_json::from_str(text).unwrap();
                let read =
                    |(key, value): &(String, &RawValue)| (key.clone(), Self::read(value.get()));
                Self::Object(members.iter().map(read).collect())
            }
            _ => Self::Number(text.to_owned()),
        }
    }

    /// The same value, for a constant of a routine.
    pub(crate) fn of(value: &Value) -> Self {
        Self::read(&value.to_string())
    }

    /// Writes it without white space and with no escape that is not needed.
    pub(crate) fn text(&self) -> String {
        self.spelled(&mut || 0)
    }

    /// Writes it with one space behind each `:` and `,`.
    pub(crate) fn printed(&self) -> String {
        match self {
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::printed).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(members) => {
                let member = |(key, value): &(String, Tree)| {
                    format!("{}: {}", Value::from(key.as_str()), value.printed())
                };
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(", "))
            }
            scalar => scalar.text(),
        }
    }

    /// Writes it with white space and escapes as `noise` has it.
    pub(crate) fn spelled(&self, noise: &mut dyn FnMut() -> u8) -> String {
        let list = |parts: Vec<String>, open: char, close: char, noise: &mut dyn FnMut() -> u8| {
            let mut out = String::from(open);
            for (index, part) in parts.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(gap(noise()));
                out.push_str(part);
            }
            out.push_str(gap(noise()));
            out.push(close);
            out
        };
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(flag) => flag.to_string(),
            Self::Number(text) | Self::Odd(text) => text.clone(),
            Self::String(text) => quoted(text, noise),
            Self::Array(items) => {
                let parts = items.iter().map(|item| item.spelled(noise)).collect();
                list(parts, '[', ']', noise)
            }
            Self::Object(members) => {
                let member = |(key, value): &(String, Tree)| {
                    let (key, before) = (quoted(key, noise), gap(noise()));
                    format!("{key}{before}:{}{}", gap(noise()), value.spelled(noise))
                };
                let parts = members.iter().map(member).collect();
                list(parts, '{', '}', noise)
            }
        }
    }
}

fn gap(noise: u8) -> &'static str {
    match noise % 7 {
        1 => " ",
        2 => "\n\t",
        3 => "\r\n  ",
        _ => "",
    }
}

fn quoted(text: &str, noise: &mut dyn FnMut() -> u8) -> String {
    if !noise().is_multiple_of(3) {
        let mut units = [0; 2];
        let escaped = text.chars().flat_map(|char| char.encode_utf16(&mut units).to_vec());
        let escaped: String = escaped.map(|unit| format!("\\u{unit:04X}")).collect();
        return format!("\"{escaped}\"");
    }
    Value::from(text).to_string()
}

/// The members of an object in the order in which they stand.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'t> Visitor<'t> for Collect {
            type Value = Members<'t>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Members<'t>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
