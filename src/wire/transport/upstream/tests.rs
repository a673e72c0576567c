use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Endpoint, EndpointError, SendError, Sent, Settings, Upstream, is_event_stream};
use crate::wire::transport::body::{Body, BodyError};
use crate::wire::transport::loopback::{serve, serve_with, settings, upstream, whole};
use crate::wire::transport::server::TlsFiles;

fn post(text: &'static str) -> Request<Body> {
    Request::post("/mcp?x=1").body(Body::full(Bytes::from_static(text.as_bytes()))).unwrap()
}

fn to(url: String, settings: Settings) -> Upstream {
    Upstream::new(Arc::new(Endpoint::new(&url, settings).unwrap()))
}

/// A peer that is a script: it gets each connection, with its number.
async fn scripted<F, A>(script: F) -> Upstream
where
    F: Fn(usize, TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(number, stream));
        }
    });
    to(url, Settings::default())
}

/// Reads one request, with a body of two bytes.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n{}") {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn connections_are_used_again_and_heads_are_ours() {
    let server = serve(|request: Request<Body>| async move {
        let (head, _) = request.into_parts();
        let mut response = Response::new(Body::full(format!("{head:?}").into()));
        response.headers_mut().insert("keep-alive", HeaderValue::from_static("timeout=5"));
        response
    });
    let upstream = upstream(&server);
    for _ in 0..5 {
        let mut request = post("{}");
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("accept-encoding", "gzip"),
            ("x-stays", "2"),
        ] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let answer = upstream.send(request).await.unwrap();
        assert!(!answer.headers().contains_key("keep-alive"));
        let told = String::from_utf8(whole(answer.into_body()).await.to_vec()).unwrap();
        assert!(told.contains("/mcp?x=1") && told.contains("x-stays") && told.contains("identity"));
        assert!(told.contains(&server.local_addr().to_string()), "{told}");
        assert!(!told.contains("x-hop") && !told.contains("trailers") && !told.contains("gzip"));
    }
    assert_eq!(server.counts().accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_stale_connection_that_took_nothing_is_replaced() {
    let (closed, mut closes) = mpsc::channel(1);
    let upstream = scripted(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            drop(stream);
            closed.send(()).await.unwrap();
        }
    })
    .await;
    for _ in 0..3 {
        let answer = upstream.send(post("{}")).await.unwrap();
        assert_eq!(whole(answer.into_body()).await, "ok");
        closes.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_had_left_is_not_sent_again() {
    let (told, mut requests) = mpsc::channel(4);
    let upstream = scripted(move |number, mut stream| {
        let told = told.clone();
        async move {
            read_request(&mut stream).await;
            told.send(number).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            read_request(&mut stream).await;
            told.send(number).await.unwrap();
        }
    })
    .await;
    whole(upstream.send(post("{}")).await.unwrap().into_body()).await;
    let failed = upstream.send(post("{}")).await.unwrap_err();
    assert_eq!((failed.sent, failed.unreachable), (Sent::Something, false), "{failed}");
    assert_eq!((requests.recv().await, requests.recv().await), (Some(0), Some(0)));
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_is_not_there_took_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let SendError { sent, unreachable, .. } =
        to(url, Settings::default()).send(post("{}")).await.unwrap_err();
    assert_eq!((sent, unreachable), (Sent::Nothing, true));
}

/// Tells when it is dropped.
struct Gone(mpsc::UnboundedSender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn leaving_is_told_to_the_peer() {
    for (http2, head_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let (started, mut starts) = mpsc::unbounded_channel();
        let (told, mut leaves) = mpsc::unbounded_channel();
        let server = serve(move |_| {
            let (started, gone) = (started.clone(), Gone(told.clone()));
            async move {
                started.send(()).unwrap();
                if !head_first {
                    std::future::pending::<()>().await;
                }
                let (sender, body) = Body::channel(1);
                tokio::spawn(async move {
                    sender.closed().await;
                    drop(gone);
                });
                Response::new(body)
            }
        });
        let url = format!("http://{}/", server.local_addr());
        let upstream = to(url, Settings { http2, ..Settings::default() });
        let asking = tokio::spawn({
            let upstream = upstream.clone();
            async move { upstream.send(post("{}")).await.unwrap() }
        });
        starts.recv().await.unwrap();
        if head_first {
            drop(asking.await.unwrap());
        } else {
            asking.abort();
        }
        let left = tokio::time::timeout(Duration::from_secs(20), leaves.recv()).await;
        assert_eq!(left, Ok(Some(())), "http2 {http2}, head first {head_first}");
    }
}

#[tokio::test]
async fn a_reply_that_stalls_is_broken_off_and_a_stream_is_not() {
    let release = Arc::new(tokio::sync::Notify::new());
    let released = Arc::clone(&release);
    let server = serve(move |request: Request<Body>| {
        let released = Arc::clone(&released);
        async move {
            let (sender, body) = Body::channel(1);
            let events = request.uri().path() == "/events";
            tokio::spawn(async move {
                if events {
                    released.notified().await;
                    let _ = sender.send(Bytes::from_static(b"data: x\n\n")).await;
                } else {
                    sender.closed().await;
                }
            });
            let mut response = Response::new(body);
            let kind = if events { "text/event-stream; charset=utf-8" } else { "application/json" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
    });
    let quick = Settings { progress_window: Duration::from_millis(50), ..Settings::default() };
    let upstream = to(format!("http://{}/", server.local_addr()), quick);
    let stream = Request::get("/events").body(Body::empty()).unwrap();
    let events = upstream.send(stream).await.unwrap().into_body();
    let events = tokio::spawn(whole(events));
    let mut body = upstream.send(post("{}")).await.unwrap().into_body();
    assert!(matches!(body.next_data().await, Err(BodyError::TooSlow)));
    release.notify_one();
    assert_eq!(events.await.unwrap(), "data: x\n\n");
}

#[tokio::test]
async fn a_reply_with_a_hostile_head_is_an_error() {
    let heads = ["X-A: b\r\n".repeat(101), format!("X-A: {}\r\n", "b".repeat(40_000))];
    for head in heads {
        let upstream = scripted(move |_, mut stream| {
            let head = head.clone();
            async move {
                read_request(&mut stream).await;
                let answer = format!("HTTP/1.1 200 OK\r\n{head}content-length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        assert_eq!(upstream.send(post("{}")).await.unwrap_err().sent, Sent::Something);
    }
}

#[tokio::test]
async fn tls_speaks_http2_both_ways() {
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut listening = settings();
    listening.tls = Some(TlsFiles { certificates: chain.clone(), key });
    let server = serve_with(listening, |request: Request<Body>| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        Response::new(Body::full(whole(request.into_body()).await))
    });
    let url = format!("https://localhost:{}/mcp", server.local_addr().port());
    let trusting = Settings { authorities: Some(chain), ..Settings::default() };
    let upstream = to(url.clone(), trusting);
    let asked = (0..20)
        .map(|_| async { whole(upstream.send(post("{}")).await.unwrap().into_body()).await });
    assert!(futures_util::future::join_all(asked).await.iter().all(|body| body == "{}"));
    whole(upstream.send(post("{}")).await.unwrap().into_body()).await;
    let strange = to(url, Settings::default()).send(post("{}")).await.unwrap_err();
    assert!(strange.unreachable && strange.why.contains("TLS"), "{strange}");
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_once_with_method_and_body() {
    let (own, asked) = (Arc::new(std::sync::OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let (host, count) = (Arc::clone(&own), Arc::clone(&asked));
    let server = serve(move |request: Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        let (status, to) = match request.uri().path_and_query().unwrap().as_str() {
            "/slash" => (307, "/slash/".to_owned()),
            "/moved" => (308, format!("http://{}/slash/?y=2", host.get().unwrap())),
            "/scheme" => (307, format!("https://{}/slash/", host.get().unwrap())),
            "/away" => (307, "http://127.0.0.1:9/slash/".to_owned()),
            "/round" => (307, "/round".to_owned()),
            "/found" => (302, "/slash/".to_owned()),
            "/nowhere" => (307, "%".to_owned()),
            _ => (200, String::new()),
        };
        async move {
            let told = format!("{} {}", request.method(), request.uri());
            let body = whole(request.into_body()).await;
            let mut answer =
                Response::new(Body::full([told.as_bytes(), b" ", &body].concat().into()));
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
            if !to.is_empty() {
                answer.headers_mut().insert("location", to.parse().unwrap());
            }
            answer
        }
    });
    own.set(server.local_addr().to_string()).unwrap();
    let at = |path| to(format!("http://{}{path}", server.local_addr()), Settings::default());
    for (path, status, told, times) in [
        ("/slash", 200, "POST /slash/ {}", 2),
        ("/moved", 200, "POST /slash/?y=2 {}", 2),
        ("/scheme", 200, "POST /slash/ {}", 2),
        ("/away", 307, "POST /away {}", 1),
        ("/round", 307, "POST /round {}", 2),
        ("/found", 302, "POST /found {}", 1),
        ("/nowhere", 307, "POST /nowhere {}", 1),
    ] {
        let upstream = at(path);
        // Each time: it is the peer who says where, and it may say otherwise tomorrow.
        for _ in 0..2 {
            let before = asked.load(Ordering::Relaxed);
            let request = Request::post(path).body(Body::full(Bytes::from_static(b"{}"))).unwrap();
            let answer = upstream.send(request).await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(whole(answer.into_body()).await, told);
            assert_eq!(asked.load(Ordering::Relaxed) - before, times, "{path}");
        }
    }
    // A body that streams is gone, and another path is none of our business.
    let upstream = at("/slash");
    let (sender, body) = Body::channel(1);
    sender.send(Bytes::from_static(b"{}")).await.unwrap();
    drop(sender);
    let answer = upstream.send(Request::post("/slash").body(body).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 307);
    let answer = upstream.send(Request::get("/away").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 307);
}

#[test]
fn a_url_that_cannot_be_dialled_says_why() {
    for (url, expected) in [
        ("/mcp", "no scheme"),
        ("ftp://h/", "neither"),
        ("http://u:p@h/", "credentials"),
        ("http://", ""),
        ("https:///x", ""),
    ] {
        let Err(EndpointError::Url { why, .. }) = Endpoint::new(url, Settings::default()) else {
            panic!("{url} was taken")
        };
        assert!(why.contains(expected), "{url}: {why}");
    }
    let bundle = Settings { authorities: Some("/nonexistent".into()), ..Settings::default() };
    assert!(matches!(Endpoint::new("https://h/", bundle), Err(EndpointError::Tls(_))));
}

#[test]
fn an_event_stream_is_told_by_its_media_type_alone() {
    let rows = [
        ("text/event-stream", true),
        ("Text/Event-Stream;charset=utf-8", true),
        (" text/event-stream ; x=\"a;b\"", true),
        ("text/event-streams", false),
        ("text/event-stream+json", false),
        ("application/json", false),
        ("", false),
    ];
    for (kind, expected) in rows {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        assert_eq!(is_event_stream(&headers), expected, "{kind:?}");
    }
    assert!(!is_event_stream(&HeaderMap::new()));
}
