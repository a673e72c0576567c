//! JSON Pointers, tokenised once.

use jsonptr::Pointer;

/// A pointer as the executor walks it.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// As it was written, for messages.
    pub(super) pointer: String,
    /// Its tokens, unescaped.
    pub(super) tokens: Vec<Token>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The member's name.
    pub(super) name: String,
    /// The name as JSON text, for a member that is written new.
    pub(super) quoted: String,
    /// The array index it stands for, where it is one (RFC 6901: no leading zeros).
    pub(super) index: Option<usize>,
}

impl Path {
    /// Tokenises.
    pub(super) fn new(pointer: &Pointer) -> Self {
        let tokens = pointer.tokens().map(|token| Token::new(&token.decoded())).collect();
        Self { pointer: pointer.to_string(), tokens }
    }

    /// Where both paths name members of the same container: the two last tokens.
    pub(super) fn sibling<'p>(&'p self, other: &'p Self) -> Option<(&'p Token, &'p Token)> {
        let (mine, above) = self.tokens.split_last()?;
        let (theirs, same) = other.tokens.split_last()?;
        (above == same).then_some((mine, theirs))
    }
}

impl Token {
    fn new(name: &str) -> Self {
        let canonical = name == "0" || !name.starts_with('0');
        let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        Self {
            name: name.to_owned(),
            quoted: serde_json::Value::from(name).to_string(),
            index: (canonical && digits).then(|| name.parse().ok()).flatten(),
        }
    }

    /// Whether a key, as JSON text with its quotes, is this name.
    pub(super) fn is(&self, key: &str) -> bool {
        let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
        if inner.contains('\\') {
            // A key with a lone surrogate has no text and so is never a token's.
            return serde_json::from_str::<String>(key).is_ok_and(|text| text == self.name);
        }
        inner == self.name
    }
}
