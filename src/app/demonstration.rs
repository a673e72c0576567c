//! A sidecar for a story: state in memory, ports chosen by the system, an advisor that was recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::operator::{OperatorError, ask_admin};
use super::sidecar::{Extras, Sidecar, StartError};
use crate::admin::Token;
use crate::config::{Flags, PeerFlag, Settings, load};
use crate::control::advisor::RecordedAdvisor;
use crate::domain::message::PeerId;
use crate::live::Mode;
use crate::store::MemoryStore;

/// A sidecar in front of one peer, whose contract lives in memory.
pub struct Demonstration {
    sidecar: Sidecar,
    peer: PeerId,
    token: Token,
}

impl Demonstration {
    /// Starts one in front of the peer `name` at `url`. Where there are `answers`, by tool name, an
    /// advisor gives them; else there is none.
    ///
    /// # Errors
    /// As [`Sidecar::start`].
    pub fn start(
        name: &str,
        url: &str,
        answers: Option<BTreeMap<String, Value>>,
    ) -> Result<Self, StartError> {
        let any_port = Some("127.0.0.1:0".to_owned());
        let flags = Flags {
            peers: vec![PeerFlag { name: Some(name.to_owned()), url: url.to_owned() }],
            listen: any_port.clone(),
            admin: any_port,
            ..Flags::default()
        };
        let settings = Settings { keep_state: false, ..load(&flags)? };
        let token = Token::random()?;
        let extras = Extras {
            advisor: answers.map(|answers| Arc::new(RecordedAdvisor::new(answers)) as _),
            store: Some(Arc::new(MemoryStore::default())),
            token: Some(token.clone()),
            ..Extras::default()
        };
        let peer = settings.control.peers[0].id.clone();
        Ok(Self { sidecar: Sidecar::start(settings, extras)?, peer, token })
    }

    /// The URL of a path behind the sidecar.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.sidecar.proxy)
    }

    /// What the admin listener answers at `path`, as `stipula --json` is answered.
    ///
    /// # Errors
    /// As [`ask_admin`].
    pub async fn ask(&self, path: &str) -> Result<Value, OperatorError> {
        ask_admin(&self.admin(), Method::GET, path, None, Bytes::new()).await
    }

    /// Tells the admin listener what a person decided, as the command line does.
    ///
    /// # Errors
    /// As [`ask_admin`].
    pub async fn tell(&self, path: &str, body: &Value) -> Result<Value, OperatorError> {
        let token = Some(self.token.reveal());
        ask_admin(&self.admin(), Method::POST, path, token, body.to_string().into()).await
    }

    fn admin(&self) -> String {
        format!("http://{}", self.sidecar.admin)
    }

    /// Judges and records from now on, and neither alters nor blocks.
    ///
    /// # Errors
    /// Where the control plane has stopped.
    pub async fn observe(&self) -> Result<(), String> {
        self.set_mode(Mode::Observe).await
    }

    /// Mends, holds and refuses from now on; returns when what was open has been worked on.
    ///
    /// # Errors
    /// Where the control plane has stopped.
    pub async fn enforce(&self) -> Result<(), String> {
        self.set_mode(Mode::Enforce).await
    }

    /// Begins a new window of the coherence score.
    ///
    /// # Errors
    /// Where the control plane has stopped.
    pub async fn open_window(&self) -> Result<(), String> {
        let opened = self.sidecar.handle.open_window(&self.peer).await;
        opened.map(drop).map_err(|error| error.to_string())
    }

    /// The peer's status once everything that was observed has been taken.
    ///
    /// # Errors
    /// Where the control plane has stopped.
    pub async fn settled(&self) -> Result<Value, String> {
        self.sidecar.handle.review(&self.peer).await.map_err(|error| error.to_string())?;
        Ok(self.status())
    }

    /// The peer's status as JSON.
    #[must_use]
    pub fn status(&self) -> Value {
        json!(self.sidecar.handle.status().peers.first())
    }

    /// Every drift event as JSON.
    #[must_use]
    pub fn events(&self) -> Value {
        self.sidecar.handle.drift().into_iter().map(|(_, event)| json!(event)).collect()
    }

    /// The routine in force as JSON.
    #[must_use]
    pub fn routine(&self) -> Value {
        let snapshot = self.sidecar.switchboard().load();
        let contract = snapshot.peers.get(&self.peer).and_then(|binding| binding.contract.as_ref());
        json!(contract.map(|contract| &contract.routine))
    }

    /// Stops it.
    pub async fn stop(self, within: Duration) {
        self.sidecar.stop(within).await;
    }

    async fn set_mode(&self, mode: Mode) -> Result<(), String> {
        let handle = &self.sidecar.handle;
        let set = handle.set_mode(&self.peer, mode, None).await;
        set.map_err(|error| error.to_string())?;
        handle.review(&self.peer).await.map(drop).map_err(|error| error.to_string())
    }
}
