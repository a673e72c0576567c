//! `stipula check-config`.

use serde_json::json;

use super::arguments::OneFile;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure};
use crate::config::{self, ConfigError, Place};

pub(super) fn check_config(options: OneFile, screen: &Screen) -> Result<Answer, Failure> {
    let file = options.file.display().to_string();
    let flags = config::Flags { config: Some(options.file), ..config::Flags::default() };
    match config::load(&flags) {
        Ok(settings) => {
            let peers = settings.peers.len();
            if screen.is_json() {
                screen.json(&json!({ "good": true, "peers": peers }));
            } else {
                let plural = if peers == 1 { "peer" } else { "peers" };
                screen.line(format!("{}: {file}, {peers} {plural}", toned(Tone::Good, "good")));
            }
            Ok(Answer::Yes)
        }
        Err(ConfigError::Faults(faults)) if screen.is_json() => {
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| match &fault.place {
                    Place::File { file, line, column, .. } => {
                        json!({"file": file, "line": line, "column": column, "what": fault.what})
                    }
                    Place::Flag(flag) => json!({"flag": flag, "what": fault.what}),
                })
                .collect();
            screen.json(&json!({ "good": false, "faults": faults }));
            Err(Failure::told())
        }
        Err(error) => Err(Failure::usage(chain(&error))),
    }
}
