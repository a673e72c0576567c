//! Servers on loopback for the tests of this room.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::body::Body;
use super::budget::{BodyBudget, collect};
use super::server::{self, Answering, ConnectionFacts, Handler, Server};
use super::upstream::{Endpoint, Upstream};

/// A handler that is a function.
pub(crate) struct Function<F>(Arc<F>);

impl<F> Function<F> {
    pub(crate) fn new(answer: F) -> Self {
        Self(Arc::new(answer))
    }
}

impl<F> Clone for Function<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F, A> Handler for Function<F>
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    fn connected(&self, _: ConnectionFacts) -> impl Answering {
        let function = Arc::clone(&self.0);
        tower::service_fn(move |request| function(request).map(Ok::<_, Infallible>))
    }
}

/// One thread, any free port.
pub(crate) fn settings() -> server::Settings {
    server::Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        threads: Some(1),
        ..server::Settings::default()
    }
}

/// Serves with these settings.
pub(crate) fn serve_with<F, A>(settings: server::Settings, answer: F) -> Server
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let handler = Function::new(answer);
    server::serve(settings, server::House::default(), move |_| handler.clone()).unwrap()
}

/// Serves on one thread on any free port.
pub(crate) fn serve<F, A>(answer: F) -> Server
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    serve_with(settings(), answer)
}

/// A way to a server.
pub(crate) fn upstream(server: &Server) -> Upstream {
    let url = format!("http://{}/mcp", server.local_addr());
    Upstream::new(Arc::new(Endpoint::new(&url, Default::default()).unwrap()))
}

/// The whole body.
pub(crate) async fn whole(body: Body) -> Bytes {
    collect(body, 64 << 20, &BodyBudget::default()).await.unwrap().bytes
}

/// Sends raw bytes and reads until the other side closes.
pub(crate) async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
