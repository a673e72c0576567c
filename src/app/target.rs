//! Reading a live peer for the commands that need no sidecar.

use std::sync::Arc;

use crate::domain::contract::Surface;
use crate::wire::protocol::mcp::peer::{PeerClient, PeerError};
use crate::wire::transport::stdio::{self, Child};
use crate::wire::transport::upstream::{self, Endpoint, EndpointError, Upstream};

/// What `stipula seal`, `diff` and their kin read a surface from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A peer's URL.
    Url(String),
    /// A command to start, speaking MCP on its standard input and output.
    Command(Vec<String>),
}

/// Why a surface could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The URL.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The command.
    #[error(transparent)]
    Stdio(#[from] stdio::StdioError),
    /// The peer.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Reads every page of a live peer's surface.
///
/// # Errors
/// Where it cannot be reached or does not speak MCP.
pub async fn read_surface(target: &Target) -> Result<Surface, ReadError> {
    let client = match target {
        Target::Url(url) => {
            let endpoint = Endpoint::new(url, upstream::Settings::default())?;
            PeerClient::over_http(Upstream::new(Arc::new(endpoint)))
        }
        Target::Command(command) => {
            let command = command.iter().map(Into::into).collect();
            PeerClient::over_stdio(Child::spawn(&stdio::Settings::of(command))?)
        }
    };
    let listing = client.surface(None).await?;
    // The surface is read; a child that does not end well changes nothing about it.
    let _ = client.close().await;
    Ok(listing.surface)
}
