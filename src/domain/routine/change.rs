//! What an operation makes of one value; errors are words that follow the pointer.

use super::decimal::{Decimal, is_number};
use super::model::CastTo;
use super::overlay::Node;
use super::step::Bound;
use crate::domain::json::{Kind, Limits, Tape};

/// A kind in words.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool => "a boolean",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}

/// The text of an integer without point or exponent.
pub(super) fn integer(text: &str) -> Option<String> {
    let value = Decimal::parse(text)?;
    if value.is_zero() {
        return Some("0".to_owned());
    }
    if !text.contains(['.', 'e', 'E']) {
        return Some(text.to_owned());
    }
    value.integer_text()
}

/// A scalar as it reads within text.
pub(super) fn as_text(node: &Node<'_>) -> Option<String> {
    match node.kind() {
        Kind::String => node.text().map(|text| text.into_owned()),
        Kind::Number | Kind::Bool => node.scalar().map(str::to_owned),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

/// The value as another type; `None` where it is of that type already.
pub(super) fn cast<'a>(node: &Node<'a>, to: CastTo) -> Result<Option<Node<'a>>, String> {
    let kind = node.kind();
    let text = as_text(node);
    let made = match (to, kind, text.as_deref()) {
        (CastTo::String, Kind::String, _)
        | (CastTo::Number, Kind::Number, _)
        | (CastTo::Boolean, Kind::Bool, _) => return Ok(None),
        // `1.0` is the integer 1, and whoever takes its text expects `1`.
        (CastTo::String, Kind::Number, Some(text)) => {
            let plain = integer(text).filter(|plain| plain.len() <= 40);
            Some(Node::string(plain.as_deref().unwrap_or(text)))
        }
        (CastTo::String, Kind::Bool, Some(text)) => Some(Node::string(text)),
        (CastTo::Integer, Kind::Number | Kind::String, Some(text)) => {
            integer(text).map(Node::number)
        }
        (CastTo::Number, Kind::String, Some(text)) => {
            is_number(text).then(|| Node::number(text.to_owned()))
        }
        (CastTo::Boolean, Kind::String, Some("true")) => Some(Node::boolean(true)),
        (CastTo::Boolean, Kind::String, Some("false")) => Some(Node::boolean(false)),
        _ => None,
    };
    let name = match to {
        CastTo::String => "a string",
        CastTo::Integer => "an integer",
        CastTo::Number => "a number",
        CastTo::Boolean => "a boolean",
    };
    let lossy = || format!("expected what becomes {name} without loss, got {}", word(kind));
    made.map(Some).ok_or_else(lossy)
}

/// `value * factor + offset`.
pub(super) fn scale<'a>(
    node: &Node<'_>,
    factor: &Decimal,
    offset: Option<&Decimal>,
) -> Result<Node<'a>, String> {
    let value = node.decimal().ok_or_else(|| {
        format!("expected a number that can be reckoned with, got {}", word(node.kind()))
    })?;
    let scaled = value.times(factor).and_then(|value| match offset {
        Some(offset) => value.plus(offset),
        None => Some(value),
    });
    scaled.map(|value| Node::number(value.text())).ok_or_else(|| "too large a number".to_owned())
}

/// The one item of an array.
pub(super) fn unwrapped<'a>(node: &mut Node<'a>) -> Result<Node<'a>, String> {
    let kind = node.kind();
    if kind != Kind::Array {
        return Err(format!("expected an array of one, got {}", word(kind)));
    }
    node.open();
    match node {
        Node::Array(items) if items.len() == 1 => Ok(items.remove(0)),
        Node::Array(items) => Err(format!("expected an array of one, got {} items", items.len())),
        _ => Err("expected an array of one".to_owned()),
    }
}

/// The value that a string's text is.
pub(super) fn parsed<'a>(node: &Node<'_>) -> Result<Node<'a>, String> {
    let text = (node.kind() == Kind::String).then(|| node.text()).flatten();
    let text =
        text.ok_or_else(|| format!("expected JSON in a string, got {}", word(node.kind())))?;
    let mut tape = Tape::default();
    let document = tape.read(text.as_bytes(), Limits::default());
    let document = document.map_err(|error| format!("expected JSON in the string: {error}"))?;
    Ok(Node::detached(document.root()))
}

/// JSON text with one space behind every `:` and `,` and none elsewhere: as most writers put it by
/// default, so that a peer that compares text finds what it wrote.
fn spaced(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + text.len() / 8);
    let (mut within, mut escaped) = (false, false);
    for c in text.chars() {
        if within {
            made.push(c);
            within = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ':' | ',' => {
                made.push(c);
                made.push(' ');
            }
            c if c.is_ascii_whitespace() => {}
            c => {
                within = c == '"';
                made.push(c);
            }
        }
    }
    made
}

/// A value's JSON text, as a string.
pub(super) fn printed<'a>(node: &Node<'_>) -> Result<Node<'a>, String> {
    let mut text = Vec::with_capacity(node.size());
    node.write(&mut text);
    let text = String::from_utf8(text).map_err(|_| "expected UTF-8".to_owned())?;
    Ok(Node::string(&spaced(&text)))
}

/// The bound that it is beyond; `None` where it is within.
pub(super) fn clamped<'a>(
    node: &Node<'_>,
    min: Option<&'a Bound>,
    max: Option<&'a Bound>,
) -> Result<Option<Node<'a>>, String> {
    let value = node.decimal().ok_or_else(|| {
        format!("expected a number that can be reckoned with, got {}", word(node.kind()))
    })?;
    let low = min.filter(|min| value.compare(&min.value).is_lt());
    let high = max.filter(|max| value.compare(&max.value).is_gt());
    Ok(low.or(high).map(|bound| Node::number(bound.text.as_str())))
}
