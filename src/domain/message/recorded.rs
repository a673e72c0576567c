//! What of an exchange must not be kept: members that are named like a secret, and texts that are
//! written like one.

use serde_json::Value;

/// Names, letters and digits alone and in lower case, that a secret's name holds.
const NAMED: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
];

/// What names a token that is none of trust: where a listing goes on, or how many words there are.
const HARMLESS: [&str; 8] = [
    "pagetoken",
    "nexttoken",
    "prevtoken",
    "previoustoken",
    "continuationtoken",
    "synctoken",
    "cursortoken",
    "tokens",
];

/// How the secrets of well-known issuers begin, and how long they are at least.
const WRITTEN: [(&str, usize); 14] = [
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("sk-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AKIA", 20),
    ("Bearer ", 16),
    ("Basic ", 12),
    ("-----BEGIN ", 20),
];

/// Whether a secret stands in a document, as far as names and well-known forms tell.
#[must_use]
pub fn holds_secret(document: &Value) -> bool {
    match document {
        Value::Object(members) => {
            members.iter().any(|(name, value)| is_secret(name, value) || holds_secret(value))
        }
        Value::Array(items) => items.iter().any(holds_secret),
        Value::String(text) => is_written_as_secret(text),
        _ => false,
    }
}

/// Takes the members and items that are secrets out of a document. What is left says nothing of them.
pub fn leave_secrets_out(document: &mut Value) {
    match document {
        Value::Object(members) => {
            members.retain(|name, value| {
                !is_secret(name, value) && !value.as_str().is_some_and(is_written_as_secret)
            });
            members.values_mut().for_each(leave_secrets_out);
        }
        Value::Array(items) => {
            items.retain(|item| !item.as_str().is_some_and(is_written_as_secret));
            items.iter_mut().for_each(leave_secrets_out);
        }
        Value::String(text) if is_written_as_secret(text) => *document = Value::Null,
        _ => {}
    }
}

/// A text, or texts, under a secret's name: numbers and truths of such names are limits and switches.
fn is_secret(name: &str, value: &Value) -> bool {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let texts = is_text(value) || value.as_array().is_some_and(|items| items.iter().any(is_text));
    if !texts {
        return false;
    }
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    NAMED.iter().any(|secret| name.contains(secret))
        && !HARMLESS.iter().any(|harmless| name.ends_with(harmless))
}

fn is_written_as_secret(text: &str) -> bool {
    let text = text.trim_start();
    WRITTEN.iter().any(|(start, least)| text.starts_with(start) && text.len() >= *least)
        || is_json_web_token(text)
}

/// Three parts in base64url, the first of them a JSON object (RFC 7519).
fn is_json_web_token(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(4, '.').collect();
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    parts.len() == 3
        && text.starts_with("eyJ")
        && parts.iter().all(|part| part.len() >= 4 && part.bytes().all(base64url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name_or_its_form() {
        let rows = [
            (json!({ "password": "hunter2" }), true),
            (json!({ "a": [{ "API-Key": "k" }] }), true),
            (json!({ "clientSecret": ["one"] }), true),
            (json!({ "access_token": "t" }), true),
            (json!({ "headers": { "Authorization": "x" } }), true),
            (json!("ghp_0123456789abcdef0123"), true),
            (json!({ "note": "Bearer abcdefghijkl" }), true),
            (json!({ "x": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl" }), true),
            (json!({ "key": "-----BEGIN PRIVATE KEY-----\nMIIE" }), true),
            // What only sounds like one.
            (json!({ "nextPageToken": "abc", "page_token": "d" }), false),
            (json!({ "max_tokens": "12", "token": 7, "secret": true, "password": "" }), false),
            (json!({ "title": "sk-", "text": "eyJ.a.b", "passport": "X12" }), false),
            (json!(["basic training", 1, null]), false),
        ];
        for (document, expected) in rows {
            assert_eq!(holds_secret(&document), expected, "{document}");
            let mut left = document.clone();
            leave_secrets_out(&mut left);
            assert!(!holds_secret(&left), "{left}");
            assert_eq!(left == document, !expected, "{document}");
        }
    }
}
