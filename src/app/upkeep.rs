//! What is looked at again and again while a sidecar runs: memory, and certificates on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::process;
use crate::wire::transport::pressure::Pressure;
use crate::wire::transport::tls::Certificate;

/// How often memory is read.
const MEMORY_EVERY: Duration = Duration::from_millis(250);
/// How often the files of certificates are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(1);

/// How much memory the process may take, in bytes. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct MemoryLimit(Arc<AtomicU64>);

impl MemoryLimit {
    /// From now on this, else the cgroup's limit, else none.
    pub(super) fn set(&self, limit: Option<u64>) {
        self.0.store(limit.or_else(process::allowed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The watchers; they end when this is dropped.
#[derive(Default)]
pub(super) struct Upkeep {
    tasks: JoinSet<()>,
}

impl Upkeep {
    /// Watches memory against this limit, else against the cgroup's; the first reading is made here.
    pub(super) fn memory(&mut self, limit: Option<u64>) -> (Pressure, MemoryLimit) {
        let (pressure, most) = (Pressure::default(), MemoryLimit(Arc::default()));
        most.set(limit);
        let (told, limit) = (pressure.clone(), most.clone());
        let read = move || match limit.0.load(Ordering::Relaxed) {
            // Without a limit there is nothing to read.
            u64::MAX => told.tell(0, u64::MAX),
            limit => {
                if let Some(used) = process::resident() {
                    told.tell(used, limit);
                }
            }
        };
        read();
        self.tasks.spawn(every(MEMORY_EVERY, read));
        (pressure, most)
    }

    /// Runs something until the sidecar is gone.
    pub(super) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Watches the files of a listener's certificate.
    pub(super) fn certificate(&mut self, certificate: Option<&Arc<Certificate>>) {
        let Some(certificate) = certificate.map(Arc::clone) else { return };
        // Told once for each fault, not at every look.
        let mut told = None;
        self.tasks.spawn(every(CERTIFICATES_EVERY, move || {
            let chain = certificate.chain().display();
            match certificate.look() {
                Ok(changed) => {
                    told = None;
                    if changed {
                        tracing::info!(%chain, "the certificate was replaced");
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(%chain, error, "the certificate in force is kept");
                        told = Some(error);
                    }
                }
            }
        }));
    }
}

async fn every(span: Duration, mut look: impl FnMut()) {
    let mut ticks = interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look();
    }
}
