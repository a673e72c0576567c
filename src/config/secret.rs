//! Secrets: the file says where one stands, never the secret itself.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::contract::{PublicKey, Signer};
use crate::domain::message;

/// Longest secret, in bytes.
const LONGEST: u64 = 64 * 1024;
/// Bits that let somebody else read a file, or the group write it.
const TOO_OPEN: u32 = 0o037;

/// Where a secret stands: `${env:NAME}`, or `{ file: PATH }`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Secret {
    /// A variable of the environment, written `${env:NAME}`.
    Environment(String),
    /// A file that its owner, or its group too, can read and nobody else.
    File(SecretFile),
}

/// A file that holds a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretFile {
    /// Its path.
    pub(super) file: PathBuf,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever wrote the secret itself here must not find it in a log.
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret as one line of text, white space at its end left out. What is wrong is said
    /// without it.
    pub(super) fn line(&self) -> Result<message::Secret, String> {
        let text = String::from_utf8(self.read()?).unwrap_or_default();
        let text = text.trim_end();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("expected a secret of one line that is not empty".to_owned());
        }
        Ok(message::Secret::new(text))
    }

    /// The secret. What is wrong is said without it.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(SecretFile { file }) => read_file(file),
            Self::Environment(text) => {
                let name = text.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}'));
                let plain = |name: &&str| {
                    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    !name.is_empty() && name.chars().all(letters)
                };
                let Some(name) = name.filter(plain) else {
                    return Err("expected `${env:NAME}` or `{ file: PATH }`; a secret itself is \
                                never written into this file"
                        .to_owned());
                };
                match std::env::var(name) {
                    Ok(value) if !value.is_empty() => Ok(value.into_bytes()),
                    _ => Err(format!("expected the variable {name} to be set and not empty")),
                }
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & TOO_OPEN != 0 {
        return Err(format!(
            "{}: expected a file that only its owner, or its group too, can read (mode 0600 or \
             0640), got mode {:04o}; run `chmod 600` on it",
            path.display(),
            mode & 0o7777
        ));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// The private key that signs contracts: PKCS#8, PEM, as `openssl genpkey -algorithm ed25519` writes
/// it.
pub(super) fn signer(secret: &Secret) -> Result<Signer, String> {
    let text = secret.read()?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| {
        "expected an Ed25519 private key as PKCS#8 PEM; make one with `openssl genpkey -algorithm \
         ed25519 -out seal.key.pem`"
            .to_owned()
    })?;
    Signer::from_pkcs8(key.secret_pkcs8_der()).map_err(|error| error.to_string())
}

/// The private key of a file that signs contracts.
///
/// # Errors
/// Where it cannot be read, others can read it, or it is no Ed25519 key: in words.
pub fn signing_key(path: &Path) -> Result<Signer, String> {
    signer(&Secret::File(SecretFile { file: path.to_owned() })).map_err(|what| {
        if what.contains(&*path.to_string_lossy()) {
            what
        } else {
            format!("{}: {what}", path.display())
        }
    })
}

/// A public key by its 64 hexadecimal digits, or by a PEM file that holds it.
///
/// # Errors
/// Where it is neither: in words.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    if let Some(key) = PublicKey::from_hex(text) {
        return Ok(key);
    }
    let expected =
        "expected 64 hexadecimal digits, or a PEM file as `openssl pkey -pubout` writes it";
    let pem = std::fs::read(text).map_err(|error| format!("{expected}; {text}: {error}"))?;
    SubjectPublicKeyInfoDer::from_pem_slice(&pem)
        .ok()
        .and_then(|der| PublicKey::from_spki(&der))
        .ok_or_else(|| format!("{text}: {expected}"))
}
