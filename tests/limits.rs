//! What the real binary bears: too little memory, too few file descriptors, a certificate that is
//! replaced while it runs.

mod stage;

use std::path::Path;

use serde_json::json;
use stage::{Agent, Peer, Sidecar, soon, text_of};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn peer() -> Peer {
    let tool = json!({
        "name": "echo",
        "inputSchema": { "type": "object" },
        "outputSchema": { "type": "object" },
        "annotations": { "readOnlyHint": true },
    });
    Peer::start(json!([tool]), |asked| asked.result("{}")).await
}

/// A configuration file that says this.
fn told(directory: &Path, text: &str) -> String {
    let file = directory.join("stipula.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_memory_it_says_so_and_lives() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    // Any process holds more than that.
    let config = told(state.path(), "limits: { memory_bytes: 1048576 }\n");
    let sidecar = Sidecar::start_with(&peer, state.path(), &["--config", &config], &[]).await;
    for _ in 0..3 {
        let mut agent = Agent::unopened(sidecar.proxy).await;
        let said = agent.ask("ping", &json!({})).await;
        assert_eq!((said.status, &said.headers["retry-after"]), (503, &"1".parse().unwrap()));
        assert_eq!(said.json()["error"]["code"], -32603);
    }
    assert_eq!(text_of(sidecar.admin, "/healthz").await.0, 200);
    assert_eq!(sidecar.metric("stipula_limits_total{limit=\"memory\"}").await, 3.0);
    sidecar.stop().await;
}

/// Connections that each asked something, answered or not.
async fn crowd(sidecar: &Sidecar, count: usize) -> Vec<TcpStream> {
    let ask = format!("GET /mcp HTTP/1.1\r\nhost: {}\r\n\r\n", sidecar.proxy);
    let mut crowd = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(sidecar.proxy).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        crowd.push(stream);
    }
    crowd
}

#[tokio::test]
async fn without_file_descriptors_it_waits_and_serves_again() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut before = Agent::connect(sidecar.proxy).await;
    assert!(before.call("echo", &json!({})).await.structured().is_ok());
    // Open from now on: once nothing can be accepted, there is no other way to ask.
    let mut admin = TcpStream::connect(sidecar.admin).await.unwrap();
    admin.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    admin.read_exact(&mut [0; 12]).await.unwrap();
    sidecar.leave_descriptors(8);
    let crowd = crowd(&sidecar, 40).await;
    soon("a connection that cannot be accepted", async {
        let metric = b"stipula_limits_total{limit=\"file_descriptors\"} ";
        loop {
            admin.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            let mut text = Vec::new();
            let bit = loop {
                admin.read_buf(&mut text).await.unwrap();
                let at = text.windows(metric.len()).position(|window| window == metric);
                if let Some(value) = at.and_then(|at| text.get(at + metric.len())) {
                    break *value != b'0';
                }
            };
            if bit {
                return;
            }
            // The rest of the page, up to its last metric.
            while !text.windows(24).any(|window| window == b"stipula_violations_total") {
                admin.read_buf(&mut text).await.unwrap();
            }
        }
    })
    .await;
    drop(crowd);
    // Those who left are accepted and found gone first; until then the peer may be out of reach.
    let open = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "agent", "version": "1" },
    });
    let mut after = soon("a session", async {
        loop {
            let mut agent = Agent::unopened(sidecar.proxy).await;
            let opened = agent.try_ask("initialize", &open).await;
            let session =
                opened.ok().and_then(|opened| opened.headers.get("mcp-session-id").cloned());
            if let Some(session) = session {
                agent.session = Some(session.to_str().unwrap().to_owned());
                return agent;
            }
        }
    })
    .await;
    for agent in [&mut before, &mut after] {
        soon("an answer of the peer", async {
            while agent.call("echo", &json!({})).await.structured().is_err() {}
        })
        .await;
    }
    assert_eq!(text_of(sidecar.admin, "/healthz").await.0, 200);
    sidecar.stop().await;
}

#[tokio::test]
async fn with_few_file_descriptors_there_are_fewer_connections_and_the_admin_answers() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let mut sidecar = Sidecar::start_poor(&peer, state.path(), 128).await;
    assert!(sidecar.said().iter().any(|line| line.contains("too few file descriptors")));
    let crowd = crowd(&sidecar, 200).await;
    for _ in 0..20 {
        assert_eq!(text_of(sidecar.admin, "/healthz").await.0, 200);
    }
    assert_eq!(sidecar.metric("stipula_limits_total{limit=\"file_descriptors\"}").await, 0.0);
    drop(crowd);
    let mut after = Agent::connect(sidecar.proxy).await;
    assert!(after.call("echo", &json!({})).await.structured().is_ok());
    sidecar.told("sealed").await;
    sidecar.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_in_force_without_a_restart() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let (chain, key) = (state.path().join("chain.pem"), state.path().join("key.pem"));
    let certify = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    };
    certify();
    let tls = json!({ "certificates": chain, "key": key });
    let config = told(state.path(), &format!("proxy: {{ tls: {tls} }}\n"));
    let mut sidecar = Sidecar::start_with(&peer, state.path(), &["--config", &config], &[]).await;
    let whole = std::fs::read(&chain).unwrap();
    std::fs::write(&chain, &whole[..100]).unwrap();
    sidecar.told("the certificate in force is kept").await;
    certify();
    sidecar.told("the certificate was replaced").await;
    sidecar.stop().await;
}
