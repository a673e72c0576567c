//! The file as it is written. Every key has a default, and the default is the room's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sharing::{Rate, RateLimits, Sharing, Sizes};
use super::{advisors::raw::Advisors, drift::Drift, failing::Failing, reload::raw::Reload};
use super::{patch::Patch, resilience::raw::Resilience, secret::Secret, webhook::Webhook};
use crate::control;
use crate::live::Mode;
use crate::wire::transport::{server, upstream};
use crate::{proxy, store, telemetry};

/// A whole configuration file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    /// Where agents come in.
    pub(super) proxy: Proxy,
    /// Where people and Prometheus come in.
    pub(super) admin: Admin,
    /// Where evidence is kept.
    pub(super) state: State,
    /// How contracts are sealed.
    pub(super) seal: Sealing,
    /// What is logged.
    pub(super) log: Log,
    /// How much of anything.
    pub(super) limits: Limits,
    /// How long anything may take.
    pub(super) timeouts: Timeouts,
    /// The control plane's own.
    pub(super) control: Control,
    /// Language models that are asked where the matcher leaves something open.
    pub(super) advisors: Advisors,
    /// What is noticed beside the surface.
    pub(super) drift: Drift,
    /// How a patch that passed its gate comes into force.
    pub(super) patch: Patch,
    /// What becomes of a reply that Stipula itself cannot judge or record, by what is at stake.
    pub(super) failing: Failing,
    /// How a changed configuration is put in force.
    pub(super) reload: Reload,
    /// What is done where a peer is slow, fails or cannot be reached.
    pub(super) resilience: Resilience,
    /// Whom approvals and incidents are told.
    pub(super) webhook: Option<Webhook>,
    /// Who is proxied, by the name that paths, metrics and commands use.
    pub(super) peers: BTreeMap<String, Peer>,
}

/// Where agents come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Proxy {
    /// Address and port; port 0 lets the system choose.
    pub(super) listen: String,
    /// How peers are told apart by path.
    pub(super) routing: Routing,
    /// Threads that serve; absent: one a core.
    #[schemars(range(min = 1))]
    pub(super) threads: Option<usize>,
    /// Certificate chain and private key; absent: clear text.
    pub(super) tls: Option<Tls>,
    /// `Host` names that are taken beside loopback names and the bound address.
    pub(super) hosts: Vec<String>,
    /// Origins that are taken beside loopback origins.
    pub(super) origins: Vec<String>,
    /// How long a first listing or call waits for the seal.
    pub(super) seal_wait_ms: u64,
    /// How long a call is held for a heal.
    pub(super) heal_wait_ms: u64,
    /// Sessions whose handshake is remembered.
    pub(super) sessions: usize,
    /// How long a session is remembered after its last use.
    pub(super) session_ttl_ms: u64,
    /// Replies longer than this are judged off the thread that reads sockets.
    pub(super) offload_bytes: usize,
}

/// How peers are told apart by path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Routing {
    /// A single peer keeps its own path; several are reached under `/NAME/`.
    Automatic,
    /// Every peer is reached under `/NAME/`.
    ByName,
}

/// PEM files of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate chain, the listener's own first.
    pub(super) certificates: PathBuf,
    /// The private key.
    pub(super) key: PathBuf,
}

/// Where people and Prometheus come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    /// Address and port; port 0 lets the system choose.
    pub(super) listen: String,
    /// Certificate chain and private key; absent: clear text.
    pub(super) tls: Option<Tls>,
    /// `Host` names that are taken beside loopback names and the bound address.
    pub(super) hosts: Vec<String>,
    /// Origins that are taken beside loopback origins.
    pub(super) origins: Vec<String>,
}

/// Where evidence is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct State {
    /// The state directory; one process owns it.
    pub(super) dir: PathBuf,
    /// Bytes after which a new ledger segment is begun.
    #[schemars(range(min = 1024))]
    pub(super) segment_bytes: u64,
}

/// How contracts are sealed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sealing {
    /// The Ed25519 private key (PKCS#8, PEM) that signs contracts; absent: a hash alone.
    pub(super) signing_key: Option<Secret>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// What a line looks like.
    pub(super) format: LogFormat,
    /// A level, or directives of the form `warn,stipula=debug`; `RUST_LOG` overrides it.
    pub(super) filter: String,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogFormat {
    /// For people.
    Plain,
    /// One JSON object a line.
    Json,
}

/// How much of anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Longest request.
    pub(super) request_bytes: usize,
    /// Longest reply, event or decompressed body.
    pub(super) reply_bytes: usize,
    /// All bodies held at once.
    pub(super) held_bytes: usize,
    /// Containers inside one another.
    #[schemars(range(min = 1, max = 1024))]
    pub(super) depth: u32,
    /// Values and keys of one document.
    #[schemars(range(min = 1, max = 16_777_215))]
    pub(super) nodes: u32,
    /// Exchanges at once.
    #[schemars(range(min = 1))]
    pub(super) exchanges: usize,
    /// Connections at once.
    #[schemars(range(min = 1))]
    pub(super) connections: usize,
    /// Connections at once of one address.
    #[schemars(range(min = 1))]
    pub(super) connections_per_address: usize,
    /// Memory: at 85 % new connections are refused, at 95 % exchanges too; absent: its cgroup's.
    #[schemars(range(min = 1))]
    pub(super) memory_bytes: Option<u64>,
    /// HTTP/2 streams at once on a connection.
    #[schemars(range(min = 1))]
    pub(super) streams: u32,
    /// Longest head, on both sides.
    #[schemars(range(min = 1024))]
    pub(super) head_bytes: u32,
    /// Most header lines, on both sides.
    #[schemars(range(min = 1))]
    pub(super) headers: usize,
}

/// How long anything may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Timeouts {
    /// A connection's first byte.
    #[schemars(range(min = 1))]
    pub(super) first_byte_ms: u64,
    /// A request's head, after its first byte.
    #[schemars(range(min = 1))]
    pub(super) head_ms: u64,
    /// The receipt of a whole request; a tool's answer has no deadline unless its contract states one.
    #[schemars(range(min = 1))]
    pub(super) receipt_ms: u64,
    /// A connection without a request.
    #[schemars(range(min = 1))]
    pub(super) idle_ms: u64,
    /// A connection to a peer.
    #[schemars(range(min = 1))]
    pub(super) connect_ms: u64,
    /// A TLS handshake with a peer.
    #[schemars(range(min = 1))]
    pub(super) handshake_ms: u64,
    /// An unused connection to a peer is kept this long.
    pub(super) keep_idle_ms: u64,
    /// What is in flight once the sidecar is told to stop; the rest is cut then.
    pub(super) drain_ms: u64,
}

/// The control plane's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Control {
    /// How long counted exchanges wait before they are written to the ledger.
    #[schemars(range(min = 1))]
    pub(super) evidence_every_ms: u64,
    /// Compiled routines kept in memory.
    #[schemars(range(min = 1))]
    pub(super) cached_routines: usize,
}

/// Who is proxied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    /// Where it is: an absolute http or https URL.
    pub(super) url: String,
    /// What it speaks; absent: found out.
    #[serde(default)]
    pub(super) protocol: Option<Protocol>,
    /// What is done about what is found; absent: observe until sealed, enforce from then on.
    #[serde(default)]
    pub(super) mode: Option<Mode>,
    /// When its surface is sealed.
    #[serde(default)]
    pub(super) seal: Seal,
    /// A PEM bundle of authorities to trust instead of the platform's.
    #[serde(default)]
    pub(super) roots: Option<PathBuf>,
    /// Speak HTTP/2 without asking; over TLS it is negotiated anyway.
    #[serde(default)]
    pub(super) http2: bool,
    /// How its surface is kept fresh.
    #[serde(default)]
    pub(super) surface: Surface,
    /// What holds for single tools, by promised name.
    #[serde(default)]
    pub(super) tools: BTreeMap<String, ToolKeys>,
    /// How long a contract lives: 1 h to 30 d.
    #[serde(default = "defaults::lifetime_ms")]
    #[schemars(range(min = 3_600_000_u64, max = 2_592_000_000_u64))]
    pub(super) lifetime_ms: u64,
    /// Samples that a replay needs where the proof is unknown.
    #[serde(default = "defaults::replay_min")]
    #[schemars(range(min = 1))]
    pub(super) replay_min: usize,
    /// Paired replay.
    #[serde(default)]
    pub(super) replay: Replay,
    /// Recent exchanges of a tool that are kept for replay.
    #[serde(default = "defaults::recordings")]
    pub(super) recordings: usize,
    /// Terms for replies that nothing is declared of.
    #[serde(default)]
    pub(super) inference: Inference,
    /// The watch after a swap.
    #[serde(default)]
    pub(super) watch: Watch,
    /// Misses in the watch that roll back.
    #[serde(default = "defaults::failure_threshold")]
    #[schemars(range(min = 1))]
    pub(super) failure_threshold: u32,
    /// Which additions are sealed by themselves.
    #[serde(default)]
    pub(super) adopt: Adopting,
    /// Whether declared reply terms bind from the first call on, or once a reply kept them.
    #[serde(default)]
    pub(super) terms: Terms,
    /// How long a proposal waits for a person.
    #[serde(default = "defaults::approval_expiry_ms")]
    #[schemars(range(min = 1))]
    pub(super) approval_expiry_ms: u64,
    /// How often it is asked.
    #[serde(default)]
    pub(super) rate_limits: RateLimits,
    /// How many calls at once, and whose turn it is.
    #[serde(default)]
    pub(super) sharing: Sharing,
    /// How large a part of a request may be.
    #[serde(default)]
    pub(super) sizes: Sizes,
    /// How long it may take to answer a call; absent: `resilience.deadline_ms`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) deadline_ms: Option<u64>,
    /// What its contract states beside its tools.
    #[serde(default)]
    pub(super) constraints: super::constraints::Constraints,
}

/// What a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protocol {
    /// Model Context Protocol over HTTP.
    Mcp,
}

/// When a surface is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Seal {
    /// When the first agent lists or calls.
    #[default]
    FirstUse,
    /// Only when an operator says so.
    Manual,
}

/// Which additions are sealed by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Adopting {
    /// Read-only tools and optional fields without instruction-like text.
    #[default]
    Additions,
    /// Everything that is added.
    All,
    /// Nothing.
    Manual,
}

/// From when on declared reply terms bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Terms {
    /// Once a reply kept them.
    #[default]
    Observed,
    /// From the first call on.
    Declared,
}

/// How a surface is kept fresh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Surface {
    /// Age at which it is read again; absent: its `ttlMs`, else 300000 (it can notify) or 30000.
    #[schemars(range(min = 1))]
    pub(super) max_age_ms: Option<u64>,
}

/// What holds for a single tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ToolKeys {
    /// Its mode; absent: the peer's.
    pub(super) mode: Option<Mode>,
    /// How often it is called, by all principals.
    pub(super) rate_limit: Rate,
    /// How large its arguments may be; what is absent is the peer's.
    pub(super) sizes: Sizes,
}

/// Paired replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Replay {
    /// Whether tools that say `readOnlyHint: true` may be asked again.
    pub(super) live: bool,
}

/// Terms for replies that nothing is declared of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Inference {
    /// Replies of a tool that they rest on; 0: none are inferred.
    pub(super) samples: u64,
}

/// The watch after a swap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Watch {
    /// How many exchanges it lasts.
    pub(super) exchanges: u32,
}

impl Peer {
    /// A peer of which only the URL is said.
    #[must_use]
    pub(super) fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            protocol: None,
            mode: None,
            seal: Seal::default(),
            roots: None,
            http2: false,
            surface: Surface::default(),
            tools: BTreeMap::new(),
            lifetime_ms: defaults::lifetime_ms(),
            replay_min: defaults::replay_min(),
            replay: Replay::default(),
            recordings: defaults::recordings(),
            inference: Inference::default(),
            watch: Watch::default(),
            failure_threshold: defaults::failure_threshold(),
            adopt: Adopting::default(),
            terms: Terms::default(),
            approval_expiry_ms: defaults::approval_expiry_ms(),
            rate_limits: RateLimits::default(),
            sharing: Sharing::default(),
            sizes: Sizes::default(),
            deadline_ms: None,
            constraints: super::constraints::Constraints::default(),
        }
    }
}

/// The defaults of a peer, each asked of the control plane's own settings.
mod defaults {
    use crate::control::PeerSettings;
    use crate::domain::message::PeerId;

    fn peer() -> PeerSettings {
        PeerSettings::new(PeerId::from(""), "")
    }
    pub(super) fn lifetime_ms() -> u64 {
        peer().lifetime.0
    }
    pub(super) fn replay_min() -> usize {
        peer().replay_min
    }
    pub(super) fn replay_live() -> bool {
        peer().replay_live
    }
    pub(super) fn recordings() -> usize {
        peer().recordings
    }
    pub(super) fn inference_samples() -> u64 {
        peer().inference_samples
    }
    pub(super) fn watch_exchanges() -> u32 {
        peer().watch_exchanges
    }
    pub(super) fn failure_threshold() -> u32 {
        peer().failure_threshold
    }
    pub(super) fn approval_expiry_ms() -> u64 {
        peer().approval_expiry.0
    }
}

impl Default for Inference {
    fn default() -> Self {
        Self { samples: defaults::inference_samples() }
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self { live: defaults::replay_live() }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self { exchanges: defaults::watch_exchanges() }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        let (server, room) = (server::Settings::default(), proxy::Settings::default());
        Self {
            listen: server.listen.to_string(),
            routing: match room.routing {
                proxy::Routing::Automatic => Routing::Automatic,
                proxy::Routing::ByName => Routing::ByName,
            },
            threads: server.threads,
            tls: None,
            hosts: server.guard.hosts,
            origins: server.guard.origins,
            seal_wait_ms: room.seal_wait_ms,
            heal_wait_ms: room.heal_wait_ms,
            sessions: room.sessions,
            session_ttl_ms: room.session_ttl_ms,
            offload_bytes: room.offload_bytes,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        let room = crate::admin::listener();
        Self {
            listen: room.listen.to_string(),
            tls: None,
            hosts: room.guard.hosts,
            origins: room.guard.origins,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        let room = store::Settings::default();
        Self { dir: room.dir, segment_bytes: room.segment_bytes }
    }
}

impl Default for Log {
    fn default() -> Self {
        let room = telemetry::Settings::default();
        let format = match room.format {
            telemetry::LogFormat::Plain => LogFormat::Plain,
            telemetry::LogFormat::Json => LogFormat::Json,
        };
        Self { format, filter: room.filter }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let (server, room) = (server::Settings::default(), proxy::Settings::default());
        Self {
            request_bytes: room.request_bytes,
            reply_bytes: room.reply_bytes,
            held_bytes: room.held_bytes,
            depth: room.document.depth,
            nodes: room.document.nodes,
            exchanges: room.exchanges,
            connections: server.connections,
            connections_per_address: server.connections_per_address,
            memory_bytes: None,
            streams: server.streams,
            head_bytes: server.head_bytes,
            headers: server.headers,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let (server, peer) = (server::Settings::default(), upstream::Settings::default());
        Self {
            first_byte_ms: millis(server.first_byte),
            head_ms: millis(server.head),
            receipt_ms: millis(server.receipt),
            idle_ms: millis(server.idle),
            connect_ms: millis(peer.connect),
            handshake_ms: millis(peer.handshake),
            keep_idle_ms: millis(peer.keep_idle),
            drain_ms: 30_000,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        let room = control::Settings::default();
        Self { evidence_every_ms: room.evidence_every.0, cached_routines: room.cached_routines }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
