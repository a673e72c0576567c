//! A routine compiled once and executed in microseconds.

use super::ToolRoutine;
use crate::domain::json::Item;

/// A tool's routine with its paths tokenised, its patterns compiled and its limits checked.
#[derive(Debug)]
pub struct CompiledRoutine {
    source: ToolRoutine,
}

/// Why a routine does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {what}")]
pub struct CompileError {
    /// JSON Pointer into the routine document, for instance `/get_issue/request/3`.
    pub pointer: String,
    /// What is wrong, and what would be accepted.
    pub what: String,
}

/// A request that was carried over; the arguments were appended to the caller's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The offered tool to call; `None` where it keeps the promised name.
    pub call: Option<String>,
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

impl CompiledRoutine {
    /// Compiles the routine of the promised tool `tool`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(_tool: &str, source: &ToolRoutine) -> Result<Self, Vec<CompileError>> {
        Ok(Self { source: source.clone() })
    }

    /// The routine as data.
    #[must_use]
    pub fn source(&self) -> &ToolRoutine {
        &self.source
    }

    /// Every offered tool that it can call; the promised name where it does not re-target.
    #[must_use]
    pub fn targets(&self, promised: &str) -> Vec<String> {
        vec![self.source.call.clone().unwrap_or_else(|| promised.to_owned())]
    }

    /// Carries promised arguments over; appends the offered arguments to `out`. Absent arguments stay
    /// absent (nothing is appended) where no operation writes any.
    ///
    /// # Errors
    /// [`Failure`]; `out` is then as it was.
    pub fn request(
        &self,
        _arguments: Option<Item<'_>>,
        _out: &mut Vec<u8>,
    ) -> Result<Mapped, Failure> {
        Ok(Mapped { call: self.source.call.clone() })
    }

    /// Carries the offered `structuredContent` back; appends the promised one to `out`.
    ///
    /// # Errors
    /// [`Failure`]; `out` is then as it was.
    pub fn reply(&self, _structured: Item<'_>, _out: &mut Vec<u8>) -> Result<(), Failure> {
        Ok(())
    }
}
