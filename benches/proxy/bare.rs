//! The measure: a proxy that does nothing but move bytes, on hyper alone, with connections of its
//! own to the peer.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Idle = Rc<RefCell<Vec<SendRequest<Incoming>>>>;
type Streamed = http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>;

/// Serves until the process is ended.
pub(crate) fn serve(peer: SocketAddr) {
    let idle = Idle::default();
    super::process::serve_each(move |stream| {
        let idle = Rc::clone(&idle);
        let service = service_fn(move |request| forward(peer, Rc::clone(&idle), request));
        async move {
            let io = TokioIo::new(stream);
            // A connection that breaks is its client's affair.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        }
    });
}

async fn forward(
    peer: SocketAddr,
    idle: Idle,
    request: Request<Incoming>,
) -> Result<Response<Streamed>, hyper::Error> {
    let pooled = idle.borrow_mut().pop();
    let mut sender = match pooled.filter(|sender| !sender.is_closed()) {
        Some(sender) => sender,
        None => dial(peer).await?,
    };
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    // The sender waits until the answer before it was read; it can be kept at once.
    idle.borrow_mut().insert(0, sender);
    Ok(response.map(|body| body.boxed_unsync()))
}

async fn dial(peer: SocketAddr) -> Result<SendRequest<Incoming>, hyper::Error> {
    let stream = TcpStream::connect(peer).await.expect("the peer listens");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}
