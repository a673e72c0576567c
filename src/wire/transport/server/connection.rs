//! Accepts connections on one thread and serves each.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answer::Desk;
use super::door::{Shut, turn_away};
use super::rules::{Rule, Rules};
use super::watched::{Vital, Watched};
use super::{Answering, ConnectionFacts, Counts, Handler, Settings};
use crate::telemetry::Limit;

/// After accepting failed (no file descriptors), this passes before it is tried again.
const BREATHER: Duration = Duration::from_millis(20);

/// What all threads share. Clones are cheap.
#[derive(Clone)]
pub(super) struct Acceptor {
    rules: Rules,
    tls: Option<TlsAcceptor>,
    counts: Arc<Counts>,
    /// `Some` once the server is to end, with how long requests in flight may take.
    stopping: watch::Receiver<Option<Duration>>,
}

impl Acceptor {
    pub(super) fn new(
        rules: Rules,
        tls: Option<Arc<rustls::ServerConfig>>,
        counts: Arc<Counts>,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> Self {
        Self { rules, tls: tls.map(TlsAcceptor::from), counts, stopping }
    }

    pub(super) async fn run<H: Handler>(self, listener: TcpListener, thread: usize, handler: H) {
        // The listener is non-blocking and this is a runtime: registering it needs no more.
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let mut stopping = self.stopping.clone();
        let mut connections = JoinSet::new();
        let within = loop {
            let accepted = async { (self.rules.door.place().await, listener.accept().await) };
            tokio::select! {
                stop = stopping.wait_for(Option::is_some) => break stop.ok().and_then(|stop| *stop),
                Some(_ended) = connections.join_next() => {}
                (place, accepted) = accepted => match accepted {
                    Ok((stream, remote)) => {
                        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
                        let (this, handler) = (self.clone(), handler.clone());
                        connections.spawn(async move {
                            match this.rules.door.enter(remote.ip()) {
                                Ok(guest) => {
                                    this.serve(stream, remote, thread, handler).await;
                                    drop(guest);
                                }
                                // Boxed, so that who is let in does not carry its buffer.
                                Err(why) => Box::pin(this.refuse(stream, why)).await,
                            }
                            drop(place);
                        });
                    }
                    Err(_) => {
                        self.rules.door.count(Limit::Descriptors);
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

    async fn refuse(self, stream: TcpStream, why: Shut) {
        self.counts.turned_away.fetch_add(1, Ordering::Relaxed);
        if self.tls.is_none() {
            turn_away(stream, why).await;
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
        let (tls, rule) = (self.tls.clone(), self.rules.now());
        let vital = Arc::<Vital>::default();
        let facts = ConnectionFacts { remote, local, tls: tls.is_some(), thread };
        let desk = Desk {
            service: handler.connected(facts),
            facts,
            vital: Arc::clone(&vital),
            settings: Arc::clone(&rule.settings),
            pace: Arc::clone(&rule.pace),
            counts: Arc::clone(&self.counts),
        };
        let in_time = match tls {
            None => {
                self.speak(stream, desk, &rule).await;
                true
            }
            Some(tls) => {
                let handshake = tokio::time::timeout(rule.settings.head, tls.accept(stream)).await;
                let in_time = handshake.is_ok();
                if let Ok(Ok(stream)) = handshake {
                    self.speak(stream, desk, &rule).await;
                }
                in_time
            }
        };
        if vital.was_flooded() {
            self.rules.door.count(Limit::Overhead);
            self.counts.flooded.fetch_add(1, Ordering::Relaxed);
        }
        if !in_time || vital.was_late() {
            self.rules.door.count(Limit::Timeout);
            self.counts.timed_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whatever ends a connection, the agent sees it; there is nobody else to tell.
    async fn speak<I, S>(&self, stream: I, desk: Desk<S>, rule: &Rule)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Answering,
    {
        let watched = Watched::new(stream, Arc::clone(&desk.vital), Arc::clone(&rule.settings));
        let service = service_fn(move |request| desk.clone().answer(request));
        let mut stopping = self.stopping.clone();
        let mut connection = pin!(rule.http.serve_connection(TokioIo::new(watched), service));
        tokio::select! {
            _ended = connection.as_mut() => return,
            _ = stopping.wait_for(Option::is_some) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

pub(super) fn http(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        // The head has a timer of ours, which runs from the first byte.
        .header_read_timeout(None)
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
