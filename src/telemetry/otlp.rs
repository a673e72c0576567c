//! Where spans go: OTLP over a small client of our own, on our runtime.
//!
//! The SDK exports from a thread that has no reactor. A client that asks the current one for its
//! timers would panic there and export nothing, so ours does its work on the runtime it was made on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

/// Longest answer of a collector that is read.
const ANSWER_BYTES: usize = 1 << 20;
/// The longest a batch may take, connecting included; the SDK's own deadline is the shorter one.
const SEND: Duration = Duration::from_secs(30);

const SPOKEN: &str = if cfg!(feature = "otlp-grpc") {
    "`http/protobuf` or `grpc`"
} else {
    "`http/protobuf` (`grpc` needs a build with the feature `otlp-grpc`)"
};

/// Why no exporter was made.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// `OTEL_EXPORTER_OTLP_PROTOCOL` names one that this build does not speak.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL: expected {SPOKEN}, got `{0}`")]
    Protocol(String),
    /// Certificates could not be read.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE {path}: expected a PEM bundle of authorities: {what}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS for the collector")]
    Tls(#[source] rustls::Error),
    /// The endpoint or another setting is wrong.
    #[error("cannot set up the trace exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What the standard environment says about traces. Everything else in it (endpoint, headers,
/// timeout, sampler, batch, resource) is read by the SDK itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Nowhere,
    Http { certificate: Option<String> },
    Grpc,
}

impl Destination {
    pub(super) fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TraceError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let of_signal = |name: &str| {
            set(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| set(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let disabled = set("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|v| v == "none");
        if disabled || of_signal("ENDPOINT").is_none() {
            return Ok(Self::Nowhere);
        }
        match of_signal("PROTOCOL").as_deref() {
            None | Some("http/protobuf") => {
                Ok(Self::Http { certificate: of_signal("CERTIFICATE") })
            }
            Some("grpc") if cfg!(feature = "otlp-grpc") => Ok(Self::Grpc),
            Some(other) => Err(TraceError::Protocol(other.to_owned())),
        }
    }

    pub(super) fn exporter(&self, runtime: &Handle) -> Result<Option<SpanExporter>, TraceError> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Http { certificate } => {
                http_exporter(None, certificate.as_deref(), runtime).map(Some)
            }
            Self::Grpc => grpc_exporter(runtime).map(Some),
        }
    }
}

/// An exporter for OTLP over HTTP; the environment's endpoint where none is given.
pub(super) fn http_exporter(
    endpoint: Option<&str>,
    certificate: Option<&str>,
    runtime: &Handle,
) -> Result<SpanExporter, TraceError> {
    let client = CollectorClient { runtime: runtime.clone(), tls: tls(certificate)? };
    let mut builder = SpanExporter::builder().with_http().with_http_client(client);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    Ok(builder.build()?)
}

#[cfg(feature = "otlp-grpc")]
fn grpc_exporter(runtime: &Handle) -> Result<SpanExporter, TraceError> {
    // The channel's worker is spawned where it is built.
    let _inside = runtime.enter();
    Ok(SpanExporter::builder().with_tonic().build()?)
}

#[cfg(not(feature = "otlp-grpc"))]
fn grpc_exporter(_runtime: &Handle) -> Result<SpanExporter, TraceError> {
    Err(TraceError::Protocol("grpc".to_owned()))
}

/// The operator's authorities, else the platform's, else (an image without any) Mozilla's.
fn tls(certificate: Option<&str>) -> Result<Arc<rustls::ClientConfig>, TraceError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TraceError::Tls)?;
    if let Some(path) = certificate {
        let bad = |what: String| TraceError::Certificate { path: path.to_owned(), what };
        let mut roots = rustls::RootCertStore::empty();
        for der in rustls::pki_types::CertificateDer::pem_file_iter(path)
            .map_err(|error| bad(error.to_string()))?
        {
            roots
                .add(der.map_err(|error| bad(error.to_string()))?)
                .map_err(|error| bad(error.to_string()))?;
        }
        return Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
    }
    Ok(Arc::new(match builder.clone().with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(_) => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
            builder
                .with_root_certificates(Arc::new(rustls::RootCertStore { roots }))
                .with_no_client_auth()
        }
    }))
}

/// One connection a batch: batches are seconds apart, and nothing stale can be reused.
#[derive(Debug)]
struct CollectorClient {
    runtime: Handle,
    tls: Arc<rustls::ClientConfig>,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let tls = self.tls.clone();
        self.runtime
            .spawn(async move { tokio::time::timeout(SEND, send(request, tls)).await? })
            .await?
    }
}

async fn send(
    request: Request<Bytes>,
    tls: Arc<rustls::ClientConfig>,
) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri();
    let host = uri.host().ok_or("the collector's endpoint has no host")?.to_owned();
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match uri.scheme_str() {
        Some("https") => {
            let tcp = connect(&bare, uri.port_u16().unwrap_or(443)).await?;
            let name = rustls::pki_types::ServerName::try_from(bare)?;
            let stream = tokio_rustls::TlsConnector::from(tls).connect(name, tcp).await?;
            ask(stream, request).await
        }
        _ => ask(connect(&bare, uri.port_u16().unwrap_or(80)).await?, request).await,
    }
}

async fn connect(host: &str, port: u16) -> std::io::Result<tokio::net::TcpStream> {
    tokio::net::TcpStream::connect((host, port)).await
}

async fn ask<S>(stream: S, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if let Some(authority) = head.uri.authority() {
        let host = http::HeaderValue::from_str(authority.as_str())?;
        head.headers.entry(http::header::HOST).or_insert(host);
    }
    head.uri = target.parse()?;
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
    driver.abort();
    Ok(Response::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(variables: &[(&str, &str)]) -> Result<Destination, String> {
        Destination::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_set() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let http = Destination::Http { certificate: None };
        for (variables, expected) in [
            (vec![], Destination::Nowhere),
            (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], Destination::Nowhere),
            (vec![endpoint], Destination::Http { certificate: None }),
            (vec![endpoint, ("OTEL_SDK_DISABLED", "true")], Destination::Nowhere),
            (vec![endpoint, ("OTEL_TRACES_EXPORTER", "none")], Destination::Nowhere),
            (vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/v1/traces")], http),
        ] {
            assert_eq!(destination(&variables).unwrap(), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_protocol_we_do_not_speak_is_named() {
        let error = destination(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ])
        .unwrap_err();
        assert!(
            error.starts_with("OTEL_EXPORTER_OTLP_PROTOCOL: expected `http/protobuf`"),
            "{error}"
        );
        assert!(error.ends_with("got `http/json`"), "{error}");
    }
}
