//! Whose certificate a peer shows: a renewed one is no drift, another name is not the peer.

mod stage;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use stage::{Agent, Asked, Peer, Sidecar, soon};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// An authority that certifies names.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// What a server of this name shows: a new key each time.
    fn certify(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.der().clone()];
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
    }
}

/// TLS in front of a peer. Another certificate ends the connections of the one before.
struct Front {
    port: u16,
    show: watch::Sender<Arc<ServerConfig>>,
    /// Connections that carry bytes.
    open: watch::Receiver<usize>,
}

impl Front {
    async fn start(peer: &Peer, first: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, behind) = (listener.local_addr().unwrap().port(), peer.address);
        let (show, shown) = watch::channel(first);
        let (count, open) = watch::channel(0);
        let count = Arc::new(count);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (mut shown, count) = (shown.clone(), Arc::clone(&count));
                let config = Arc::clone(&shown.borrow_and_update());
                tokio::spawn(async move {
                    let accepted = TlsAcceptor::from(config).accept(socket).await;
                    let Ok(mut inside) = accepted else { return };
                    let mut outside = TcpStream::connect(behind).await.unwrap();
                    count.send_modify(|count| *count += 1);
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                        _ = shown.changed() => {}
                    }
                    drop(inside);
                    count.send_modify(|count| *count -= 1);
                });
            }
        });
        Self { port, show, open }
    }

    /// From now on it shows this, and nobody is connected by what it showed before.
    async fn show(&mut self, config: Arc<ServerConfig>) {
        self.show.send_replace(config);
        soon("no connection", self.open.wait_for(|open| *open == 0)).await.unwrap();
    }
}

/// Calls until it is answered: a connection that was cut may break one call.
async fn answered(agent: &mut Agent) {
    soon("an answer", async {
        while agent.call("read_note", &json!({})).await.structured().is_err() {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_no_drift_and_one_for_another_name_is_not_the_peer() {
    let tools = json!([{
        "name": "read_note", "description": "Reads a note.",
        "inputSchema": { "type": "object", "properties": {} },
        "annotations": { "readOnlyHint": true },
    }]);
    let peer = Peer::start(tools, |asked: &Asked| asked.result("{}")).await;
    let authority = Authority::new();
    let mut front = Front::start(&peer, authority.certify("localhost")).await;
    let port = front.port;
    let state = tempfile::tempdir().unwrap();
    let roots = state.path().join("roots.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let text = format!(
        "resilience: {{ retries: 0, stale: {{ enabled: off }} }}\npeers: {{ flights: {{ url: \"https://localhost:{port}/mcp\", roots: \"{}\" }} }}\n",
        roots.display()
    );
    let sidecar = Sidecar::start_from(state.path(), &text).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for _renewal in 0..3 {
        answered(&mut agent).await;
        front.show(authority.certify("localhost")).await;
    }
    answered(&mut agent).await;
    assert!(sidecar.events().await.is_empty());

    // Another name under the same authority, and the same name under another one.
    for stranger in [authority.certify("elsewhere.example"), Authority::new().certify("localhost")]
    {
        front.show(stranger).await;
        let calls = peer.calls();
        let (code, why) = agent.call("read_note", &json!({})).await.error();
        assert_eq!(code, -31005, "{why}");
        assert_eq!(peer.calls(), calls, "a call left for a stranger");
    }
    front.show(authority.certify("localhost")).await;
    answered(&mut agent).await;
}
