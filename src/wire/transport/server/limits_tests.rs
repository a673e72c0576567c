//! What a listener bears: connections of one address, memory that runs short, HTTP/2 that carries
//! nothing, heads that contradict themselves, certificates that are replaced.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{House, Server, Settings, TlsFiles};
use crate::telemetry::Metrics;
use crate::wire::transport::body::Body;
use crate::wire::transport::loopback::{Function, serve, serve_with, settings, whole};
use crate::wire::transport::pressure::Pressure;
use crate::wire::transport::upstream::{self, Endpoint, SendError, Upstream};

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn watched(settings: Settings) -> (Server, Metrics, Pressure) {
    let house = House { metrics: Some(Metrics::new()), pressure: Pressure::default() };
    let (metrics, pressure) = (house.metrics.clone().unwrap(), house.pressure.clone());
    let handler = Function::new(|_| async { Response::new(Body::empty()) });
    let server = super::serve(settings, house, move |_| handler.clone()).unwrap();
    (server, metrics, pressure)
}

/// Asks on a connection, and reads the head of the answer.
async fn status(stream: &mut TcpStream) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    String::from_utf8(answer[9..12].to_vec()).unwrap()
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addr()).await.unwrap()
}

fn bit(metrics: &Metrics, limit: &str) -> bool {
    metrics.render().contains(&format!("stipula_limits_total{{limit=\"{limit}\"}} 1\n"))
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let (server, metrics, _) = watched(Settings { connections_per_address: 2, ..settings() });
    let (mut one, mut two) = (connect(&server).await, connect(&server).await);
    assert_eq!((status(&mut one).await, status(&mut two).await), ("200".into(), "200".into()));
    let mut three = connect(&server).await;
    three.write_all(ASK).await.unwrap();
    let mut told = String::new();
    three.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 1\r\n"), "{told}");
    assert!(told.contains("\"message\":\"too many connections from this address"), "{told}");
    assert!(bit(&metrics, "connections_per_address"));
    assert_eq!(server.counts().turned_away.load(Ordering::Relaxed), 1);
    // Another address of this machine has places of its own.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(server.local_addr()).await.unwrap();
    assert_eq!(status(&mut other).await, "200");
    drop(one);
    let again = async {
        loop {
            let mut stream = connect(&server).await;
            stream.write_all(ASK).await.unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            if answer.ends_with(b"200") {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), again).await.unwrap();
}

#[tokio::test]
async fn while_memory_is_short_nobody_new_is_let_in() {
    let (server, metrics, pressure) = watched(settings());
    let mut inside = connect(&server).await;
    assert_eq!(status(&mut inside).await, "200");
    pressure.tell(85, 100);
    let mut late = connect(&server).await;
    assert_eq!(status(&mut late).await, "503");
    assert_eq!(status(&mut inside).await, "200");
    assert!(bit(&metrics, "memory"));
    pressure.tell(84, 100);
    assert_eq!(status(&mut connect(&server).await).await, "200");
    assert!(metrics.render().contains("stipula_connections_total 2\n"));
}

#[tokio::test]
async fn http2_that_carries_nothing_is_cut() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], b"stipula!"].concat();
    let unknown = [&[0, 0, 8, 0xee, 0, 0, 0, 0, 0][..], b"stipula!"].concat();
    let priority = [&[0, 0, 5, 2, 0, 0, 0, 0, 1][..], &[0, 0, 0, 0, 9]].concat();
    for frame in [ping, unknown, priority] {
        let (server, metrics, _) = watched(settings());
        let (mut reading, mut writing) = connect(&server).await.into_split();
        let answers = tokio::spawn(async move {
            let mut some = vec![0; 64 * 1024];
            while matches!(reading.read(&mut some).await, Ok(1..)) {}
        });
        writing.write_all(PREFACE).await.unwrap();
        let many = frame.repeat(1000);
        let mut sent = 0;
        while writing.write_all(&many).await.is_ok() {
            sent += many.len();
            assert!(sent < 64 << 20, "{frame:?} goes on");
        }
        answers.await.unwrap();
        let counts = Arc::clone(server.counts());
        server.drain(std::time::Duration::from_secs(10)).await;
        assert_eq!(counts.flooded.load(Ordering::Relaxed), 1, "{frame:?}");
        assert!(bit(&metrics, "overhead_bytes"));
    }
}

async fn http2_to(address: SocketAddr) -> http2::SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stream = TokioIo::new(stream);
    let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(driver);
    sender
}

#[tokio::test]
async fn http2_that_carries_much_is_served() {
    let server = serve(|request: Request<Body>| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        Response::new(Body::full(whole(request.into_body()).await))
    });
    let mut sender = http2_to(server.local_addr()).await;
    let large = Bytes::from(vec![b'x'; 8 << 20]);
    for body in [large, Bytes::from_static(b"x")].into_iter().cycle().take(4) {
        let request = Request::post("http://localhost/").body(Body::full(body.clone())).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(whole(Body::incoming(answer.into_body(), None, None)).await, body);
    }
    for _ in 0..2000 {
        let request = Request::get("http://localhost/").body(Body::empty()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
    assert_eq!(server.counts().flooded.load(Ordering::Relaxed), 0);
    assert_eq!(server.counts().accepted.load(Ordering::Relaxed), 1);
}

/// A target, headers, and the status that they get.
type Head = (&'static str, &'static [(&'static str, &'static str)], u16);

#[tokio::test]
async fn http2_heads_that_contradict_themselves_are_refused() {
    let server = serve(|_| async { Response::new(Body::empty()) });
    let mut sender = http2_to(server.local_addr()).await;
    let rows: &[Head] = &[
        ("http://localhost/", &[], 200),
        ("http://localhost/", &[("host", "LOCALHOST")], 200),
        ("http://localhost/", &[("host", "evil.example")], 400),
        ("http://localhost/", &[("host", "localhost:1")], 400),
        ("http://localhost/", &[("host", "localhost"), ("host", "localhost")], 400),
        ("http://evil.example/", &[], 421),
        ("http://evil.example/", &[("host", "localhost")], 400),
        ("http://localhost/", &[("x-a", " b")], 400),
        ("http://localhost/", &[("x-a", "b\t")], 400),
        ("http://localhost/", &[("x-a", "a b")], 200),
        ("http://localhost/", &[("mcp-name", "a"), ("mcp-name", "b")], 400),
        ("http://localhost/", &[("origin", "https://evil.example")], 403),
    ];
    for (target, headers, expected) in rows {
        let mut request = Request::get(*target);
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let answer = sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), *expected, "{target} {headers:?}");
    }
    let tunnel = Request::connect("localhost:1").body(Body::empty()).unwrap();
    assert_eq!(sender.send_request(tunnel).await.unwrap().status(), 400);
}

/// A new certificate in these files; its own authority.
fn certify(chain: &Path, key: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(chain, made.cert.pem()).unwrap();
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

/// Asks over a connection of its own, trusting this certificate alone.
async fn trusting(server: &Server, authority: &str) -> Result<Upstream, SendError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority).unwrap();
    let url = format!("https://localhost:{}/", server.local_addr().port());
    let authorities = Some(file.path().to_owned());
    let settings = upstream::Settings { authorities, ..Default::default() };
    let upstream = Upstream::new(Arc::new(Endpoint::new(&url, settings).unwrap()));
    ask(&upstream).await.map(|()| upstream)
}

async fn ask(upstream: &Upstream) -> Result<(), SendError> {
    let answer = upstream.send(Request::get("/").body(Body::empty()).unwrap()).await?;
    assert_eq!(answer.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_shown_and_a_bad_one_is_not() {
    let files = tempfile::tempdir().unwrap();
    let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
    let first = certify(&chain, &key);
    let tls = Some(TlsFiles { certificates: chain.clone(), key: key.clone() });
    let server =
        serve_with(Settings { tls, ..settings() }, |_| async { Response::new(Body::empty()) });
    let shown = Arc::clone(server.certificate().unwrap());
    let old = trusting(&server, &first).await.unwrap();
    assert!(!shown.look().unwrap());
    let second = certify(&chain, &key);
    assert!(shown.look().unwrap());
    assert!(trusting(&server, &first).await.unwrap_err().why.contains("TLS"));
    let new = trusting(&server, &second).await.unwrap();
    // Whoever was connected before stays connected.
    ask(&old).await.unwrap();
    // A key of another certificate, half a file, no file: what was shown is still shown.
    let kept = std::fs::read(&key).unwrap();
    let half = std::fs::read(&chain).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    assert!(shown.look().unwrap_err().to_string().contains("key"));
    std::fs::write(&key, &kept).unwrap();
    std::fs::write(&chain, &half[..half.len() / 2]).unwrap();
    assert!(shown.look().is_err());
    std::fs::remove_file(&chain).unwrap();
    assert!(shown.look().unwrap_err().to_string().contains("chain.pem"));
    assert!(trusting(&server, &second).await.is_ok());
    ask(&new).await.unwrap();
    let third = certify(&chain, &key);
    assert!(shown.look().unwrap());
    assert!(trusting(&server, &third).await.is_ok());
}
