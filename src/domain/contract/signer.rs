//! Ed25519: who signs a contract, and whose signature it is.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::seal::{SealError, SealFault, fault};
use super::{Contract, SigningAlgorithm};
use crate::domain::message::Digest;

/// What an Ed25519 seal signs is this prefix and the 32 bytes of the content hash, so that a
/// signature made for anything else is never one for a contract.
const SIGNED_PREFIX: &[u8] = b"stipula contract seal v1\0";
/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A public Ed25519 key that somebody trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// From a SubjectPublicKeyInfo (RFC 8410), DER.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        der.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(Self)
    }

    /// Whether this key signed a contract. That the signature holds is for `Sealed::open`.
    #[must_use]
    pub fn signed(&self, contract: &Contract) -> bool {
        contract.signing.public_key.as_deref() == Some(&hex::encode(self.0))
    }
}

/// A private Ed25519 key (RFC 8032) that seals contracts.
pub struct Signer {
    key: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public_key())
    }
}

impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.public_key() == other.public_key()
    }
}

impl Signer {
    /// Takes a PKCS#8 document (RFC 8410), DER.
    ///
    /// # Errors
    /// Where the bytes are none, or hold another kind of key.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, SealError> {
        // OpenSSL writes the older form, without the public key.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(document)
            .map(|key| Self { key })
            .map_err(|error| SealError::Key(format!("expected a PKCS#8 Ed25519 key: {error}")))
    }

    /// Takes the 32 bytes of an Ed25519 seed.
    ///
    /// # Errors
    /// Where there are not 32 of them.
    pub fn from_seed(seed: &[u8]) -> Result<Self, SealError> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(|key| Self { key })
            .map_err(|error| SealError::Key(format!("expected a seed of 32 bytes: {error}")))
    }

    /// The public key, hexadecimal, as it stands in `signing.public_key`.
    #[must_use]
    pub fn public_key(&self) -> String {
        hex::encode(self.key.public_key().as_ref())
    }

    pub(super) fn sign(&self, hash: &Digest) -> String {
        hex::encode(self.key.sign(&signed_bytes(hash)).as_ref())
    }
}

fn signed_bytes(hash: &Digest) -> Vec<u8> {
    [SIGNED_PREFIX, hash.as_bytes()].concat()
}

/// What is wrong with the signature of a contract.
pub(super) fn signature_faults(contract: &Contract) -> Option<SealFault> {
    let signing = &contract.signing;
    match (signing.algorithm, &signing.public_key, &signing.signature) {
        (SigningAlgorithm::Sha256, None, None) => None,
        (SigningAlgorithm::Sha256, ..) => {
            Some(fault("/signing", "expected no key and no signature beside the algorithm sha256"))
        }
        (SigningAlgorithm::Ed25519, Some(key), Some(signature)) => {
            // One spelling alone, so that no byte of a sealed file can change unseen.
            let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
            let (Ok(bytes_of_key), Ok(bytes), true) =
                (hex::decode(key), hex::decode(signature), lower(key) && lower(signature))
            else {
                let what = "expected key and signature in lower-case hexadecimal";
                return Some(fault("/signing", what));
            };
            let signed = signed_bytes(&contract.hash);
            UnparsedPublicKey::new(&ED25519, bytes_of_key).verify(&signed, &bytes).err().map(|_| {
                fault(
                    "/signing/signature",
                    "the signature is not one of this key over this contract",
                )
            })
        }
        (SigningAlgorithm::Ed25519, ..) => Some(fault(
            "/signing",
            "expected public_key and signature beside the algorithm ed25519",
        )),
    }
}
