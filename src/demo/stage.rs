//! What every story is played on: an MCP server behind a real sidecar, and how both end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::agent::Agent;
use super::tools::{Served, Tools};
use crate::app::{Demonstration, OperatorError, StartError};

/// Why a story could not be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A socket.
    #[error("a loopback socket: {0}")]
    Io(#[from] std::io::Error),
    /// A fixture.
    #[error("a fixture of the demo: {0}")]
    Fixture(#[from] serde_json::Error),
    /// The sidecar.
    #[error("the sidecar: {0}")]
    Start(#[from] StartError),
    /// The client.
    #[error("the client: {0}")]
    Client(String),
    /// The control plane.
    #[error("the control plane: {0}")]
    Control(String),
    /// The admin listener.
    #[error("the admin listener: {0}")]
    Operator(#[from] OperatorError),
}

impl DemoError {
    pub(super) fn client(error: impl std::fmt::Display) -> Self {
        Self::Client(error.to_string())
    }
}

/// A sidecar in front of a server.
pub(super) struct Stage {
    /// Where the server listens.
    pub(super) server: SocketAddr,
    /// The sidecar.
    pub(super) sidecar: Demonstration,
    serving: JoinHandle<()>,
}

impl Stage {
    /// Starts the server on a loopback port, and a sidecar in front of it that knows it as `name`.
    /// Where there are `answers`, by tool name, an advisor gives them.
    pub(super) async fn open<T: Tools>(
        name: &str,
        server: T,
        answers: Option<BTreeMap<String, Value>>,
    ) -> Result<Self, DemoError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let sidecar = Demonstration::start(name, &format!("http://{address}/mcp"), answers)?;
        let serving = tokio::spawn(serve(listener, server));
        Ok(Self { server: address, sidecar, serving })
    }

    /// A client that calls through the sidecar.
    pub(super) async fn agent(&self) -> Result<Agent, DemoError> {
        Agent::connect(self.sidecar.url("/mcp")).await
    }

    /// Ends both.
    pub(super) async fn close(self) {
        self.sidecar.stop(Duration::from_secs(1)).await;
        self.serving.abort();
    }
}

async fn serve<T: Tools>(listener: TcpListener, server: T) {
    let service = StreamableHttpService::new(
        move || Ok(Served(server.clone())),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default().with_json_response(true),
    );
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Small answers leave at once; a stream that cannot be set so still works.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(service.clone());
        connections.spawn(async move {
            // A connection that breaks is its client's affair.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
