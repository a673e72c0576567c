//! A value that nobody may read by accident: a key, a token, a password.

use std::fmt;

/// A secret. It has no `Display`, its `Debug` says nothing, it is not serialised, and it is wiped
/// from no memory: who can read the process can read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Every caller is a place to look at: it goes to whom it is meant for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_told() {
        let told = format!("{:?} {:#?}", Secret::new("sk-123"), Some(Secret::new("sk-123")));
        assert!(!told.contains("sk-123") && told.contains("Secret"), "{told}");
    }
}
