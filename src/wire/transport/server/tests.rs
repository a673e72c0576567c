use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::wire::transport::body::{Body, BodyError};
use crate::wire::transport::loopback::{raw, serve, serve_with, settings, upstream, whole};
use crate::wire::transport::server::{
    Answering, ConnectionFacts, Handler, House, ServeError, Server,
};

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
    assert_eq!(server.counts().accepted.load(Ordering::Relaxed), 1);
    assert_eq!(server.drain(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.threads = Some(threads);
        let first = serve_with(settings.clone(), |_| async { Response::new(Body::empty()) });
        settings.listen = first.local_addr();
        let second = crate::wire::transport::server::serve(settings, House::default(), |_| Never);
        let Err(ServeError::Bind { address, .. }) = second else { panic!("{second:?}") };
        assert_eq!(address, first.local_addr());
    }
}

#[derive(Clone)]
struct Never;

impl Handler for Never {
    fn connected(&self, _: ConnectionFacts) -> impl Answering {
        tower::service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) })
    }
}

#[tokio::test]
async fn an_unwinding_handler_is_an_answer_and_is_counted() {
    let server = serve(|_| async { panic!("on purpose") });
    let answer =
        raw(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(server.counts().unwound.load(Ordering::Relaxed), 1);
}

/// Answers with the method, the target and the body.
fn echo() -> Server {
    serve(|request: Request<Body>| async move {
        let told = format!("{} {} ", request.method(), request.uri());
        let body = whole(request.into_body()).await;
        Response::new(Body::full([told.as_bytes(), &body].concat().into()))
    })
}

/// What an agent sends, and the status that it gets.
const SHAPES: &[(&str, &str)] = &[
    ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
    ("\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
    ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\n\r\n",
        "200",
    ),
    ("GET / HTTP/1.1\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400"),
    ("GET http://other/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "400",
    ),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "400",
    ),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
    ),
    ("POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "400",
    ),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length:                               1\r\n\r\na",
        "400",
    ),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX-User: a\r\nX_User: b\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX_User: b\r\n\r\n", "200"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nMcp-Name: a\r\nMcp-Name: b\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\nX-A: b\r\n\r\n", "200"),
    (
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "400",
    ),
    ("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n", "400"),
    ("GET / HTTP/1.1\nHost: localhost\n\n", "400"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\rc\r\n\r\n", "400"),
    (
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        "400",
    ),
    ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n", "403"),
];

#[tokio::test]
async fn shapes_that_two_readers_could_understand_differently_are_refused() {
    let server = echo();
    for (text, status) in SHAPES {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.contains("\r\n\r\n") {
            let mut some = [0; 512];
            let length = stream.read(&mut some).await.unwrap();
            assert_ne!(length, 0, "{text:?} gave {answer:?}");
            answer.push_str(std::str::from_utf8(&some[..length]).unwrap());
        }
        assert_eq!(answer.get(9..12), Some(*status), "{text:?} gave {answer:?}");
        if *status == "400" {
            assert!(answer.contains("connection: close"), "{text:?} gave {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_second_request_of_a_connection_is_followed_too() {
    let server = echo();
    let first = "POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n\na\n";
    let chunked = "POST /2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\n\n\r\n0\r\nX: y\r\n\r\n";
    let last = "GET /3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = raw(&server, [first, chunked, last].concat().as_bytes()).await;
    assert_eq!(answer.matches(" 200 OK").count(), 3, "{answer}");
    let bare = last.replace("close\r\n", "close\n");
    let answer = raw(&server, [first, chunked, &bare].concat().as_bytes()).await;
    assert!(answer.contains(" 400 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = echo();
    for (lines, length) in [(101, 1), (1, 40_000)] {
        let line = format!("X-A: {}\r\n", "b".repeat(length));
        let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", line.repeat(lines));
        let answer = raw(&server, head.as_bytes()).await;
        assert!(answer.contains(" 431 "), "{lines} {length} {answer}");
    }
}

/// Sends a part of a request and waits until the server closes.
async fn dribble(server: &Server, part: &str) {
    let closed = tokio::time::timeout(Duration::from_secs(20), raw(server, part.as_bytes()));
    closed.await.expect("the server keeps a silent connection");
}

#[tokio::test]
async fn silent_and_slow_agents_are_closed() {
    let short = Duration::from_millis(40);
    let long = Duration::from_secs(60);
    let rows = [
        ("", [short, long, long]),
        ("GET / HT", [long, short, long]),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n", [long, short, long]),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", [long, long, short]),
        ("PRI * HTTP/2.0\r\n", [long, long, short]),
    ];
    for (part, [first_byte, head, idle]) in rows {
        let mut settings = settings();
        (settings.first_byte, settings.head, settings.idle) = (first_byte, head, idle);
        let server = serve_with(settings, |_| async { Response::new(Body::empty()) });
        dribble(&server, part).await;
        let counts = std::sync::Arc::clone(server.counts());
        server.drain(long).await;
        assert_eq!(counts.timed_out.load(Ordering::Relaxed), 1, "{part:?}");
    }
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_broken_off() {
    let rows = [(40, 60_000), (60_000, 40)];
    for (window, receipt) in rows {
        let mut settings = settings();
        settings.progress_window = Duration::from_millis(window);
        settings.receipt = Duration::from_millis(receipt);
        let (told, mut ends) = mpsc::channel(1);
        let server = serve_with(settings, move |request: Request<Body>| {
            let told = told.clone();
            async move {
                let mut body = request.into_body();
                let end = loop {
                    match body.next_data().await {
                        Ok(Some(_)) => {}
                        end => break end,
                    }
                };
                told.send(end).await.unwrap();
                Response::new(Body::empty())
            }
        });
        dribble(&server, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na").await;
        assert!(matches!(ends.recv().await, Some(Err(BodyError::TooSlow))));
    }
}

#[tokio::test]
async fn a_drain_lets_answers_end_and_cuts_what_does_not() {
    let (started, mut starts) = mpsc::channel(2);
    let server = serve(move |request: Request<Body>| {
        let started = started.clone();
        async move {
            let (sender, body) = Body::channel(1);
            started.send(()).await.unwrap();
            if request.uri().path() == "/ends" {
                tokio::spawn(async move { sender.send(Bytes::from_static(b"end")).await });
            } else {
                tokio::spawn(async move { sender.closed().await });
            }
            Response::new(body)
        }
    });
    let address = server.local_addr();
    let ask = |path: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let ends = tokio::spawn(ask("/ends"));
    let hangs = tokio::spawn(ask("/hangs"));
    starts.recv().await.unwrap();
    starts.recv().await.unwrap();
    assert_eq!(server.drain(Duration::from_millis(200)).await, 1);
    assert!(ends.await.unwrap().ends_with("3\r\nend\r\n0\r\n\r\n"));
    assert!(!hangs.await.unwrap().ends_with("0\r\n\r\n"));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_agent_that_leaves_cancels_its_request() {
    let (started, mut starts) = mpsc::channel(1);
    let (dropped, mut drops) = mpsc::channel::<()>(1);
    let server = serve(move |_| {
        let (started, dropped) = (started.clone(), dropped.clone());
        async move {
            started.send(()).await.unwrap();
            std::future::pending::<()>().await;
            drop(dropped);
            Response::new(Body::empty())
        }
    });
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    starts.recv().await.unwrap();
    drop(stream);
    // The connection ends: a drain that may take long returns at once, and cuts nothing.
    assert_eq!(server.drain(Duration::from_secs(60)).await, 0);
    assert_eq!(drops.recv().await, None);
}
