//! Puts a changed configuration in force while the sidecar runs: all of it, or nothing.
//!
//! ```text
//!   SIGHUP · the file is another one · POST /api/v1/reload
//!      └─► load, check, build ─► compare the keys ─► swap: data plane, listeners, logs, actors
//!              └ a fault, or a key that needs a restart ─► log, metric, status; nothing changed
//! ```

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::peers::{Endpoints, client, endpoints, proxied};
use super::sidecar::{webhook, within_means};
use super::upkeep::MemoryLimit;
use super::watch::Watch;
use crate::admin::{Life, ReloadAsked, Standing};
use crate::config::{Changed, ConfigError, Flags, Settings, load};
use crate::control::notify::Webhook;
use crate::control::{Anew, Handle};
use crate::domain::message::Clock;
use crate::proxy::Gateway;
use crate::telemetry::{self, Metrics, Reloaded};
use crate::wire::transport::server::Rules;
use crate::wire::transport::tls;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Everything that a reload reaches.
pub(super) struct Reloading {
    /// What `stipula run` was told; without a file there is nothing to read again.
    pub(super) flags: Flags,
    /// What is in force.
    pub(super) settings: Settings,
    pub(super) endpoints: Endpoints,
    pub(super) gateway: Arc<Gateway>,
    pub(super) control: Handle,
    /// The listener for agents, and the one for operators.
    pub(super) listeners: [Rules; 2],
    pub(super) memory: MemoryLimit,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) life: Life,
}

/// A configuration that is whole and can be put in force.
struct Ready {
    settings: Settings,
    endpoints: Endpoints,
    /// Who is told of approvals and incidents.
    webhook: Option<Webhook>,
    changed: Vec<Changed>,
}

/// Why a configuration is not put in force.
struct Refused {
    result: Reloaded,
    faults: Vec<String>,
}

impl Refused {
    fn invalid(faults: Vec<String>) -> Self {
        Self { result: Reloaded::Invalid, faults }
    }
}

impl Reloading {
    /// Reloads when it is asked or the file is another one, until the sidecar is gone.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<ReloadAsked>) {
        self.metrics.config_in_force(true, self.clock.now());
        let mut watch = self.flags.config.as_deref().map(Watch::new);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => {
                        let said = self.reload(ask.cause).await;
                        // Whoever asked may have gone.
                        let _ = ask.answer.send(said);
                    }
                    None => return,
                },
                _ = looks.tick() => {
                    if watch.as_mut().is_some_and(Watch::changed) {
                        self.look().await;
                    }
                }
            }
        }
    }

    /// The file is another one, as far as can be seen from outside.
    async fn look(&mut self) {
        if !self.settings.watch {
            return;
        }
        if let Ok(ready) = self.ready().await
            && ready.changed.is_empty()
            && self.life.standing().current
        {
            return;
        }
        // Whatever comes of it stands in the log, the metrics and the status.
        let _ = self.reload("the file is another one").await;
    }

    async fn reload(&mut self, cause: &'static str) -> Result<String, Vec<String>> {
        let ready = match self.ready().await {
            Ok(ready) => ready,
            Err(Refused { result, faults }) => {
                self.metrics.config_reloaded(result);
                self.metrics.config_in_force(false, self.clock.now());
                for fault in &faults {
                    tracing::error!(cause, fault, "the configuration in force is kept");
                }
                let before = self.life.standing();
                let standing =
                    Standing { current: false, faults: faults.clone(), ..(*before).clone() };
                self.life.tell(standing);
                return Err(faults);
            }
        };
        let keys: Vec<String> = ready.changed.iter().map(ToString::to_string).collect();
        if keys.is_empty() {
            self.metrics.config_reloaded(Reloaded::Unchanged);
        } else {
            self.apply(ready).await;
            self.metrics.config_reloaded(Reloaded::Applied);
        }
        let now = self.clock.now();
        self.metrics.config_in_force(true, now);
        let file = self.life.standing().file.clone();
        self.life.tell(Standing { file, since: now, current: true, faults: Vec::new() });
        if keys.is_empty() {
            tracing::info!(cause, "the configuration was read again: no key changed");
            return Ok("no key changed".to_owned());
        }
        let keys = keys.join(", ");
        tracing::info!(cause, keys, "another configuration is in force");
        Ok(format!("changed: {keys}"))
    }

    /// Reads and builds all of it; nothing is touched.
    async fn ready(&self) -> Result<Ready, Refused> {
        if self.flags.config.is_none() {
            let what = "there is no file to read again: the sidecar was started without --config";
            return Err(Refused::invalid(vec![what.to_owned()]));
        }
        let (flags, before) = (self.flags.clone(), self.endpoints.clone());
        let built = tokio::task::spawn_blocking(move || built(&flags, &before)).await;
        let built = built.map_err(|stopped| Refused::invalid(vec![stopped.to_string()]))?;
        let (settings, endpoints, webhook) = built.map_err(Refused::invalid)?;
        let changed = self.settings.written.changes_to(&settings.written);
        let fixed = changed.iter().filter(|one| !one.live);
        let faults: Vec<String> =
            fixed.map(|one| format!("`{one}` changed, which needs a restart")).collect();
        if faults.is_empty() {
            Ok(Ready { settings, endpoints, webhook, changed })
        } else {
            Err(Refused { result: Reloaded::NeedsRestart, faults })
        }
    }

    /// Puts it in force. Nothing here can fail: what could was done before.
    async fn apply(&mut self, ready: Ready) {
        let Ready { settings, endpoints, webhook, changed } = ready;
        self.gateway.reload(settings.proxy.clone(), proxied(&settings, &endpoints));
        let [data, doors] = &self.listeners;
        data.replace(within_means(&settings.listen));
        doors.replace(settings.admin.clone());
        self.memory.set(settings.memory);
        self.life.set_drain(settings.drain);
        if let Err(what) = telemetry::change_filter(&settings.telemetry) {
            // The filter was parsed before; only a log that was never started is not changed.
            tracing::warn!(what, "the log's filter is kept");
        }
        if changed.iter().any(|one| one.path[0] == "webhook") {
            self.control.tell_to(webhook);
        }
        let told = settings.control.peers.iter().zip(&endpoints).map(|(peer, (_, endpoint))| {
            let mine = |one: &&Changed| concerns(one, peer.id.as_str());
            let keys: Vec<String> = changed.iter().filter(mine).map(ToString::to_string).collect();
            let known = self.endpoints.iter().any(|(_, old)| Arc::ptr_eq(old, endpoint));
            (peer, keys, (!known).then(|| client(endpoint)))
        });
        let told = told.filter(|(_, keys, client)| !keys.is_empty() || client.is_some());
        let told = told.map(|(peer, keys, client)| {
            let keys = keys.join(", ");
            self.control.configure(Anew { settings: peer.clone(), client, keys })
        });
        for said in join_all(told).await {
            if let Err(error) = said {
                // The control plane has stopped: the sidecar is about to end.
                tracing::warn!(%error, "a peer's settings are not in force");
            }
        }
        (self.settings, self.endpoints) = (settings, endpoints);
    }
}

/// Whether a key says how the control plane goes by this peer: its own, and those that hold for all.
fn concerns(changed: &Changed, peer: &str) -> bool {
    match changed.path[0].as_str() {
        "peers" => changed.path.get(1).is_some_and(|name| name == peer),
        section => matches!(section, "drift" | "resilience"),
    }
}

/// The settings of the file, with all that it names read and made.
fn built(
    flags: &Flags,
    before: &Endpoints,
) -> Result<(Settings, Endpoints, Option<Webhook>), Vec<String>> {
    let settings = load(flags).map_err(|error| told(&error))?;
    let mut faults = Vec::new();
    telemetry::check_filter(&settings.telemetry).unwrap_or_else(|what| faults.push(what));
    for files in [&settings.listen.tls, &settings.admin.tls].into_iter().flatten() {
        if let Err(error) = tls::check(&files.certificates, &files.key) {
            faults.push(error.to_string());
        }
    }
    let webhook = webhook(&settings).map_err(|error| faults.push(error.to_string()));
    let endpoints =
        endpoints(&settings, Some(before)).map_err(|error| faults.push(error.to_string()));
    match (webhook, endpoints) {
        (Ok(webhook), Ok(endpoints)) if faults.is_empty() => Ok((settings, endpoints, webhook)),
        _ => Err(faults),
    }
}

/// Each fault in one line, with its place and without the text that stands there.
fn told(error: &ConfigError) -> Vec<String> {
    match error {
        ConfigError::Faults(faults) => faults.iter().map(|fault| fault.in_a_line()).collect(),
        ConfigError::Unreadable { source, .. } => vec![format!("{error}: {source}")],
    }
}
