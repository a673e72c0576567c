//! A sidecar: state first, then what it says in force, then the listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::ambient::{SystemClock, SystemDice};
use super::peers::{Endpoints, asked, endpoints, proxied};
use super::process;
use super::reload::Reloading;
use super::upkeep::{MemoryLimit, Upkeep};
use crate::admin;
use crate::config::{ConfigError, Configured, Flags, Settings};
use crate::control::advisor::{Advisor, ModelAdvisor, Panel};
use crate::control::notify::Webhook;
use crate::control::{Control, Handle, Parts, Told};
use crate::domain::message::{Clock, Dice};
use crate::live::{Observation, Observations, Switchboard};
use crate::proxy::{Doors, Gateway, Proxy};
use crate::store::{FileStore, Store, StoreError};
use crate::telemetry::{Metrics, TraceError, Tracer};
use crate::wire::protocol::advisor::Provider;
use crate::wire::transport::pressure::Pressure;
use crate::wire::transport::server::{self, House, ServeError, Server, serve};
use crate::wire::transport::upstream::{Endpoint, EndpointError};

/// Ordinary observations that wait between the planes; more are dropped and counted.
const ORDINARY_LANE: usize = 65_536;
/// Waivers, refusals and held calls that wait; where even this is full the reply is refused.
const RESERVED_LANE: usize = 8_192;

/// How long before what is in flight is cut, streams that owe a reply say that it will not come.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why the sidecar does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings of a demonstration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A peer's URL.
    #[error("peer {peer}: {source}")]
    Endpoint {
        /// Which peer.
        peer: String,
        /// What is wrong with it.
        #[source]
        source: EndpointError,
    },
    /// An advisor.
    #[error("advisor {advisor}: {what}")]
    Advisor {
        /// The operator's name for it.
        advisor: String,
        /// What is wrong with it.
        what: String,
    },
    /// The receiver of notices.
    #[error("webhook: {0}")]
    Webhook(#[source] EndpointError),
    /// The admin token.
    #[error(transparent)]
    Admin(#[from] admin::TokenError),
    /// Where spans go.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A thread.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// What is handed in beside the settings; the default is what runs in production.
#[derive(Default)]
pub struct Extras {
    /// Who is asked where the matcher cannot decide; those of the settings where absent.
    pub advisor: Option<Arc<dyn Advisor>>,
    /// The clock; the system's where absent.
    pub clock: Option<Arc<dyn Clock>>,
    /// The store; the file store of the settings where absent.
    pub store: Option<Arc<dyn Store>>,
    /// The admin token; that of the state directory where absent.
    pub token: Option<admin::Token>,
    /// What the settings were loaded by, so that they can be loaded again while it runs.
    pub flags: Flags,
}

/// A sidecar that runs.
pub struct Sidecar {
    /// Where agents connect.
    pub proxy: SocketAddr,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// The control plane.
    pub handle: Handle,
    /// What a person at the terminal is told.
    pub told: mpsc::UnboundedReceiver<Told>,
    switchboard: Arc<Switchboard>,
    tracer: Tracer,
    data: Server,
    doors: Server,
    stop: oneshot::Sender<()>,
    control: std::thread::JoinHandle<()>,
    life: admin::Life,
    gateway: Arc<Gateway>,
    _upkeep: Upkeep,
}

impl Sidecar {
    /// Starts: state first, then what it says in force, then the listeners. Spans are sent by tasks
    /// on the runtime that this is called on.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(settings: Settings, extras: Extras) -> Result<Self, StartError> {
        let clock = extras.clock.unwrap_or_else(|| Arc::new(SystemClock::start()));
        let dice: Arc<dyn Dice> = Arc::new(SystemDice);
        let metrics = Metrics::new();
        let tracer = Tracer::from_environment(&tokio::runtime::Handle::current())?;
        let store = match extras.store {
            Some(store) => store,
            None => opened(&settings, &clock, &dice)?,
        };
        let (observations, ordinary, reserved) =
            Observations::bounded(ORDINARY_LANE, RESERVED_LANE);
        let (told, telling) = mpsc::unbounded_channel();
        let parts = Parts {
            settings: settings.control.clone(),
            store,
            clock: Arc::clone(&clock),
            dice: Arc::clone(&dice),
            metrics: metrics.clone(),
            advisors: advisors(&settings, extras.advisor, &clock, &metrics)?,
            webhook: webhook(&settings)?,
            dropped: observations.dropped_counter(),
            told,
        };
        let endpoints = endpoints(&settings, None)?;
        let (control, bindings) = Control::load(parts, asked(&settings, &endpoints))?;
        let switchboard = Arc::new(Switchboard::new(bindings));
        let mut upkeep = Upkeep::default();
        let (pressure, memory) = upkeep.memory(settings.memory);
        let gateway = Gateway::new(
            settings.proxy.clone(),
            proxied(&settings, &endpoints),
            Doors {
                switchboard: Arc::clone(&switchboard),
                observations: observations.clone(),
                clock: Arc::clone(&clock),
                dice,
                metrics: metrics.clone(),
                tracer: tracer.clone(),
                pressure: pressure.clone(),
            },
        );
        let (handle, control, stop) = turning(control, &switchboard, ordinary, reserved)?;
        let known = || admin::Token::of(&settings.store.dir, settings.keep_state);
        let token = extras.token.map_or_else(known, Ok)?;
        let rooms = Rooms {
            clock,
            metrics,
            endpoints,
            switchboard: Arc::clone(&switchboard),
            gateway: Arc::clone(&gateway),
            handle: handle.clone(),
            pressure,
            memory,
        };
        let (data, doors, life) = rooms.open(settings, extras.flags, token, &mut upkeep)?;
        Ok(Self {
            proxy: data.local_addr(),
            admin: doors.local_addr(),
            handle,
            told: telling,
            switchboard,
            tracer,
            data,
            doors,
            stop,
            control,
            life,
            gateway,
            _upkeep: upkeep,
        })
    }

    /// What is in force.
    #[must_use]
    pub fn switchboard(&self) -> &Arc<Switchboard> {
        &self.switchboard
    }

    /// How its configuration stands, and the way to have it read again.
    #[must_use]
    pub fn life(&self) -> &admin::Life {
        &self.life
    }

    /// Stops: it is not ready any more, no new exchanges, those in flight end within the span, then
    /// evidence is flushed. Streams are told. Returns how many connections were cut.
    pub async fn stop(self, within: Duration) -> u64 {
        self.life.leave();
        self.gateway.leave();
        let gateway = Arc::clone(&self.gateway);
        let last_words = tokio::spawn(async move {
            tokio::time::sleep(within.saturating_sub(LAST_WORDS)).await;
            gateway.last_words();
        });
        let cut = self.data.drain(within).await;
        last_words.abort();
        self.tracer.shutdown().await;
        self.doors.drain(Duration::from_millis(200)).await;
        // The control thread may have ended already; then there is nobody to tell.
        let _ = self.stop.send(());
        let _ = tokio::task::spawn_blocking(move || self.control.join()).await;
        cut
    }
}

/// What runs before anybody can ask for it.
struct Rooms {
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    endpoints: Endpoints,
    switchboard: Arc<Switchboard>,
    gateway: Arc<Gateway>,
    handle: Handle,
    pressure: Pressure,
    memory: MemoryLimit,
}

impl Rooms {
    /// Opens the listeners, for agents and for operators, and keeps the configuration fresh.
    fn open(
        self,
        settings: Settings,
        flags: Flags,
        token: admin::Token,
        upkeep: &mut Upkeep,
    ) -> Result<(Server, Server, admin::Life), StartError> {
        let file = flags.config.as_ref().map(|file| file.display().to_string());
        let (life, asks) = admin::Life::new(file, self.clock.now());
        life.set_drain(settings.drain);
        let (handle, metrics) = (self.handle.clone(), self.metrics.clone());
        let desk = admin::Desk::new(handle, metrics, token, self.switchboard, life.clone());
        let doors = serve(settings.admin.clone(), House::default(), move |_| desk.clone())?;
        let house = House { metrics: Some(self.metrics.clone()), pressure: self.pressure };
        let gateway = Arc::clone(&self.gateway);
        let data = serve(within_means(&settings.listen), house, move |_| Proxy::new(&gateway))?;
        upkeep.certificate(data.certificate());
        upkeep.certificate(doors.certificate());
        let reloading = Reloading {
            flags,
            settings,
            endpoints: self.endpoints,
            gateway: self.gateway,
            control: self.handle,
            listeners: [data.rules().clone(), doors.rules().clone()],
            memory: self.memory,
            metrics: self.metrics,
            clock: self.clock,
            life: life.clone(),
        };
        upkeep.run(reloading.run(asks));
        Ok((data, doors, life))
    }
}

/// Starts the control plane: what it is reached by, its thread, and what ends it.
fn turning(
    control: Control,
    switchboard: &Arc<Switchboard>,
    ordinary: mpsc::Receiver<Observation>,
    reserved: mpsc::Receiver<Observation>,
) -> Result<(Handle, std::thread::JoinHandle<()>, oneshot::Sender<()>), StartError> {
    let (stop, stopping) = oneshot::channel();
    let board = Arc::clone(switchboard);
    let (handle, thread) = spawned(move |started| {
        run_control(control, &board, ordinary, reserved, started, stopping);
    })?;
    Ok((handle, thread, stop))
}

/// The control plane's thread, and what it is reached by once it runs.
fn spawned(
    run: impl FnOnce(&std::sync::mpsc::Sender<Handle>) + Send + 'static,
) -> Result<(Handle, std::thread::JoinHandle<()>), StartError> {
    let (started, starting) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || run(&started))
        .map_err(StartError::Thread)?;
    let handle = starting
        .recv()
        .map_err(|gone| StartError::Thread(std::io::Error::other(gone.to_string())))?;
    Ok((handle, thread))
}

/// No more connections than there are file descriptors for: one too many waits to be accepted, where
/// without a descriptor neither its peer nor the ledger could be reached.
pub(super) fn within_means(settings: &server::Settings) -> server::Settings {
    let most = process::most_connections();
    if most < settings.connections {
        let wanted = settings.connections;
        tracing::warn!(wanted, most, "too few file descriptors for limits.connections");
    }
    server::Settings { connections: settings.connections.min(most), ..settings.clone() }
}

/// The state directory of the settings.
fn opened(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
) -> Result<Arc<dyn Store>, StoreError> {
    let store = FileStore::open(&settings.store, Arc::clone(clock), Arc::clone(dice))?;
    Ok(Arc::new(store))
}

/// The panel of the settings, or of the one advisor that was handed in; `None` where there is none.
fn advisors(
    settings: &Settings,
    given: Option<Arc<dyn Advisor>>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Option<Arc<Panel>>, StartError> {
    let order = match given {
        Some(advisor) => vec![advisor],
        None => {
            let made = settings.advisors.order.iter().map(asked_advisor);
            made.collect::<Result<Vec<_>, _>>()?
        }
    };
    if order.is_empty() {
        return Ok(None);
    }
    let (clock, metrics) = (Arc::clone(clock), metrics.clone());
    Ok(Some(Arc::new(Panel::new(settings.advisors.settings, order, clock, metrics))))
}

/// Who is told of approvals and incidents.
pub(super) fn webhook(settings: &Settings) -> Result<Option<Webhook>, StartError> {
    settings.webhook.clone().map(Webhook::new).transpose().map_err(StartError::Webhook)
}

fn asked_advisor(one: &Configured) -> Result<Arc<dyn Advisor>, StartError> {
    let wrong = |what: String| StartError::Advisor { advisor: one.name.clone(), what };
    let endpoint =
        Endpoint::new(&one.url, one.upstream.clone()).map_err(|error| wrong(error.to_string()))?;
    let provider = Provider::new(Arc::new(endpoint), one.provider.clone()).map_err(wrong)?;
    Ok(Arc::new(ModelAdvisor::new(one.name.clone(), one.kind, provider, one.prices)))
}

/// The control plane's own thread: its runtime ends when it is told to stop, after the actors have
/// written what they know.
fn run_control(
    control: Control,
    switchboard: &Arc<Switchboard>,
    ordinary: mpsc::Receiver<Observation>,
    reserved: mpsc::Receiver<Observation>,
    started: &std::sync::mpsc::Sender<Handle>,
    stopping: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return,
    };
    runtime.block_on(async move {
        let (handle, running) = control.run(switchboard, ordinary, reserved);
        if started.send(handle).is_err() {
            return;
        }
        // A sender that is gone means the sidecar is gone too: stop all the same.
        let _ = stopping.await;
        running.finish().await;
    });
}
