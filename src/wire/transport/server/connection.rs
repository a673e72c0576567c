//! Accepts connections on one thread and serves each.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{ConnectionFacts, Counts, Handler, Settings};
use crate::wire::transport::body::{Body, Pace};

/// After accepting failed (no file descriptors), this passes before it is tried again.
const BREATHER: Duration = Duration::from_millis(20);

/// What all threads share. Clones are cheap.
#[derive(Clone)]
pub(super) struct Acceptor {
    settings: Arc<Settings>,
    tls: Option<TlsAcceptor>,
    counts: Arc<Counts>,
    /// `Some` once the server is to end, with how long requests in flight may take.
    stopping: watch::Receiver<Option<Duration>>,
    places: Arc<Semaphore>,
    pace: Arc<Pace>,
    http: auto::Builder<TokioExecutor>,
}

impl Acceptor {
    pub(super) fn new(
        settings: Settings,
        tls: Option<Arc<rustls::ServerConfig>>,
        counts: Arc<Counts>,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> Self {
        let pace = Pace {
            window: settings.progress_window,
            bytes: settings.progress_bytes,
            whole: Some(settings.receipt),
        };
        Self {
            http: http(&settings),
            places: Arc::new(Semaphore::new(settings.connections)),
            tls: tls.map(TlsAcceptor::from),
            settings: Arc::new(settings),
            pace: Arc::new(pace),
            counts,
            stopping,
        }
    }

    pub(super) async fn run<H: Handler>(self, listener: TcpListener, thread: usize, handler: H) {
        // The listener is non-blocking and this is a runtime: registering it needs no more.
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let mut stopping = self.stopping.clone();
        let mut connections = JoinSet::new();
        let within = loop {
            let place = Arc::clone(&self.places).acquire_owned();
            let accepted = async { (place.await, listener.accept().await) };
            tokio::select! {
                stop = stopping.wait_for(Option::is_some) => break stop.ok().and_then(|stop| *stop),
                Some(_ended) = connections.join_next() => {}
                (place, accepted) = accepted => match accepted {
                    Ok((stream, remote)) => {
                        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
                        let serving = self.clone().serve(stream, remote, thread, handler.clone());
                        connections.spawn(async move {
                            serving.await;
                            drop(place);
                        });
                    }
                    Err(_) => {
                        self.counts.accept_failed.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(BREATHER).await;
                    }
                },
            }
        };
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(within.unwrap_or_default(), ended).await.is_err() {
            self.counts.cut.fetch_add(connections.len() as u64, Ordering::Relaxed);
        }
    }

    async fn serve<H: Handler>(
        self,
        stream: TcpStream,
        remote: SocketAddr,
        thread: usize,
        handler: H,
    ) {
        let Ok(local) = stream.local_addr() else { return };
        // Without it small answers wait for the agent's acknowledgement.
        let _ = stream.set_nodelay(true);
        let tls = self.tls.clone();
        let facts = ConnectionFacts { remote, local, tls: tls.is_some(), thread };
        let served = match tls {
            None => self.speak(stream, facts, handler).await,
            Some(tls) => match tokio::time::timeout(self.settings.head, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream, facts, handler).await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        };
        if served.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            self.counts.timed_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn speak<S, H>(&self, stream: S, facts: ConnectionFacts, handler: H) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handler,
    {
        let (counts, pace) = (Arc::clone(&self.counts), Arc::clone(&self.pace));
        let service = service_fn(move |request| {
            answer(request, facts, handler.clone(), Arc::clone(&counts), Arc::clone(&pace))
        });
        let mut stopping = self.stopping.clone();
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            served = connection.as_mut() => return served.map_err(io::Error::other),
            _ = stopping.wait_for(Option::is_some) => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(io::Error::other)
    }
}

async fn answer<H: Handler>(
    request: Request<Incoming>,
    facts: ConnectionFacts,
    handler: H,
    counts: Arc<Counts>,
    pace: Arc<Pace>,
) -> Result<Response<Body>, Infallible> {
    let request = request.map(|incoming| Body::incoming(incoming, Some(pace), None));
    let answered = AssertUnwindSafe(handler.handle(request, facts)).catch_unwind().await;
    Ok(answered.unwrap_or_else(|_unwound| {
        counts.unwound.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

fn http(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head)
        .max_headers(settings.headers)
        .max_buf_size(settings.buffer);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams)
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_header_list_size(settings.head_bytes)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    http
}
