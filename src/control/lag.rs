//! Waiting for observations that rest on their way to the actors.

use tokio::sync::{mpsc, oneshot};

/// How far the actors are behind what was observed: a batch that rests.
#[derive(Clone)]
pub(super) struct Lag(mpsc::Sender<oneshot::Sender<()>>);

/// Where the intake hears that somebody waits for it.
pub(super) type Behind = mpsc::Receiver<oneshot::Sender<()>>;

impl Lag {
    pub(super) fn new() -> (Self, Behind) {
        let (sender, behind) = mpsc::channel(1);
        (Self(sender), behind)
    }

    /// Returns when everything that was observed before is with the actors.
    pub(super) async fn catch_up(&self) {
        let (caught_up, done) = oneshot::channel();
        // An intake that has ended has nothing left.
        if self.0.send(caught_up).await.is_ok() {
            let _ = done.await;
        }
    }
}
