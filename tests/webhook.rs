//! Notices of approvals and incidents: signed, tried again, bounded, and sent nowhere else.

mod stage;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use stage::{Agent, Asked, Peer, Sidecar, said_to, soon};

const SECRET: &[u8] = b"a secret of thirty-two bytes ...";

/// What a receiver got: path, headers, body.
type Got = (String, HeaderMap, Bytes);

/// A receiver that answers its requests with these statuses in turn, the last one for ever; 0 hangs.
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, count) = watch::channel(0);
        let (got, sender) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::new(sender));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (kept, sender) = (Arc::clone(&kept), Arc::clone(&sender));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, sender) = (Arc::clone(&kept), Arc::clone(&sender));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let number = {
                            let mut kept = kept.lock().unwrap();
                            kept.push((head.uri.path().to_owned(), head.headers, body));
                            kept.len()
                        };
                        sender.send_replace(number);
                        let status = statuses[(number - 1).min(statuses.len() - 1)];
                        if status == 0 {
                            std::future::pending::<()>().await;
                        }
                        let answer =
                            Response::builder().status(status).header("location", "/stolen");
                        Ok::<_, Infallible>(answer.body(Empty::<Bytes>::new()).unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        Self { address, got, count }
    }

    async fn got(&mut self, requests: usize) -> Vec<Got> {
        soon("notices", self.count.wait_for(|count| *count >= requests)).await.unwrap();
        self.got.lock().unwrap().clone()
    }
}

fn booking(argument: Option<&str>) -> Value {
    let mut input = json!({ "flight": { "type": "string" } });
    let mut required = vec!["flight"];
    if let Some(argument) = argument {
        input[argument] = json!({ "type": "boolean", "default": false });
        required.push(argument);
    }
    json!([{
        "name": "book_flight", "description": "Books a seat.",
        "inputSchema": { "type": "object", "properties": input, "required": required },
    }])
}

/// A sidecar that tells this receiver, in front of a peer whose write waits for a person.
async fn waiting(
    receiver: &Receiver,
    more: &str,
    state: &std::path::Path,
) -> (Peer, Sidecar, Agent) {
    let peer = Peer::start(booking(None), |asked: &Asked| asked.result("{}")).await;
    let config = state.join("stipula.yaml");
    let text = format!(
        "webhook: {{ url: \"http://{}/hooks/stipula\", secret: \"${{env:HOOK_SECRET}}\", backoff_ms: 20, {more} }}\n",
        receiver.address
    );
    std::fs::write(&config, text).unwrap();
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    let arguments = ["--config", config.to_str().unwrap()];
    let sidecar = Sidecar::start_with(&peer, state, &arguments, &[("HOOK_SECRET", &secret)]).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    assert!(agent.call("book_flight", &json!({ "flight": "CANARY-1" })).await.structured().is_ok());
    peer.change(booking(Some("notify")), |asked: &Asked| asked.rejected("missing property notify"));
    let said = agent.call("book_flight", &json!({ "flight": "CANARY-2" })).await;
    assert_eq!(said.error().0, -31007);
    (peer, sidecar, agent)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers[name].to_str().unwrap()
}

async fn outcomes(sidecar: &Sidecar, outcome: &str) -> f64 {
    sidecar.metric(&format!("stipula_webhooks_total{{outcome=\"{outcome}\"}}")).await
}

async fn until_outcome(sidecar: &Sidecar, outcome: &str, least: f64) {
    soon(outcome, async { while outcomes(sidecar, outcome).await < least {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_signed_and_tried_again_until_it_is_taken() {
    let mut receiver = Receiver::start(&[503, 500, 204]).await;
    let state = tempfile::tempdir().unwrap();
    let (_peer, sidecar, _agent) = waiting(&receiver, "", state.path()).await;
    let got = receiver.got(3).await;
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    for (path, headers, body) in &got[..3] {
        assert_eq!(path, "/hooks/stipula");
        let (id, at) = (header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
        let signature = header(headers, "webhook-signature").strip_prefix("v1,").unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
        hmac::verify(&key, &signed, &signature).unwrap();
        assert!(hmac::verify(&key, &[&signed[..], b"x"].concat(), &signature).is_err());
        assert!(at.parse::<u64>().unwrap() > 1_600_000_000, "{at}");
    }
    // It is one notice in three tries, and it tells no payload.
    assert!(got[..3].iter().all(|(_, headers, body)| {
        header(headers, "webhook-id") == header(&got[0].1, "webhook-id") && *body == got[0].2
    }));
    let told: Value = serde_json::from_slice(&got[0].2).unwrap();
    assert_eq!(told["type"], "approval.waiting", "{told}");
    assert_eq!(
        (&told["data"]["peer"], &told["data"]["tool"]),
        (&json!("flights"), &json!("book_flight"))
    );
    assert!(told["data"]["drift_id"].is_string() && told["data"]["contract"].is_string(), "{told}");
    let all: Vec<u8> = got.iter().flat_map(|(_, _, body)| body.to_vec()).collect();
    assert!(!String::from_utf8(all).unwrap().contains("CANARY"));
    until_outcome(&sidecar, "delivered", 1.0).await;
    assert_eq!(
        (outcomes(&sidecar, "retried").await, outcomes(&sidecar, "failed").await),
        (2.0, 0.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_a_slow_receiver_holds_up_nobody() {
    let mut redirecting = Receiver::start(&[307]).await;
    let state = tempfile::tempdir().unwrap();
    let (_peer, sidecar, _agent) = waiting(&redirecting, "", state.path()).await;
    redirecting.got(1).await;
    until_outcome(&sidecar, "failed", 1.0).await;
    assert_eq!(outcomes(&sidecar, "retried").await, 0.0, "it is given up at once");
    let got = redirecting.got(1).await;
    assert!(got.iter().all(|(path, ..)| path == "/hooks/stipula"), "{got:?}");

    // One is being sent, one waits, and what is more than that is dropped.
    let hanging = Receiver::start(&[0]).await;
    let state = tempfile::tempdir().unwrap();
    let more = "queue: 1, timeout_ms: 60000";
    let (peer, sidecar, mut agent) = waiting(&hanging, more, state.path()).await;
    for round in 0..4 {
        let name = format!("notify_{round}");
        let tools = booking(Some(&name));
        peer.change(tools, |asked: &Asked| asked.rejected("missing property"));
        let said = agent.call("book_flight", &json!({ "flight": "CANARY-3" })).await;
        assert_eq!(said.error().0, -31007);
        sidecar
            .until("it is looked at again", |status| status["waiting"].to_string().contains(&name))
            .await;
    }
    until_outcome(&sidecar, "dropped", 1.0).await;
    assert_eq!(outcomes(&sidecar, "delivered").await, 0.0);
}

/// Puts another text in force.
async fn reload(sidecar: &Sidecar, text: &str) {
    std::fs::write(sidecar.state.join("stipula.yaml"), text).unwrap();
    let token = std::fs::read_to_string(sidecar.state.join("admin.token")).unwrap();
    let request =
        Request::post("/api/v1/reload").header("authorization", format!("Bearer {}", token.trim()));
    let request = request.body(Full::default()).unwrap();
    let (status, said) = soon("a reload", said_to(sidecar.admin, request)).await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_receiver_is_told_after_a_reload_and_then_nobody() {
    let (mut first, mut second) = (Receiver::start(&[204]).await, Receiver::start(&[204]).await);
    let state = tempfile::tempdir().unwrap();
    let (peer, sidecar, mut agent) = waiting(&first, "", state.path()).await;
    first.got(1).await;
    until_outcome(&sidecar, "delivered", 1.0).await;
    let before = first.got(1).await.len();
    let mut changes = async |name: &str| {
        peer.change(booking(Some(name)), |asked: &Asked| asked.rejected("missing property"));
        let said = agent.call("book_flight", &json!({ "flight": "F" })).await;
        assert_eq!(said.error().0, -31007);
        sidecar.until("it waits", |status| status["waiting"].to_string().contains(name)).await;
    };
    let url = format!("http://{}/other", second.address);
    reload(&sidecar, &format!("webhook: {{ url: \"{url}\", secret: \"${{env:HOOK_SECRET}}\" }}\n"))
        .await;
    changes("notify_two").await;
    let got = second.got(1).await;
    assert_eq!(got[0].0, "/other");
    assert_eq!(first.got(1).await.len(), before, "the first one is told no more");
    until_outcome(&sidecar, "delivered", 1.0 + before as f64).await;
    let told = outcomes(&sidecar, "delivered").await;
    reload(&sidecar, "{}\n").await;
    changes("notify_three").await;
    let counted = ["delivered", "retried", "failed", "dropped"];
    let mut sum = 0.0;
    for outcome in counted {
        sum += outcomes(&sidecar, outcome).await;
    }
    assert_eq!(sum, told, "nobody is told");
}
