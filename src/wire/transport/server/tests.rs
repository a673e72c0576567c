use bytes::Bytes;
use http::{Request, Response};

use crate::wire::transport::body::Body;
use crate::wire::transport::loopback::{raw, serve, serve_with, settings, upstream, whole};
use crate::wire::transport::server::ServeError;

#[tokio::test]
async fn a_body_goes_there_and_back() {
    let server = serve(|request: Request<Body>| async move {
        Response::new(Body::full(whole(request.into_body()).await))
    });
    let upstream = upstream(&server);
    for length in [0, 1, 70_000, 1 << 20] {
        let sent = Bytes::from(vec![b'x'; length]);
        let request = Request::post("/mcp").body(Body::full(sent.clone())).unwrap();
        let answer = upstream.send(request).await.unwrap();
        assert_eq!(whole(answer.into_body()).await, sent);
    }
    assert_eq!(server.counts().accepted.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(server.drain(std::time::Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.threads = Some(threads);
        let first = serve_with(settings.clone(), |_| async { Response::new(Body::empty()) });
        settings.listen = first.local_addr();
        let second = crate::wire::transport::server::serve(settings, |_| Never);
        let Err(ServeError::Bind { address, .. }) = second else { panic!("{second:?}") };
        assert_eq!(address, first.local_addr());
    }
}

#[derive(Clone)]
struct Never;

impl crate::wire::transport::server::Handler for Never {
    async fn handle(
        self,
        _: Request<Body>,
        _: crate::wire::transport::server::ConnectionFacts,
    ) -> Response<Body> {
        Response::new(Body::empty())
    }
}

#[tokio::test]
async fn an_unwinding_handler_is_an_answer_and_is_counted() {
    let server = serve(|_| async { panic!("on purpose") });
    let answer =
        raw(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(server.counts().unwound.load(std::sync::atomic::Ordering::Relaxed), 1);
}
