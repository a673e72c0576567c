//! Listens, and hands each request to a service on the thread that accepted it.
//!
//! ```text
//!   one thread a core: listener ─► door ─► watch (timers, raw head) ─► hyper ─► strict, guard ─► Answering
//!                         └── stop: no more connections, requests in flight end, the rest is cut
//! ```
//!
//! Never here: a connection without a timer, an unwinding service that ends the process.

mod answer;
mod connection;
mod door;
mod listen;
mod rules;
mod watched;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::{mpsc, watch};
use tower::Service;

use self::connection::Acceptor;
use self::door::Door;
use super::body::Body;
use super::guard;
use super::pressure::Pressure;
use super::tls::{self, Certificate, TlsError};
use crate::telemetry::Metrics;

pub use self::rules::Rules;

/// Makes what answers the requests of a connection. One value for each thread.
pub trait Handler: Clone + Send + 'static {
    /// A connection was accepted; what is returned is dropped when it ends.
    fn connected(&self, facts: ConnectionFacts) -> impl Answering;
}

/// Answers the requests of one connection: a tower service. It is cloned for each request, and a call is
/// dropped when the agent leaves. Its error is "not now": the agent gets a 503 that says why.
pub trait Answering:
    Service<Request<Body>, Response = Response<Body>, Error: std::error::Error, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Answering for S where
    S: Service<Request<Body>, Response = Response<Body>, Error: std::error::Error, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// What is known of the connection that a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The agent's address.
    pub remote: SocketAddr,
    /// The address it dialled.
    pub local: SocketAddr,
    /// The connection is encrypted.
    pub tls: bool,
    /// The thread that serves it, counted from 0.
    pub thread: usize,
}

/// Where and how to listen. The defaults are the shipped limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Threads, each with its own runtime and listener; `None`: one a core.
    pub threads: Option<usize>,
    /// Certificate chain and private key, PEM files; `None` speaks clear text.
    pub tls: Option<TlsFiles>,
    /// Whose requests are taken.
    pub guard: guard::Settings,
    /// A connection must send its first byte within this.
    pub first_byte: Duration,
    /// A head must be complete within this after its first byte.
    pub head: Duration,
    /// A request's body must bring `progress_bytes` in each window of this.
    pub progress_window: Duration,
    /// See `progress_window`.
    pub progress_bytes: u64,
    /// A request must be received within this.
    pub receipt: Duration,
    /// A connection without a request, or whose agent does not read, is closed after this.
    pub idle: Duration,
    /// Longest head, in bytes.
    pub head_bytes: u32,
    /// Most header lines.
    pub headers: usize,
    /// Most connections at once, over all threads.
    pub connections: usize,
    /// Most connections at once of one address (of one /64, for IPv6); more are refused with 503.
    pub connections_per_address: usize,
    /// Most HTTP/2 streams at once on a connection.
    pub streams: u32,
    /// HTTP/2 window of a stream, in bytes.
    pub stream_window: u32,
    /// HTTP/2 window of a connection, in bytes.
    pub connection_window: u32,
    /// Bytes that hyper may buffer for a connection.
    pub buffer: usize,
}

/// PEM files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the listener's own first.
    pub certificates: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7411)),
            threads: None,
            tls: None,
            guard: guard::Settings::default(),
            first_byte: Duration::from_secs(5),
            head: Duration::from_secs(10),
            progress_window: Duration::from_secs(10),
            progress_bytes: 1024,
            receipt: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            head_bytes: 32 * 1024,
            headers: 100,
            connections: 8000,
            connections_per_address: 4000,
            streams: 100,
            stream_window: 64 * 1024,
            connection_window: 1024 * 1024,
            buffer: 64 * 1024,
        }
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// A thread or its runtime could not be started.
    #[error("a serving thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// What a listener tells the house, and is told. By default nobody tells anything.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// Where agents' connections, and limits that bit, are counted.
    pub metrics: Option<Metrics>,
    /// How short memory is: from [`Level::High`] on, new connections are refused with 503.
    ///
    /// [`Level::High`]: super::pressure::Level::High
    pub pressure: Pressure,
}

/// Counts of what went wrong on the listener; read them at any time.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections that were turned away at the door.
    pub turned_away: AtomicU64,
    /// Requests refused before the service saw them (shape, host, origin).
    pub refused: AtomicU64,
    /// Requests that the service did not take.
    pub shed: AtomicU64,
    /// Services that unwound.
    pub unwound: AtomicU64,
    /// HTTP/2 connections cut because they carried too much beside requests.
    pub flooded: AtomicU64,
    /// Connections closed by a timer.
    pub timed_out: AtomicU64,
    /// Times that accepting failed (no file descriptors).
    pub accept_failed: AtomicU64,
    /// Connections that were cut at the end of a drain.
    pub cut: AtomicU64,
}

/// A listener that is serving. Dropping it stops it at once; [`Server::drain`] is the gentle way.
#[derive(Debug)]
pub struct Server {
    local: SocketAddr,
    counts: Arc<Counts>,
    rules: Rules,
    certificate: Option<Arc<Certificate>>,
    stop: watch::Sender<Option<Duration>>,
    /// Ends when the last thread has ended.
    running: mpsc::Receiver<()>,
}

impl Server {
    /// The address it listens on, with the real port.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What it counted.
    #[must_use]
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// What connections are taken and kept by.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What it shows who connects, where it is encrypted; to be looked at again from time to time.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificate.as_ref()
    }

    /// Takes no more connections, lets requests in flight end, cuts what is left after `within`.
    /// Returns how many connections were cut.
    pub async fn drain(mut self, within: Duration) -> u64 {
        self.stop.send_replace(Some(within));
        // Nothing is ever sent: the end of the channel is the end of the last thread.
        let _ = self.running.recv().await;
        self.counts.cut.load(Ordering::Relaxed)
    }
}

/// Listens and serves on threads of its own. `make` is called once on each thread, inside its
/// runtime, with the thread's number.
///
/// # Errors
/// See [`ServeError`]; nothing is left running.
pub fn serve<H, M>(settings: Settings, house: House, make: M) -> Result<Server, ServeError>
where
    H: Handler,
    M: Fn(usize) -> H + Send + Sync + 'static,
{
    let address = settings.listen;
    let bind = |source| ServeError::Bind { address, source };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = settings.threads.unwrap_or(cores).max(1);
    let tls = settings.tls.as_ref().map(|files| tls::server(&files.certificates, &files.key));
    let (tls, certificate) = tls.transpose()?.unzip();
    let listeners = listen::listeners(address, threads).map_err(bind)?;
    let local = listeners[0].local_addr().map_err(bind)?;
    let (stop, stopping) = watch::channel(None);
    let (alive, running) = mpsc::channel(1);
    let counts = Arc::<Counts>::default();
    let door = Door::new(&settings, house);
    let rules = Rules::new(settings, door);
    let acceptor = Acceptor::new(rules.clone(), tls, Arc::clone(&counts), stopping);
    let make = Arc::new(make);
    for (thread, listener) in listeners.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Thread)?;
        let (acceptor, make, alive) = (acceptor.clone(), Arc::clone(&make), alive.clone());
        std::thread::Builder::new()
            .name(format!("serve-{thread}"))
            .spawn(move || {
                runtime.block_on(async { acceptor.run(listener, thread, make(thread)).await });
                // Whatever a handler still does elsewhere must not hold up the end.
                runtime.shutdown_background();
                drop(alive);
            })
            .map_err(ServeError::Thread)?;
    }
    Ok(Server { local, counts, rules, certificate, stop, running })
}

#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod tests;
