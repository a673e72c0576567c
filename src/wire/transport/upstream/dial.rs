//! Makes a connection: name, socket, TLS, HTTP version.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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
pub(super) async fn dial(endpoint: &Endpoint) -> Result<Connection, SendError> {
    let settings = endpoint.settings();
    let stream = tokio::time::timeout(settings.connect, connect(endpoint))
        .await
        .map_err(|_| unreachable(format_args!("no connection within {:?}", settings.connect)))?
        .map_err(unreachable)?;
    let Some((name, config)) = endpoint.tls() else {
        return speak(endpoint, stream, settings.http2).await;
    };
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream);
    let stream = tokio::time::timeout(settings.handshake, handshake)
        .await
        .map_err(|_| unreachable(format_args!("no TLS within {:?}", settings.handshake)))?
        .map_err(|error| unreachable(format_args!("TLS: {error}")))?;
    let http2 = settings.http2 || stream.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(endpoint, stream, http2).await
}

async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
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
    let written = Arc::new(AtomicU64::new(0));
    let stream = Counted { stream, written: Arc::clone(&written) };
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

/// Counts what is written, so that a failed request knows whether anything of it had left.
struct Counted<S> {
    stream: S,
    written: Arc<AtomicU64>,
}

impl<S> Counted<S> {
    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
