//! The headers that mirror a modern request's body (MCP 2026-07-28, basic/transports/streamable-http).

use super::envelope::Envelope;
use crate::domain::json::{Item, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// `MCP-Protocol-Version`
pub const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// `Mcp-Session-Id` (legacy)
pub const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// Where a mirrored argument stands (member names from the arguments' root) and the name that
/// follows `Mcp-Param-`.
pub type Mirror = (Vec<String>, String);

/// Holds the headers of a modern `tools/call` against its body, by the schema the agent was shown.
///
/// # Errors
/// Which header, what was expected; never its value.
pub fn check(
    headers: &HeaderMap,
    envelope: &Envelope,
    arguments: Option<Item<'_>>,
    shown: &[Mirror],
) -> Result<(), String> {
    let wanted = [
        (VERSION, envelope.version.as_deref()),
        (METHOD, Some("tools/call")),
        (NAME, envelope.name.as_deref()),
    ];
    for (name, wanted) in wanted {
        let Some(wanted) = wanted else { continue };
        match single(headers, &name)? {
            None => return Err(format!("{name} is missing and the body has its value")),
            Some(found) if found == wanted => {}
            Some(_) => return Err(format!("{name} differs from the body")),
        }
    }
    for (path, name) in shown {
        let Some(header) = header(name) else { continue };
        let found = single(headers, &header)?;
        let wanted = arguments.and_then(|root| argument(root, path));
        match (found, wanted) {
            (None, None) => {}
            (Some(found), Some(wanted)) if same(&found, wanted) => {}
            (None, Some(_)) => {
                return Err(format!("{header} is missing and its argument is there"));
            }
            (Some(_), None) => return Err(format!("{header} is there and its argument is not")),
            (Some(_), Some(_)) => return Err(format!("{header} differs from its argument")),
        }
    }
    Ok(())
}

/// Sets the headers that mirror the body to what the peer's schema asks for: those of the shown
/// schema go, those of the offered one come, unrecognised ones stay.
pub fn derive(
    headers: &mut HeaderMap,
    tool: &str,
    arguments: Option<Item<'_>>,
    shown: &[Mirror],
    offered: &[Mirror],
) {
    headers.insert(NAME, encode(tool));
    for (_, name) in shown {
        if let Some(header) = header(name) {
            headers.remove(header);
        }
    }
    for (path, name) in offered {
        let Some(header) = header(name) else { continue };
        match arguments.and_then(|root| argument(root, path)).and_then(text) {
            Some(value) => headers.insert(header, encode(&value)),
            None => headers.remove(header),
        };
    }
}

/// A header value for this text: as it is where a header can carry it, else base64 between sentinels.
#[must_use]
pub fn encode(text: &str) -> HeaderValue {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t')
        && !text.starts_with([' ', '\t'])
        && !text.ends_with([' ', '\t'])
        && !is_sentinel(text);
    let value = if plain {
        HeaderValue::from_str(text)
    } else {
        HeaderValue::from_str(&format!("{}{}{}", SENTINEL.0, STANDARD.encode(text), SENTINEL.1))
    };
    // Both forms are visible ASCII, which every header may carry.
    value.unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn decode(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    if !is_sentinel(text) {
        return Some(text.to_owned());
    }
    let inner = &text[SENTINEL.0.len()..text.len() - SENTINEL.1.len()];
    String::from_utf8(STANDARD.decode(inner).ok()?).ok()
}

fn is_sentinel(text: &str) -> bool {
    text.len() >= SENTINEL.0.len() + SENTINEL.1.len()
        && text.starts_with(SENTINEL.0)
        && text.ends_with(SENTINEL.1)
}

fn header(name: &str) -> Option<HeaderName> {
    if name.is_empty() {
        return None;
    }
    HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes()).ok()
}

fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("{name} stands twice"));
    }
    decode(first).map(Some).ok_or_else(|| format!("{name} has a value that cannot be decoded"))
}

fn argument<'d>(root: Item<'d>, path: &[String]) -> Option<Item<'d>> {
    let found = path.iter().try_fold(root, |item, member| item.get(member))?;
    (found.kind() != Kind::Null).then_some(found)
}

fn text(item: Item<'_>) -> Option<String> {
    match item.kind() {
        Kind::String => item.as_str().map(Into::into),
        Kind::Bool => Some(item.raw().to_owned()),
        Kind::Number => {
            Some(item.as_i64().map_or_else(|| item.raw().to_owned(), |number| number.to_string()))
        }
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

fn same(found: &str, wanted: Item<'_>) -> bool {
    let equal_text = text(wanted).is_some_and(|wanted| wanted == found);
    // Servers compare integers by value; "007" is 7.
    equal_text || wanted.as_i64().is_some_and(|wanted| found.parse() == Ok(wanted))
}
