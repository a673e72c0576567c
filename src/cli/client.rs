//! Asks the admin listener of a running sidecar.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::arguments::Telling;
use super::failure::{Failure, chain};
use super::wait;

/// Longest answer that is read.
const ANSWER_BYTES: usize = 256 << 20;
/// How long the sidecar may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks a question.
pub(super) fn get(admin: &str, path: &str) -> Result<Value, Failure> {
    ask(admin, Method::GET, path, None, Bytes::new())
}

/// Changes something.
pub(super) fn post(telling: &Telling, path: &str, body: &Value) -> Result<Value, Failure> {
    let token = token(telling)?;
    ask(&telling.admin.admin, Method::POST, path, Some(&token), body.to_string().into())
}

/// The admin token: a file that was named, else the environment, else the state directory.
fn token(telling: &Telling) -> Result<String, Failure> {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(|error| {
            Failure::usage(format!(
                "cannot read the admin token {}: {error}; give --token-file, STIPULA_ADMIN_TOKEN or the sidecar's --state directory",
                path.display()
            ))
        })
    };
    if let Some(path) = &telling.token_file {
        return read(path.clone());
    }
    match std::env::var("STIPULA_ADMIN_TOKEN") {
        Ok(token) if !token.trim().is_empty() => Ok(token.trim().to_owned()),
        _ => read(telling.state.join("admin.token")),
    }
}

fn ask(
    admin: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> Result<Value, Failure> {
    let silent = |what: &str| {
        Failure::unreachable(format!("no sidecar answers at {admin}: {what}; is it running?"))
    };
    let uri: http::Uri =
        format!("{}{path}", admin.trim_end_matches('/')).parse().map_err(|error| {
            Failure::usage(format!("--admin: expected a URL, got {admin:?}: {error}"))
        })?;
    if uri.scheme_str() != Some("http") {
        return Err(Failure::usage(format!(
            "--admin: expected a URL such as http://127.0.0.1:7412, got {admin:?}"
        )));
    }
    let (status, text) = wait(async {
        match tokio::time::timeout(PATIENCE, exchange(uri, method, token, body)).await {
            Ok(answer) => answer.map_err(|error| silent(&chain(&*error))),
            Err(_) => Err(silent("it did not answer in 30 s")),
        }
    })??;
    let value: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(value);
    }
    let what = value["error"].as_str().unwrap_or("it gave no reason").to_owned();
    Err(match status.as_u16() {
        401 | 403 => Failure::usage(what),
        500.. => Failure::unreachable(format!("{admin}: {what}")),
        _ => Failure::refused(what),
    })
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    uri: http::Uri,
    method: Method,
    token: Option<&str>,
    body: Bytes,
) -> Result<(http::StatusCode, Bytes), Broken> {
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
