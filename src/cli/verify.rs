//! `stipula verify`.

use serde_json::{Value, json};

use super::arguments::Files;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source};
use crate::domain::contract::{Contract, SealError, Sealed, verify_chain};

pub(super) fn verify(options: &Files, screen: &Screen) -> Result<Answer, Failure> {
    let mut files = Vec::new();
    let mut chain: Vec<Contract> = Vec::new();
    for path in &options.files {
        let faults = match Sealed::parse(&source::bytes(path)?) {
            Ok(sealed) => {
                chain.push(sealed.contract().clone());
                Vec::new()
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

fn tell(what: &str, faults: &[String], screen: &Screen) {
    if faults.is_empty() {
        screen.line(format!("{}: {what}", toned(Tone::Good, "good")));
    }
    for fault in faults {
        screen.line(format!("{}: {what}: {fault}", toned(Tone::Bad, "broken")));
    }
}
