//! From the settings of peers to what both planes reach them by.

use std::sync::Arc;

use super::sidecar::StartError;
use crate::config::Settings;
use crate::control::{PeerParts, SealPolicy};
use crate::proxy::Peer;
use crate::wire::protocol::mcp::peer::PeerClient;
use crate::wire::transport::upstream::{Endpoint, Upstream};

/// Where each peer is, in the order of the settings, with its URL.
pub(super) type Endpoints = Vec<(String, Arc<Endpoint>)>;

/// The endpoints of these settings; one of `before` that is the same is taken over, and the connections
/// to it with it.
pub(super) fn endpoints(
    settings: &Settings,
    before: Option<&Endpoints>,
) -> Result<Endpoints, StartError> {
    let made = settings.peers.iter().map(|peer| {
        let mut known = before.into_iter().flatten();
        let same = known.find(|(url, old)| *url == peer.url && *old.settings() == peer.upstream);
        if let Some((_, endpoint)) = same {
            return Ok((peer.url.clone(), Arc::clone(endpoint)));
        }
        Endpoint::new(&peer.url, peer.upstream.clone())
            .map(|endpoint| (peer.url.clone(), Arc::new(endpoint)))
            .map_err(|source| StartError::Endpoint { peer: peer.id.to_string(), source })
    });
    made.collect()
}

/// The control plane's own way to a peer.
pub(super) fn client(endpoint: &Arc<Endpoint>) -> PeerClient {
    PeerClient::over_http(Upstream::new(Arc::clone(endpoint)))
}

/// The peers as the control plane asks them.
pub(super) fn asked(settings: &Settings, endpoints: &Endpoints) -> Vec<PeerParts> {
    let peers = settings.control.peers.iter().zip(endpoints);
    peers
        .map(|(peer, (_, endpoint))| PeerParts { settings: peer.clone(), client: client(endpoint) })
        .collect()
}

/// The peers as agents reach them.
pub(super) fn proxied(settings: &Settings, endpoints: &Endpoints) -> Vec<Peer> {
    let peers = settings.control.peers.iter().zip(endpoints);
    peers
        .map(|(peer, (_, endpoint))| Peer {
            id: peer.id.clone(),
            endpoint: Arc::clone(endpoint),
            seal_on_first_use: peer.seal == SealPolicy::FirstUse,
        })
        .collect()
}
