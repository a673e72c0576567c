//! What a reload of the configuration changes about one peer while it runs.

use std::sync::Arc;

use super::actor::Peer;
use super::settings::PeerSettings;
use crate::domain::evidence::RecordBody;
use crate::domain::message::Millis;
use crate::wire::protocol::mcp::peer::PeerClient;

/// What holds for a peer from now on.
pub struct Anew {
    /// Its settings.
    pub settings: PeerSettings,
    /// How it is asked, where that is another way.
    pub client: Option<PeerClient>,
    /// The keys of the configuration that changed, for the record.
    pub keys: String,
}

impl Peer {
    /// Goes by these settings from now on. A mode that was
    /// set while the sidecar ran stays, unless the reload changed that very key.
    pub(super) fn configure(&mut self, anew: Anew) -> String {
        let Anew { settings, client, keys } = anew;
        if let Some(client) = client {
            self.client = Arc::new(client);
        }
        let before = std::mem::replace(&mut self.settings, settings);
        let now = &self.settings;
        if now.mode != before.mode {
            self.mode = now.mode;
        }
        for (tool, mode) in &now.tools {
            if before.tools.get(tool) != Some(mode) {
                self.modes.insert(tool.clone(), *mode);
            }
        }
        self.modes
            .retain(|tool, _| !before.tools.contains_key(tool) || now.tools.contains_key(tool));
        if now.max_age != before.max_age {
            // Without one of its own, the next reading says how old a surface may be.
            self.max_age = now.max_age.unwrap_or(Millis(0));
        }
        let samples = |of: &PeerSettings| (of.inference_samples > 0, of.semantic.on);
        if samples(now) != samples(&before) {
            // Which replies are sampled is part of what is in force.
            self.tools.values_mut().for_each(|life| life.binding = None);
        }
        for life in self.tools.values_mut() {
            // What another mode had left open is taken up.
            life.judged = None;
        }
        self.pending.asked = true;
        if keys.is_empty() {
            return format!("{}: dialled otherwise", self.id());
        }
        let (event, detail) = ("configured".to_owned(), keys);
        let record = self.shared.scribe.record(self.id(), RecordBody::Lifecycle { event, detail });
        self.shared.scribe.later(record);
        format!("{}: configured", self.id())
    }
}
