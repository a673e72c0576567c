//! The measure: a reverse proxy that does nothing but what every one must (hop-by-hop headers, a
//! pool of connections to the peer), on hyper alone.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response};
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
    mut request: Request<Incoming>,
) -> Result<Response<Streamed>, hyper::Error> {
    strip(request.headers_mut());
    let pooled = idle.borrow_mut().pop();
    let mut sender = match pooled.filter(|sender| !sender.is_closed()) {
        Some(sender) => sender,
        None => dial(peer).await?,
    };
    sender.ready().await?;
    let mut response = sender.send_request(request).await?;
    strip(response.headers_mut());
    // The sender waits until the answer before it was read; it can be kept at once.
    idle.borrow_mut().insert(0, sender);
    Ok(response.map(|body| body.boxed_unsync()))
}

/// RFC 9110, 7.6.1; nobody names more of them in `Connection` here.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

async fn dial(peer: SocketAddr) -> Result<SendRequest<Incoming>, hyper::Error> {
    let stream = TcpStream::connect(peer).await.expect("the peer listens");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}
