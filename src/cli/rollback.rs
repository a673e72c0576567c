//! `stipula rollback`.

use serde_json::json;

use super::arguments::Rollback;
use super::render::Screen;
use super::{Answer, Failure, approvals, client};

pub(super) fn rollback(options: &Rollback, screen: &Screen) -> Result<Answer, Failure> {
    let body = json!({ "peer": options.peer, "to": options.to });
    let answer = client::post(&options.telling, "/api/v1/rollback", &body)?;
    approvals::done(&answer, screen);
    Ok(Answer::Yes)
}
