//! Who calls, by what it shows.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName};

use crate::domain::message::{Digest, Era, Principal};
use crate::domain::policy::Caller;
use crate::wire::protocol::mcp::{Envelope, SESSION, VERSION};

/// Who calls, and with what a request made because of this one may travel. Most calls need none:
/// ask only where control is to act as the caller.
pub(super) fn caller(headers: &HeaderMap, envelope: &Envelope) -> Arc<Caller> {
    const TIES: [HeaderName; 4] = [AUTHORIZATION, COOKIE, SESSION, VERSION];
    let mut ties = HeaderMap::with_capacity(TIES.len());
    for name in TIES {
        for value in headers.get_all(&name) {
            ties.append(name.clone(), value.clone());
        }
    }
    // A copy: a slice would keep the whole body alive in the queue.
    let meta = match envelope.era {
        Era::Modern => envelope.meta().map(|meta| Bytes::copy_from_slice(&meta)),
        Era::Legacy => None,
    };
    Arc::new(Caller { principal: principal(&ties), era: envelope.era, headers: ties, meta })
}

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
