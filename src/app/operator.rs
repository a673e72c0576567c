//! Asks the admin listener of a running sidecar, and tells it what a person decided: the one way that
//! the commands and the demo take.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// Longest answer that is read.
const ANSWER_BYTES: usize = 256 << 20;
/// How long the sidecar may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the admin listener gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The URL cannot be asked.
    #[error("expected a URL such as http://127.0.0.1:7412, got {admin:?}{why}")]
    Url {
        /// What was given.
        admin: String,
        /// What is wrong with it, behind a colon; may be empty.
        why: String,
    },
    /// Nobody answers there.
    #[error("no sidecar answers at {admin}: {why}; is it running?")]
    Silent {
        /// Who was asked.
        admin: String,
        /// What the connection says.
        why: String,
    },
    /// It answered, and said no.
    #[error("{what}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Its reason.
        what: String,
    },
}

/// Sends one request to the admin listener at `admin` (a URL without a path) and reads its JSON answer;
/// `token` is the admin token, which every change needs.
///
/// # Errors
/// See [`OperatorError`].
pub async fn ask_admin(
    admin: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> Result<Value, OperatorError> {
    let wrong = |why: String| OperatorError::Url { admin: admin.to_owned(), why };
    let silent = |why: String| OperatorError::Silent { admin: admin.to_owned(), why };
    let uri: http::Uri = format!("{}{path}", admin.trim_end_matches('/'))
        .parse()
        .map_err(|error| wrong(format!(": {error}")))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong(String::new()));
    }
    let answer = tokio::time::timeout(PATIENCE, exchange(uri, method, token, body)).await;
    let (status, text) = answer
        .map_err(|_| silent("it did not answer in 30 s".to_owned()))?
        .map_err(|error| silent(causes(&*error)))?;
    let value: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(value);
    }
    let what = value["error"].as_str().unwrap_or("it gave no reason").to_owned();
    Err(OperatorError::Refused { status, what })
}

/// An error and what lies below it, in one line.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let below = std::iter::successors(error.source(), |error| error.source());
    below.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    uri: http::Uri,
    method: Method,
    token: Option<&str>,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Broken> {
    let authority = uri.authority().ok_or("the URL has no host")?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let tcp = tokio::net::TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    let driver = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(uri.path_and_query().map_or("/", |target| target.as_str()))
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = sender.send_request(request.body(Full::new(body))?).await?;
    let status = answer.status();
    let text = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
    driver.abort();
    Ok((status, text))
}
