//! Makes a connection: name, socket, TLS, HTTP version.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryFutureExt as _;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::io::InspectWriter;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt as _};

use super::pool::{Connection, Http1};
use super::{Endpoint, SendError, Sent};

/// A peer that does not answer a ping within this is gone (HTTP/2), or is asked again (TCP).
const PING_ANSWER: Duration = Duration::from_secs(10);
/// How often a silent peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// What hyper may buffer for a connection.
const BUFFER: usize = 64 * 1024;

fn unreachable(why: impl std::fmt::Display) -> SendError {
    SendError { sent: Sent::Nothing, why: why.to_string(), unreachable: true }
}

/// A new connection, ready for a request.
pub(super) async fn dial(endpoint: &Arc<Endpoint>) -> Result<Connection, SendError> {
    let settings = endpoint.settings();
    let connecting = within(settings.connect, "connection", connect);
    let stream = connecting.oneshot(Arc::clone(endpoint)).await?;
    let Some((name, config)) = endpoint.tls() else {
        return speak(endpoint, stream, settings.http2).await;
    };
    let connector = TlsConnector::from(Arc::clone(config));
    let name = name.clone();
    let securing = within(settings.handshake, "TLS", |stream| {
        let handshake = connector.connect(name.clone(), stream);
        handshake.map_err(|error| format!("TLS: {error}"))
    });
    let stream = securing.oneshot(stream).await?;
    let http2 = settings.http2 || stream.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(endpoint, stream, http2).await
}

/// A step that has this long; `what` names what it is to bring.
fn within<R, F, A, T, E>(
    time: Duration,
    what: &'static str,
    step: F,
) -> impl Service<R, Response = T, Error = SendError, Future: Send>
where
    F: FnMut(R) -> A,
    A: Future<Output = Result<T, E>> + Send,
    E: Into<BoxError>,
{
    ServiceBuilder::new()
        .map_err(move |error: BoxError| {
            if error.is::<Elapsed>() {
                unreachable(format_args!("no {what} within {time:?}"))
            } else {
                unreachable(error)
            }
        })
        .timeout(time)
        .service_fn(step)
}

async fn connect(endpoint: Arc<Endpoint>) -> io::Result<TcpStream> {
    let (host, port) = endpoint.host_and_port();
    let stream = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect(SocketAddr::new(address, port)).await?,
        // Tries the addresses of a name in turn.
        Err(_) => TcpStream::connect((host, port)).await?,
    };
    stream.set_nodelay(true)?;
    // A stream of events has no deadline: only this notices a peer that vanished.
    let keep_alive = TcpKeepalive::new().with_time(PING_EVERY).with_interval(PING_ANSWER);
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    Ok(stream)
}

async fn speak<S>(endpoint: &Endpoint, stream: S, http2: bool) -> Result<Connection, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = endpoint.settings();
    if http2 {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .initial_max_send_streams(256)
            .max_header_list_size(settings.head_bytes)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unreachable)?;
        tokio::spawn(driver);
        return Ok(Connection::Http2(sender));
    }
    // So that a failed request knows whether anything of it had left.
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let stream = InspectWriter::new(stream, move |bytes: &[u8]| {
        counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .max_header_size(settings.head_bytes as usize)
        .max_headers(settings.headers)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(unreachable)?;
    tokio::spawn(driver);
    Ok(Connection::Http1(Http1 { sender, written }))
}
