//! `stipula explain`.

use serde_json::json;

use super::arguments::OneFile;
use super::render::Screen;
use super::{Answer, Failure, source};
use crate::domain::contract::{Sealed, explain as in_words};

pub(super) fn explain(options: &OneFile, screen: &Screen) -> Result<Answer, Failure> {
    let sealed = Sealed::parse(&source::bytes(&options.file)?)
        .map_err(|error| Failure::refused(format!("{}: {error}", options.file.display())))?;
    let text = in_words(sealed.contract());
    if screen.is_json() {
        screen.json(&json!({ "explained": text }));
    } else {
        screen.text(&text);
    }
    Ok(Answer::Yes)
}
