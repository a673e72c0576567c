//! TLS on both sides: one provider, handed over explicitly, HTTP/2 offered before HTTP/1.1.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

/// A listener's configuration.
pub(super) fn server(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
        what: "a private key",
        path: key.display().to_string(),
        why: error.to_string(),
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates(chain)?, secret)?;
    config.alpn_protocols = protocols();
    Ok(Arc::new(config))
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
