//! Spans as a collector receives them.

use super::*;

#[test]
fn only_well_formed_trace_context_is_a_parent() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    for (text, expected) in [
        (format!("00-{trace}-{span}-01"), Some(true)),
        (format!("00-{trace}-{span}-00"), Some(false)),
        (format!("00-{trace}-{span}-03"), Some(true)),
        (format!("cc-{trace}-{span}-01-what-comes"), Some(true)),
        (format!("00-{trace}-{span}-01-more"), None),
        (format!("ff-{trace}-{span}-01"), None),
        (format!("00-{}-{span}-01", "0".repeat(32)), None),
        (format!("00-{trace}-{}-01", "0".repeat(16)), None),
        (format!("00-{}-{span}-01", trace.to_uppercase()), None),
        (format!("00-{trace}-{span}"), None),
        ("é".to_owned(), None),
        (String::new(), None),
    ] {
        let sampled = parse_traceparent(&text).map(|context| context.is_sampled());
        assert_eq!(sampled, expected, "{text}");
    }
}

#[test]
fn a_tracer_that_is_off_starts_nothing() {
    assert!(Tracer::off().start(None, None).is_none());
}

/// Takes one batch of spans on a socket of its own, and hands out its bytes.
async fn collector() -> (String, tokio::task::JoinHandle<Vec<u8>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let taken = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let head = loop {
            assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
            if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
                break end;
            }
        };
        let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        while read.len() < head + 4 + length {
            assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        read.split_off(head + 4)
    });
    (url, taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_the_collector_under_the_right_parents() {
    let (url, taken) = collector().await;
    let tracer = Tracer::to_collector(&url, &Handle::current()).unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let (above, sent) = {
        let header = format!("00-{trace}-b7ad6b7169203331-01");
        let exchange = tracer.start(Some(&header), None).unwrap();
        exchange.called("tools/call", Some("search_flights"));
        let invoke = exchange.child(names::INVOKE);
        let external = invoke.external(&PeerId::from("flights"));
        let mut headers = HeaderMap::new();
        external.inject(&mut headers);
        (exchange.traceparent(), headers["traceparent"].to_str().unwrap().to_owned())
    };
    tracer.shutdown().await;
    let body = taken.await.unwrap();
    for text in ["tools/call search_flights", names::INVOKE, "external.flights", names::SCOPE] {
        assert!(memchr::memmem::find(&body, text.as_bytes()).is_some(), "{text}");
    }
    // Trace and span ids travel as raw bytes: the parent of the exchange is the agent's span, and the
    // span that the peer was told stands in the batch itself.
    for id in [trace, "b7ad6b7169203331", &above[36..52], &sent[36..52]] {
        let bytes = hex::decode(id).unwrap();
        assert!(memchr::memmem::find(&body, &bytes).is_some(), "{id}");
    }
    assert_ne!(above[36..52], sent[36..52]);
}
