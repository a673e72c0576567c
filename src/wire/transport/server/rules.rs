//! What connections are taken and kept by. A reload puts other rules in the place of these; a connection
//! keeps those that it was accepted under.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;

use super::Settings;
use super::connection::http;
use super::door::Door;
use crate::wire::transport::body::Pace;

/// The rules that hold now. Clones share them.
#[derive(Clone)]
pub struct Rules {
    now: Arc<ArcSwap<Rule>>,
    pub(super) door: Arc<Door>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rules").field(&self.now.load().settings).finish()
    }
}

/// What one connection goes by to its end.
pub(super) struct Rule {
    pub(super) settings: Arc<Settings>,
    pub(super) pace: Arc<Pace>,
    pub(super) http: auto::Builder<TokioExecutor>,
}

impl Rule {
    fn of(settings: Settings) -> Self {
        let pace = Pace {
            window: settings.progress_window,
            bytes: settings.progress_bytes,
            whole: Some(settings.receipt),
        };
        Self { http: http(&settings), pace: Arc::new(pace), settings: Arc::new(settings) }
    }
}

impl Rules {
    pub(super) fn new(settings: Settings, door: Arc<Door>) -> Self {
        Self { now: Arc::new(ArcSwap::from_pointee(Rule::of(settings))), door }
    }

    pub(super) fn now(&self) -> Arc<Rule> {
        self.now.load_full()
    }

    /// Connections that are accepted from now on go by these settings. The address, the threads and the
    /// certificate's files stay as they were at the start. Call it on a runtime; calls must not overlap.
    pub fn replace(&self, settings: Settings) {
        self.door.replace(&self.now().settings, &settings);
        self.now.store(Arc::new(Rule::of(settings)));
    }
}
