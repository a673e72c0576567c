//! `stipula run`.

use std::time::Duration;

use super::arguments::Run;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure};
use crate::app::{Extras, Sidecar};
use crate::config::{self, PeerFlag};

/// How long exchanges in flight may take to end once we are told to stop.
const DRAIN: Duration = Duration::from_secs(30);

pub(super) fn run(options: Run, screen: &Screen) -> Result<Answer, Failure> {
    without_huge_pages();
    let flags = config::Flags {
        config: options.config,
        peers: options.peers.iter().map(|text| PeerFlag::of(text)).collect(),
        listen: options.listen,
        admin: options.admin,
        mode: options.mode,
        seal: options.seal,
        state: options.state,
        signing_key: options.signing_key,
    };
    let settings = config::load(&flags).map_err(|error| Failure::usage(chain(&error)))?;
    settings.start_logs(Screen::wants_colours()).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    runtime.block_on(until_stopped(settings, screen))
}

/// The allocator asks for pages of 2 MiB, most of which a sidecar never fills: 15 MiB of memory that
/// nobody uses.
#[cfg(target_os = "linux")]
fn without_huge_pages() {
    // A kernel without such pages has nothing to refuse.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
const fn without_huge_pages() {}

async fn until_stopped(settings: config::Settings, screen: &Screen) -> Result<Answer, Failure> {
    // Armed before the ready line is out, so that whoever waits for it may stop us at once.
    let signals = Signals::armed().map_err(|error| Failure::usage(chain(&error)))?;
    let mut sidecar = Sidecar::start(settings, Extras::default())
        .map_err(|error| Failure::usage(chain(&error)))?;
    screen.note(format!("listening proxy={} admin={}", sidecar.proxy, sidecar.admin));
    let watched = Screen::is_watched();
    if watched {
        let hint = format!("point your agent at http://{}; Ctrl-C stops", sidecar.proxy);
        screen.note(toned(Tone::Quiet, hint));
    }
    let stop = signals.first();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            told = sidecar.told.recv() => match told {
                Some(told) => screen.note(told),
                None => {
                    // Nothing is told any more; only a signal is left to wait for.
                    stop.await;
                    break;
                }
            },
        }
    }
    if watched {
        screen.note(toned(
            Tone::Quiet,
            "stopping: exchanges in flight may end, once more stops at once",
        ));
    }
    let again = Signals::armed().map_err(|error| Failure::usage(chain(&error)))?;
    tokio::select! {
        cut = sidecar.stop(DRAIN) => {
            if cut > 0 {
                screen.note(format!("{cut} connections were cut after {} s", DRAIN.as_secs()));
            }
        }
        () = again.first() => {}
    }
    Ok(Answer::Yes)
}

/// What asks us to stop: Ctrl-C, or the supervisor.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn armed() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn first(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
