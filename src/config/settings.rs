//! What is true: the settings of every room, built from a file that was checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::advisors::{self, Advisors};
use super::raw::{self, Raw};
use super::reload::Written;
use super::resilience;
use super::secret::signer;
use super::sharing;
use super::webhook;
use crate::control::{self, Adopt, PeerSettings, SealPolicy, notify};
use crate::domain::contract::Signer;
use crate::domain::json::Limits;
use crate::domain::message::{Millis, PeerId};
use crate::wire::transport::{guard, server, upstream};
use crate::{proxy, store, telemetry};

/// The settings of every room.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The proxy's listener.
    pub listen: server::Settings,
    /// The data plane.
    pub proxy: proxy::Settings,
    /// Bytes of memory that the process may take; `None`: the limit of its cgroup, if any.
    pub memory: Option<u64>,
    /// The control plane, with what holds for each peer.
    pub control: control::Settings,
    /// The state directory.
    pub store: store::Settings,
    /// Logs.
    pub telemetry: telemetry::Settings,
    /// The admin listener.
    pub admin: server::Settings,
    /// Whether anything is written to the state directory; only a demonstration does without.
    pub keep_state: bool,
    /// How each peer is dialled, in the order of `control.peers`.
    pub peers: Vec<Peer>,
    /// Who is asked where the matcher leaves something open.
    pub advisors: Advisors,
    /// How long what is in flight may take once the sidecar is told to stop.
    pub drain: Duration,
    /// Whether the file is put in force again whenever it changes.
    pub watch: bool,
    /// What all this was built from, to be compared with another one.
    pub written: Written,
    /// Who is told of approvals and incidents.
    pub webhook: Option<notify::Settings>,
}

/// How a peer is dialled.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The name the operator gave it.
    pub id: PeerId,
    /// Its URL.
    pub url: String,
    /// How it is dialled.
    pub upstream: upstream::Settings,
}

/// A fault by the keys that lead to it.
pub(super) type Named = (Vec<String>, String);

impl Settings {
    /// Builds the settings of every room, or tells all that is wrong.
    pub(super) fn build(raw: &Raw) -> Result<Self, Vec<Named>> {
        let mut faults = Vec::new();
        let listen = address(&raw.proxy.listen, "proxy", &mut faults);
        let admin = address(&raw.admin.listen, "admin", &mut faults);
        if listen == admin && listen.port() != 0 && faults.is_empty() {
            faults.push((
                keys(&["admin", "listen"]),
                format!("expected another address than `proxy.listen`, got `{admin}` for both"),
            ));
        }
        if raw.limits.reply_bytes > raw.limits.held_bytes {
            faults.push((
                keys(&["limits", "held_bytes"]),
                format!(
                    "expected at least `limits.reply_bytes` ({}), got {}",
                    raw.limits.reply_bytes, raw.limits.held_bytes
                ),
            ));
        }
        if raw.peers.is_empty() {
            faults.push((
                keys(&["peers"]),
                "expected at least one peer; write `peers: { NAME: { url: URL } }`, or give --peer URL"
                    .to_owned(),
            ));
        }
        let signer = raw.seal.signing_key.as_ref().map(signer).transpose();
        let signer = signer.unwrap_or_else(|what| {
            faults.push((keys(&["seal", "signing_key"]), what));
            None
        });
        let mut shares = BTreeMap::new();
        for (name, peer) in &raw.peers {
            peer_faults(name, peer, &mut faults);
            shares.insert(PeerId::from(name.as_str()), sharing::share(name, peer, &mut faults));
        }
        let advisors = advisors::build(&raw.advisors, &raw.timeouts, &mut faults);
        let webhook = webhook::build(raw.webhook.as_ref(), &raw.timeouts, &mut faults);
        if faults.is_empty() {
            let signer = signer.map(Arc::new);
            let mut settings = Self::of(raw, (listen, admin), signer, advisors);
            settings.proxy.shares = shares;
            settings.webhook = webhook;
            Ok(settings)
        } else {
            Err(faults)
        }
    }

    /// Starts logging as these settings say.
    ///
    /// # Errors
    /// Where the filter does not parse.
    pub fn start_logs(&self, colours: bool) -> Result<(), String> {
        telemetry::start_logs(&self.telemetry, colours)
    }

    fn of(
        raw: &Raw,
        (listen, admin): (SocketAddr, SocketAddr),
        signer: Option<Arc<Signer>>,
        advisors: Advisors,
    ) -> Self {
        let (proxy, limits) = (&raw.proxy, &raw.limits);
        Self {
            listen: server::Settings {
                threads: proxy.threads,
                ..listener(raw, listen, proxy.tls.as_ref(), &proxy.hosts, &proxy.origins)
            },
            proxy: proxy::Settings {
                routing: match proxy.routing {
                    raw::Routing::Automatic => proxy::Routing::Automatic,
                    raw::Routing::ByName => proxy::Routing::ByName,
                },
                heal_wait_ms: proxy.heal_wait_ms,
                seal_wait_ms: proxy.seal_wait_ms,
                request_bytes: limits.request_bytes,
                reply_bytes: limits.reply_bytes,
                held_bytes: limits.held_bytes,
                document: Limits { depth: limits.depth, nodes: limits.nodes },
                offload_bytes: proxy.offload_bytes,
                exchanges: limits.exchanges,
                sessions: proxy.sessions,
                session_ttl_ms: proxy.session_ttl_ms,
                failure: raw.failing.build(),
                shares: BTreeMap::new(),
                resilience: resilience::path(&raw.resilience),
            },
            memory: limits.memory_bytes,
            control: control::Settings {
                peers: raw
                    .peers
                    .iter()
                    .map(|(name, peer)| peer_settings(raw, name, peer))
                    .collect(),
                evidence_every: Millis(raw.control.evidence_every_ms),
                cached_routines: raw.control.cached_routines,
                signer,
            },
            store: store::Settings {
                dir: raw.state.dir.clone(),
                segment_bytes: raw.state.segment_bytes,
            },
            telemetry: telemetry::Settings {
                format: match raw.log.format {
                    raw::LogFormat::Plain => telemetry::LogFormat::Plain,
                    raw::LogFormat::Json => telemetry::LogFormat::Json,
                },
                filter: raw.log.filter.clone(),
            },
            admin: server::Settings {
                threads: Some(1),
                ..listener(raw, admin, raw.admin.tls.as_ref(), &raw.admin.hosts, &raw.admin.origins)
            },
            keep_state: true,
            peers: raw.peers.iter().map(|(name, peer)| dialled(raw, name, peer)).collect(),
            advisors,
            drain: Duration::from_millis(raw.timeouts.drain_ms),
            watch: raw.reload.watch,
            written: Written::of(raw),
            webhook: None,
        }
    }
}

fn listener(
    raw: &Raw,
    listen: SocketAddr,
    tls: Option<&raw::Tls>,
    hosts: &[String],
    origins: &[String],
) -> server::Settings {
    let (limits, timeouts) = (&raw.limits, &raw.timeouts);
    server::Settings {
        listen,
        tls: tls.map(|files| server::TlsFiles {
            certificates: files.certificates.clone(),
            key: files.key.clone(),
        }),
        guard: guard::Settings { hosts: hosts.to_vec(), origins: origins.to_vec() },
        first_byte: Duration::from_millis(timeouts.first_byte_ms),
        head: Duration::from_millis(timeouts.head_ms),
        receipt: Duration::from_millis(timeouts.receipt_ms),
        idle: Duration::from_millis(timeouts.idle_ms),
        head_bytes: limits.head_bytes,
        headers: limits.headers,
        connections: limits.connections,
        connections_per_address: limits.connections_per_address,
        streams: limits.streams,
        ..server::Settings::default()
    }
}

fn dialled(raw: &Raw, name: &str, peer: &raw::Peer) -> Peer {
    Peer {
        id: PeerId::from(name),
        url: peer.url.clone(),
        upstream: upstream::Settings {
            connect: Duration::from_millis(raw.timeouts.connect_ms),
            handshake: Duration::from_millis(raw.timeouts.handshake_ms),
            keep_idle: Duration::from_millis(raw.timeouts.keep_idle_ms),
            http2: peer.http2,
            authorities: peer.roots.clone(),
            head_bytes: raw.limits.head_bytes,
            headers: raw.limits.headers,
            ..upstream::Settings::default()
        },
    }
}

fn peer_settings(raw: &Raw, name: &str, peer: &raw::Peer) -> PeerSettings {
    let modes = peer.tools.iter().filter_map(|(tool, keys)| Some((tool.clone(), keys.mode?)));
    PeerSettings {
        mode: peer.mode,
        tools: modes.collect(),
        seal: peer.seal.into(),
        lifetime: Millis(peer.lifetime_ms),
        max_age: peer.surface.max_age_ms.map(Millis),
        replay_live: peer.replay.live,
        replay_min: peer.replay_min,
        recordings: peer.recordings,
        inference_samples: peer.inference.samples,
        watch_exchanges: peer.watch.exchanges,
        shadow_exchanges: raw.patch.shadow_exchanges,
        failure_threshold: peer.failure_threshold,
        adopt: peer.adopt.into(),
        terms_declared: peer.terms == raw::Terms::Declared,
        approval_expiry: Millis(peer.approval_expiry_ms),
        semantic: raw.drift.semantic.settings(),
        deadline: peer.deadline_ms.or(raw.resilience.deadline_ms).map(Millis),
        breaker: resilience::breaker(&raw.resilience),
        retry: resilience::path(&raw.resilience).retry,
        constraints: peer.constraints.stated(),
        performance: resilience::performance(&raw.resilience),
        policy: raw.drift.policy.settings(),
        ..PeerSettings::new(PeerId::from(name), origin(&peer.url))
    }
}

impl From<raw::Seal> for SealPolicy {
    fn from(seal: raw::Seal) -> Self {
        match seal {
            raw::Seal::FirstUse => Self::FirstUse,
            raw::Seal::Manual => Self::Manual,
        }
    }
}

impl From<raw::Adopting> for Adopt {
    fn from(adopt: raw::Adopting) -> Self {
        match adopt {
            raw::Adopting::Additions => Self::Additions,
            raw::Adopting::All => Self::All,
            raw::Adopting::Manual => Self::Manual,
        }
    }
}

/// Scheme, host and port: half of a peer's identity.
fn origin(url: &str) -> String {
    let Ok(uri) = url.parse::<http::Uri>() else { return url.to_owned() };
    format!(
        "{}://{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", |a| a.as_str())
    )
}

fn address(text: &str, section: &str, faults: &mut Vec<Named>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        faults.push((
            keys(&[section, "listen"]),
            format!("expected an address and port such as `127.0.0.1:7411`, got `{text}`"),
        ));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn peer_faults(name: &str, peer: &raw::Peer, faults: &mut Vec<Named>) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        faults.push((
            keys(&["peers", name]),
            format!("expected a name of at most 64 letters, digits, `-`, `_` or `.`, got `{name}`"),
        ));
    }
    if let Some(what) = url_fault(&peer.url) {
        faults.push((keys(&["peers", name, "url"]), what));
    }
}

/// A URL is never repeated whole: it may carry a credential.
pub(super) fn url_fault(url: &str) -> Option<String> {
    let expected = "expected an absolute http or https URL such as `http://127.0.0.1:3000/mcp`";
    let Ok(uri) = url.parse::<http::Uri>() else {
        return Some(format!("{expected}; this one does not parse"));
    };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Some(format!("{expected}, without a user or password in it"))
        }
        (Some("http" | "https"), Some(_)) => None,
        (Some(scheme), _) if scheme != "http" && scheme != "https" => {
            Some(format!("{expected}, got the scheme `{scheme}`"))
        }
        _ => Some(format!("{expected}, got one without a scheme and host")),
    }
}

pub(super) fn keys(path: &[&str]) -> Vec<String> {
    path.iter().map(|key| (*key).to_owned()).collect()
}
