//! `stipula run`.

use super::arguments::Run;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure};
use crate::app::{Extras, Sidecar};
use crate::config::{self, PeerFlag};

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
    runtime.block_on(until_stopped(settings, flags, screen))
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

async fn until_stopped(
    settings: config::Settings,
    flags: config::Flags,
    screen: &Screen,
) -> Result<Answer, Failure> {
    // Armed before the ready line is out, so that whoever waits for it may stop us at once.
    let mut signals = Signals::armed().map_err(|error| Failure::usage(chain(&error)))?;
    // Without a file there is nothing to read again, and a terminal that is closed ends us.
    let reloads = flags.config.is_some();
    let extras = Extras { flags, ..Extras::default() };
    let mut sidecar =
        Sidecar::start(settings, extras).map_err(|error| Failure::usage(chain(&error)))?;
    screen.note(format!("listening proxy={} admin={}", sidecar.proxy, sidecar.admin));
    let watched = Screen::is_watched();
    if watched {
        let hint = format!("point your agent at http://{}; Ctrl-C stops", sidecar.proxy);
        screen.note(toned(Tone::Quiet, hint));
    }
    loop {
        tokio::select! {
            told = signals.next() => {
                if told == Asked::Stop || !reloads {
                    break;
                }
                let life = sidecar.life().clone();
                // Beside us, so that a signal to stop is heard meanwhile; what came of it is logged.
                tokio::spawn(async move { life.reload("SIGHUP").await });
            }
            Some(told) = sidecar.told.recv() => screen.note(told),
        }
    }
    if watched {
        screen.note(toned(
            Tone::Quiet,
            "stopping: exchanges in flight may end, once more stops at once",
        ));
    }
    let within = sidecar.life().drain();
    tokio::select! {
        cut = sidecar.stop(within) => {
            if cut > 0 {
                screen.note(format!("{cut} connections were cut after {} ms", within.as_millis()));
            }
        }
        () = signals.stop() => {}
    }
    Ok(Answer::Yes)
}

/// What a signal asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

/// What is told from outside: Ctrl-C or the supervisor to stop, SIGHUP to read the configuration again.
struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn armed() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits until something is asked of us.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits until we are told to stop.
    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
