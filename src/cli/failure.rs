//! Why a command has no answer, and the exit code that says so.

use std::error::Error;

/// A command that came to no answer.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The sidecar understood and said no.
    Refused,
    /// The arguments, a file, or the configuration.
    Usage,
    /// A peer or a sidecar that does not answer.
    Unreachable,
}

impl Failure {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, text: text.into() }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, text: text.into() }
    }

    pub(super) fn unreachable(text: impl Into<String>) -> Self {
        Self { kind: Kind::Unreachable, text: text.into() }
    }

    /// A usage failure that the answer has told already.
    pub(super) const fn told() -> Self {
        Self { kind: Kind::Usage, text: String::new() }
    }

    pub(super) const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::Unreachable => 3,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// An error and its sources in one line; each says its own level only.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        let below_text = below.to_string();
        if !text.ends_with(&below_text) {
            text.push_str(": ");
            text.push_str(&below_text);
        }
        source = below.source();
    }
    text
}
