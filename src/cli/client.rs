//! Asks the admin listener of a running sidecar.

use std::path::PathBuf;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::arguments::Telling;
use super::failure::Failure;
use super::wait;
use crate::app::{OperatorError, ask_admin};

/// Asks a question.
pub(super) fn get(admin: &str, path: &str) -> Result<Value, Failure> {
    ask(admin, Method::GET, path, None, Bytes::new())
}

/// Changes something.
pub(super) fn post(telling: &Telling, path: &str, body: &Value) -> Result<Value, Failure> {
    let token = token(telling)?;
    ask(&telling.admin.admin, Method::POST, path, Some(&token), body.to_string().into())
}

/// The admin token: a file that was named, else the environment, else the state directory.
fn token(telling: &Telling) -> Result<String, Failure> {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(|error| {
            Failure::usage(format!(
                "cannot read the admin token {}: {error}; give --token-file, STIPULA_ADMIN_TOKEN or the sidecar's --state directory",
                path.display()
            ))
        })
    };
    if let Some(path) = &telling.token_file {
        return read(path.clone());
    }
    match std::env::var("STIPULA_ADMIN_TOKEN") {
        Ok(token) if !token.trim().is_empty() => Ok(token.trim().to_owned()),
        _ => read(telling.state.join("admin.token")),
    }
}

fn ask(
    admin: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> Result<Value, Failure> {
    wait(ask_admin(admin, method, path, token, body))?.map_err(|error| match error {
        OperatorError::Url { .. } => Failure::usage(format!("--admin: {error}")),
        OperatorError::Silent { .. } => Failure::unreachable(error.to_string()),
        OperatorError::Refused { status, what } => match status.as_u16() {
            401 | 403 => Failure::usage(what),
            500.. => Failure::unreachable(format!("{admin}: {what}")),
            _ => Failure::refused(what),
        },
    })
}
