//! `stipula verify`.

use serde_json::{Value, json};

use super::arguments::Files;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source};
use crate::config;
use crate::domain::contract::{Contract, PublicKey, SealError, Sealed, verify_chain};

pub(super) fn verify(options: &Files, screen: &Screen) -> Result<Answer, Failure> {
    let trusted = options.public_keys.iter().map(|key| config::public_key(key));
    let trusted = trusted
        .collect::<Result<Vec<PublicKey>, _>>()
        .map_err(|what| Failure::usage(format!("--public-key: {what}")))?;
    let mut files = Vec::new();
    let mut chain: Vec<Contract> = Vec::new();
    for path in &options.files {
        let faults = match Sealed::parse(&source::bytes(path)?) {
            Ok(sealed) => {
                chain.push(sealed.contract().clone());
                untrusted(&sealed, &trusted)
            }
            Err(SealError::Faults(faults)) => faults.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        files.push((path.display().to_string(), faults));
    }
    let breaks: Vec<String> = if chain.len() > 1 && chain.len() == files.len() {
        verify_chain(&chain).iter().map(ToString::to_string).collect()
    } else {
        Vec::new()
    };
    let good = breaks.is_empty() && files.iter().all(|(_, faults)| faults.is_empty());
    if screen.is_json() {
        let files: Vec<Value> = files
            .iter()
            .map(|(file, faults)| json!({ "file": file, "good": faults.is_empty(), "faults": faults }))
            .collect();
        screen.json(&json!({ "good": good, "files": files, "chain": breaks }));
    } else {
        for (file, faults) in &files {
            tell(file, faults, screen);
        }
        if files.len() > 1 && chain.len() == files.len() {
            tell("the chain", &breaks, screen);
        }
    }
    Ok(if good { Answer::Yes } else { Answer::No })
}

/// What is wrong where only these keys are trusted.
fn untrusted(sealed: &Sealed, trusted: &[PublicKey]) -> Vec<String> {
    if trusted.is_empty() || trusted.iter().any(|key| key.signed(sealed)) {
        return Vec::new();
    }
    let came = match &sealed.signing.public_key {
        Some(key) => format!("it is signed with {key}"),
        None => "it is not signed".to_owned(),
    };
    vec![format!("/signing: expected the signature of a key given with --public-key; {came}")]
}

fn tell(what: &str, faults: &[String], screen: &Screen) {
    if faults.is_empty() {
        screen.line(format!("{}: {what}", toned(Tone::Good, "good")));
    }
    for fault in faults {
        screen.line(format!("{}: {what}: {fault}", toned(Tone::Bad, "broken")));
    }
}
