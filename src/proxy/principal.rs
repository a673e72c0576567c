//! Who calls, by what it shows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HeaderMap};

use crate::domain::message::{Digest, Principal};

/// Who shows these headers: issuer and subject of a JWT, so that a renewed token is nobody new; else
/// the digest of `Authorization`; else anonymous. It is a name for the record, not a check: the
/// peer checks the credential.
pub(super) fn principal(headers: &HeaderMap) -> Principal {
    let Some(shown) = headers.get(AUTHORIZATION) else { return Principal::anonymous() };
    let named = shown.to_str().ok().and_then(subject);
    let digest = match &named {
        Some(subject) => Digest::of(subject.as_bytes()),
        None => Digest::of(shown.as_bytes()),
    };
    Principal::new(digest.to_string())
}

fn subject(authorization: &str) -> Option<String> {
    let token = authorization.split_once(' ')?.1.trim();
    let claims = token.split('.').nth(1)?;
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(
        serde_json::json!([claims.get("iss")?.as_str()?, claims.get("sub")?.as_str()?]).to_string(),
    )
}
