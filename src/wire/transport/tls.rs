//! TLS on both sides: one provider, handed over explicitly, HTTP/2 offered before HTTP/1.1.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What can go wrong while TLS is set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read, or holds nothing of what was asked for.
    #[error("cannot read {what} from {path}: {why}")]
    File {
        /// What was looked for.
        what: &'static str,
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// What was read does not fit together.
    #[error(transparent)]
    Config(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |why: String| TlsError::File {
        what: "certificates",
        path: path.display().to_string(),
        why,
    };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("it holds none".to_owned())) } else { Ok(found) }
}

/// Whether a listener could show this certificate.
///
/// # Errors
/// Where the files cannot be read, or do not belong together.
pub fn check(chain: &Path, key: &Path) -> Result<(), TlsError> {
    server(chain, key).map(drop)
}

/// A listener's configuration, and the certificate that it shows.
pub(super) fn server(
    chain: &Path,
    key: &Path,
) -> Result<(Arc<ServerConfig>, Arc<Certificate>), TlsError> {
    let certificate = Arc::new(Certificate::read(chain, key)?);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificate) as _);
    config.alpn_protocols = protocols();
    Ok((Arc::new(config), certificate))
}

/// A listener's certificate and key, read again where their files changed.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    shown: ArcSwap<CertifiedKey>,
    /// The files as they were when what is shown was read.
    seen: Mutex<[Option<Stamp>; 2]>,
}

/// What tells a file from the one it replaced: when it was written, its length, its inode.
type Stamp = (SystemTime, u64, u64);

impl Certificate {
    fn read(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let seen = [stamp(chain), stamp(key)];
        Ok(Self {
            shown: ArcSwap::from_pointee(certified(chain, key)?),
            seen: Mutex::new(seen),
            chain: chain.to_owned(),
            key: key.to_owned(),
        })
    }

    /// The file of the chain.
    #[must_use]
    pub fn chain(&self) -> &Path {
        &self.chain
    }

    /// Reads the files again where they changed; true where connections are shown another certificate
    /// from now on. Blocks on the file system.
    ///
    /// # Errors
    /// [`TlsError`] where the files cannot be used as they are now, a half-written one or a key of
    /// another certificate for instance. What was shown is still shown, and the next look tries again.
    pub fn look(&self) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = [stamp(&self.chain), stamp(&self.key)];
        if *seen == now && now.iter().all(Option::is_some) {
            return Ok(false);
        }
        let fresh = certified(&self.chain, &self.key)?;
        *seen = now;
        let changed = fresh.cert != self.shown.load().cert;
        self.shown.store(Arc::new(fresh));
        Ok(changed)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len(), about.ino()))
}

fn certified(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
        what: "a private key",
        path: key.display().to_string(),
        why: error.to_string(),
    })?;
    Ok(CertifiedKey::from_der(certificates(chain)?, secret, &provider())?)
}

/// A client's configuration: these authorities, else the platform's, else the bundled ones (an
/// image without a certificate store has no platform verifier).
pub(super) fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let mut config = if let Some(path) = authorities {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate)?;
        }
        builder.with_root_certificates(roots).with_no_client_auth()
    } else if let Ok(verifier) = rustls_platform_verifier::Verifier::new(provider) {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()
    } else {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    config.alpn_protocols = protocols();
    Ok(Arc::new(config))
}
