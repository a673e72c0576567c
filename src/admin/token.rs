//! The secret that stands between a question and a change.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// Random bytes of a token; it is written as twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 32;
/// Its file in the state directory.
const FILE: &str = "admin.token";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be made or read.
    #[error("cannot {doing} the admin token {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no token.
    #[error("{0}: expected at least 32 characters; delete the file to get a new token")]
    Short(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
}

/// Whoever shows this may change something. Its text is in no log and no message.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The token of a state directory: reads `admin.token`, or makes it (mode 0600) where there is
    /// none yet. Where the state is not kept, a token that nobody can read.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn of(state: &Path, keep_state: bool) -> Result<Self, TokenError> {
        if !keep_state {
            return Self::random();
        }
        let path = state.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().len() >= TOKEN_BYTES => Ok(Self(text.trim().to_owned())),
            Ok(_) => Err(TokenError::Short(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let token = Self::random()?;
                token.write(&path).map_err(|source| TokenError::File {
                    doing: "make",
                    path,
                    source,
                })?;
                Ok(token)
            }
            Err(source) => Err(TokenError::File { doing: "read", path, source }),
        }
    }

    /// A token that stands in no file.
    ///
    /// # Errors
    /// [`TokenError::Randomness`].
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| TokenError::Randomness(error.to_string()))?;
        Ok(Self(hex::encode(bytes)))
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", self.0)
    }

    /// Its text, for whoever is to show it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is the token; the time it takes does not tell how much of it is right.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), shown.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let made = Token::of(&state, true).unwrap();
        let read = Token::of(&state, true).unwrap();
        assert!(made.is(&read.0));
        assert!(!made.is(""));
        assert!(!made.is(&made.0[1..]));
        assert_eq!(state.join(FILE).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(format!("{made:?}"), "Token(…)");
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "short\n").unwrap();
        assert!(matches!(Token::of(dir.path(), true), Err(TokenError::Short(_))));
    }
}
