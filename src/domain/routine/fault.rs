//! What can be wrong with a routine, and why one did not carry a value over.

/// Why a routine does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {what}")]
pub struct CompileError {
    /// JSON Pointer into the routine document, for instance `/get_issue/request/3`.
    pub pointer: String,
    /// What is wrong, and what would be accepted.
    pub what: String,
}

/// Why a routine did not carry a value over. Nothing was half-applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// `refuse_if`: this part of the promise cannot be carried over.
    #[error("{reason} ({pointer})")]
    Refused {
        /// The pointer that was present or not one of the list.
        pointer: String,
        /// Why, in words.
        reason: String,
    },
    /// An operation failed.
    #[error("operation {index}: {what}")]
    Operation {
        /// Which operation, counted from 0; nested ones are written `3.1`.
        index: String,
        /// What was expected, what came; never a value.
        what: String,
    },
}

impl Failure {
    /// An operation's failure before it is known where the operation stands.
    pub(super) fn of(what: impl Into<String>) -> Self {
        Self::Operation { index: String::new(), what: what.into() }
    }

    /// The same failure, seen from the list in which the operation has index `outer`.
    pub(super) fn inside(self, outer: usize) -> Self {
        match self {
            Self::Operation { index, what } if index.is_empty() => {
                Self::Operation { index: outer.to_string(), what }
            }
            Self::Operation { index, what } => {
                Self::Operation { index: format!("{outer}.{index}"), what }
            }
            refused @ Self::Refused { .. } => refused,
        }
    }
}
