//! Where a peer is, and how it is dialled.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::redirect::Redirects;
use crate::wire::transport::tls::{self, TlsError};

/// How a peer is dialled, and what its answers may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A TCP connection must stand within this.
    pub connect: Duration,
    /// A TLS handshake must be done within this.
    pub handshake: Duration,
    /// An unused connection is kept this long; shorter than the 5 s after which Node closes one.
    pub keep_idle: Duration,
    /// Speak HTTP/2 without asking (`h2c`); over TLS it is negotiated anyway.
    pub http2: bool,
    /// A PEM bundle of authorities to trust instead of the platform's.
    pub authorities: Option<PathBuf>,
    /// A reply's body, event streams apart, must bring `progress_bytes` in each window of this. It
    /// is longer than an agent's, because a tool may send its head first and think then.
    pub progress_window: Duration,
    /// See `progress_window`.
    pub progress_bytes: u64,
    /// Longest head of a reply, in bytes.
    pub head_bytes: u32,
    /// Most header lines of a reply.
    pub headers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            keep_idle: Duration::from_secs(4),
            http2: false,
            authorities: None,
            progress_window: Duration::from_secs(300),
            progress_bytes: 1,
            head_bytes: 32 * 1024,
            headers: 100,
        }
    }
}

/// A peer's URL that cannot be dialled.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL.
    #[error("expected an absolute http or https URL, got {url:?}: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The authorities cannot be read.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
}

/// Where a peer is, and how it is dialled; shared by the threads.
#[derive(Debug)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    path: PathAndQuery,
    host_header: HeaderValue,
    tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    settings: Settings,
    redirects: Redirects,
}

impl Endpoint {
    /// Reads the URL and the authorities.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn new(url: &str, settings: Settings) -> Result<Self, EndpointError> {
        let wrong = |why: &str| EndpointError::Url { url: url.to_owned(), why: why.to_owned() };
        let parts = url.parse::<Uri>().map_err(|error| wrong(&error.to_string()))?.into_parts();
        let scheme = parts.scheme.ok_or_else(|| wrong("it has no scheme"))?;
        let authority = parts.authority.ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials do not belong into a URL"));
        }
        let tls = match scheme.as_str() {
            "http" => None,
            "https" => {
                let name = bare(authority.host()).to_owned();
                let name = ServerName::try_from(name).map_err(|error| wrong(&error.to_string()))?;
                Some((name, tls::client(settings.authorities.as_deref())?))
            }
            _ => return Err(wrong("the scheme is neither http nor https")),
        };
        let host_header =
            HeaderValue::from_str(authority.as_str()).map_err(|error| wrong(&error.to_string()))?;
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let redirects = Redirects::default();
        Ok(Self { scheme, authority, path, host_header, tls, settings, redirects })
    }

    /// The URL's path and query; `/` where it has none.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.path.as_str()
    }

    pub(super) fn path(&self) -> &str {
        self.path.path()
    }

    pub(super) const fn redirects(&self) -> &Redirects {
        &self.redirects
    }

    /// The URL's host and port, as `Host` carries them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// How it is dialled.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) const fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    pub(super) const fn tls(&self) -> Option<&(ServerName<'static>, Arc<ClientConfig>)> {
        self.tls.as_ref()
    }

    /// The host without brackets, and the port.
    pub(super) fn host_and_port(&self) -> (&str, u16) {
        let port = if self.tls.is_some() { 443 } else { 80 };
        (bare(self.authority.host()), self.authority.port_u16().unwrap_or(port))
    }

    /// The absolute form that HTTP/2 wants.
    pub(super) fn absolute(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        // All three are there, which is all that the conversion asks for.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
