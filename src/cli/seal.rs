//! `stipula seal`.

use serde_json::json;

use super::arguments::Seal;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, approvals, client, source};
use crate::app::{SystemClock, SystemDice, Target};
use crate::config;
use crate::domain::contract::{self, FirstVersion, LeftOut, ProvenanceKind, Sealed};
use crate::domain::message::{Clock, Dice, Millis};

const DAY_MS: u64 = 86_400_000;

pub(super) fn seal(options: Seal, screen: &Screen) -> Result<Answer, Failure> {
    if let Some(peer) = &options.peer {
        let answer = client::post(&options.telling, "/api/v1/seal", &json!({ "peer": peer }))?;
        approvals::done(&answer, screen);
        return Ok(Answer::Yes);
    }
    // Before the peer is asked: a key that cannot be used is said at once.
    let signer = options.signing_key.as_deref().map(config::signing_key).transpose();
    let signer = signer.map_err(|what| Failure::usage(format!("--signing-key: {what}")))?;
    let (named, surface) = match options.target {
        Some(target) => (target.clone(), source::surface(&target)?),
        None => {
            let named = options.command.join(" ");
            (named, source::peer(&Target::Command(options.command))?)
        }
    };
    let origin = if source::is_url(&named) { origin(&named) } else { named.clone() };
    let server = surface.server_name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let (draft, left_out) = contract::first_version(FirstVersion {
        id: SystemDice.uuid(),
        peer_identity: format!("{origin}{server}"),
        surface: &surface,
        at: SystemClock::start().now(),
        lifetime: Millis(options.lifetime_days * DAY_MS),
        reference: named,
        kind: ProvenanceKind::Manual,
    });
    let tools = surface.tools.len() - left_out.len();
    let sealed =
        contract::seal(draft, signer.as_ref()).map_err(|error| Failure::refused(chain(&error)))?;
    match &options.out {
        Some(path) => source::write(path, &sealed.text())?,
        None => screen.text(&sealed.text()),
    }
    tell(&sealed, tools, &left_out, options.out.is_some(), screen);
    Ok(Answer::Yes)
}

/// Beside a contract on stdout what is said goes to stderr.
fn tell(sealed: &Sealed, tools: usize, left_out: &[LeftOut], in_file: bool, screen: &Screen) {
    if in_file && screen.is_json() {
        let left_out: Vec<_> =
            left_out.iter().map(|out| json!({ "tool": out.tool, "why": out.why })).collect();
        screen.json(&json!({
            "contract_id": sealed.contract_id,
            "version": sealed.version.to_string(),
            "hash": sealed.hash,
            "expiry": sealed.expiry,
            "public_key": sealed.signing.public_key,
            "tools": tools,
            "left_out": left_out,
        }));
        return;
    }
    for out in left_out {
        screen.note(format!(
            "{}: {} is left out: {}",
            toned(Tone::Warning, "warning"),
            out.tool,
            out.why
        ));
    }
    let plural = if tools == 1 { "tool" } else { "tools" };
    screen.note(format!(
        "{} {tools} {plural} as v{}, {}",
        toned(Tone::Good, "sealed"),
        sealed.version,
        sealed.hash
    ));
}

/// Scheme, host and port: half of a peer's identity.
fn origin(url: &str) -> String {
    let end = url
        .find("://")
        .and_then(|scheme| url[scheme + 3..].find(['/', '?', '#']).map(|path| scheme + 3 + path));
    url[..end.unwrap_or(url.len())].to_owned()
}
