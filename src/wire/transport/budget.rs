//! What all bodies that are held at once may take, and reading one to its end within it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::{Body, BodyError};

/// How many bytes of bodies the process may hold at once. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    units: Arc<Semaphore>,
    patience: Duration,
}

/// Bytes that were taken from the [`BodyBudget`]; given back when dropped.
#[derive(Debug)]
pub struct BodyPermit {
    units: OwnedSemaphorePermit,
}

/// Memory is granted in pieces of this many bytes to bodies that do not tell their length.
const PIECE: usize = 64 * 1024;

impl Default for BodyBudget {
    /// 256 MiB, and 5 s of patience.
    fn default() -> Self {
        Self::new(256 * 1024 * 1024, Duration::from_secs(5))
    }
}

impl BodyBudget {
    /// A budget of this many bytes; whoever needs more than is free waits, and is refused when
    /// `patience` is over.
    #[must_use]
    pub fn new(bytes: usize, patience: Duration) -> Self {
        Self { units: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))), patience }
    }

    /// Allows `after` bytes in place of `before`. What is held beyond the new limit stays held, and
    /// nothing more is granted until it is free again. Call it on a runtime.
    pub fn resize(&self, before: usize, after: usize) {
        resize(&self.units, before, after);
    }

    /// Bytes that are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.units.available_permits()
    }

    pub(super) async fn take(&self, bytes: usize) -> Result<BodyPermit, CollectError> {
        let count = u32::try_from(bytes).map_err(|_| CollectError::OverBudget)?;
        // Free memory costs no timer.
        if let Ok(units) = Arc::clone(&self.units).try_acquire_many_owned(count) {
            return Ok(BodyPermit { units });
        }
        let units = Arc::clone(&self.units).acquire_many_owned(count);
        match tokio::time::timeout(self.patience, units).await {
            Ok(Ok(units)) => Ok(BodyPermit { units }),
            Ok(Err(_)) | Err(_) => Err(CollectError::OverBudget),
        }
    }
}

/// Makes a count of `before` permits one of `after`; permits that are out are taken away as they come
/// back, before anybody else gets them.
pub(in crate::wire::transport) fn resize(permits: &Arc<Semaphore>, before: usize, after: usize) {
    let [before, after] = [before, after].map(|count| count.min(Semaphore::MAX_PERMITS));
    if after > before {
        permits.add_permits(after - before);
    }
    let less = before.saturating_sub(after);
    let mut owed = less - permits.forget_permits(less);
    if owed == 0 {
        return;
    }
    let permits = Arc::clone(permits);
    tokio::spawn(async move {
        while owed > 0 {
            // As many at once as one request may name.
            let part = u32::try_from(owed).unwrap_or(u32::MAX);
            match Arc::clone(&permits).acquire_many_owned(part).await {
                Ok(taken) => taken.forget(),
                // Nobody counts any more.
                Err(_) => return,
            }
            owed -= part as usize;
        }
    });
}

impl BodyPermit {
    /// Takes more where `bytes` are not granted yet.
    pub(super) async fn grow_to(
        &mut self,
        bytes: usize,
        budget: &BodyBudget,
    ) -> Result<(), CollectError> {
        let granted = self.units.num_permits();
        if bytes > granted {
            let more = budget.take((bytes - granted).max(PIECE)).await?;
            self.units.merge(more.units);
        }
        Ok(())
    }
}

/// A body that was read to its end, with the memory it was granted.
#[derive(Debug)]
pub struct Collected {
    /// The whole body.
    pub bytes: Bytes,
    /// Give it back by dropping it when the bytes are no longer held.
    pub permit: BodyPermit,
}

/// Why a body was not collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It is longer than the limit.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// All bodies together would take more memory than is allowed, for too long.
    #[error("no memory for the body came free in time")]
    OverBudget,
    /// It broke off or came too slowly.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Reads a body to its end: one frame without a copy, several into one presized buffer. A body
/// that declares more than `limit` bytes is refused before it is read.
///
/// # Errors
/// See [`CollectError`].
pub async fn collect(
    mut body: Body,
    limit: usize,
    budget: &BodyBudget,
) -> Result<Collected, CollectError> {
    let declared = body.size_hint().exact().map(|length| usize::try_from(length).ok());
    let expected = match declared {
        Some(length) => {
            length.filter(|length| *length <= limit).ok_or(CollectError::TooLarge { limit })?
        }
        None => PIECE.min(limit),
    };
    let mut permit = budget.take(expected).await?;
    let mut whole = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(data) = body.next_data().await? {
        let length = whole.len() + rest.len() + data.len();
        if length > limit {
            return Err(CollectError::TooLarge { limit });
        }
        permit.grow_to(length, budget).await?;
        if whole.is_empty() && rest.is_empty() {
            whole = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(expected.max(length));
            rest.extend_from_slice(&std::mem::take(&mut whole));
        }
        rest.extend_from_slice(&data);
    }
    Ok(Collected { bytes: if rest.is_empty() { whole } else { rest.freeze() }, permit })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn one_frame_is_not_copied_and_its_memory_comes_back() {
        let budget = BodyBudget::new(100, PATIENCE);
        let bytes = Bytes::from(vec![b'x'; 40]);
        let collected = collect(Body::full(bytes.clone()), 40, &budget).await.unwrap();
        assert_eq!(collected.bytes.as_ptr(), bytes.as_ptr());
        assert_eq!(budget.free(), 60);
        let body = Body::full(collected.bytes).holding(collected.permit);
        assert_eq!(budget.free(), 60);
        drop(body);
        assert_eq!(budget.free(), 100);
    }

    #[tokio::test]
    async fn frames_are_put_together_up_to_the_limit() {
        let budget = BodyBudget::default();
        for (limit, fits) in [(6, true), (5, false)] {
            let (sender, body) = Body::channel(3);
            for frame in ["ab", "cd", "ef"] {
                sender.send(Bytes::from_static(frame.as_bytes())).await.unwrap();
            }
            drop(sender);
            let collected = collect(body, limit, &budget).await;
            match collected {
                Ok(collected) => assert!(fits && collected.bytes == "abcdef"),
                Err(error) => {
                    assert!(!fits && matches!(error, CollectError::TooLarge { limit: 5 }));
                }
            }
        }
        let declared = collect(Body::full(Bytes::from_static(b"abc")), 2, &budget).await;
        assert!(matches!(declared, Err(CollectError::TooLarge { limit: 2 })));
    }

    #[tokio::test(start_paused = true)]
    async fn who_needs_more_than_is_free_waits_and_is_refused() {
        let budget = BodyBudget::new(100, PATIENCE);
        let bytes = |length| Body::full(vec![b'x'; length].into());
        let first = collect(bytes(80), 100, &budget).await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(matches!(collect(bytes(30), 100, &budget).await, Err(CollectError::OverBudget)));
        assert_eq!(began.elapsed(), PATIENCE);
        let (waiting, ()) = tokio::join!(collect(bytes(30), 100, &budget), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert_eq!(waiting.unwrap().bytes.len(), 30);
    }

    #[tokio::test]
    async fn a_smaller_budget_takes_back_what_is_out_first() {
        let budget = BodyBudget::new(100, PATIENCE);
        let held = budget.take(80).await.unwrap();
        budget.resize(100, 50);
        assert_eq!(budget.free(), 0);
        tokio::task::yield_now().await;
        drop(held);
        // 80 come back, 30 of them are owed.
        while budget.free() < 50 {
            tokio::task::yield_now().await;
        }
        budget.resize(50, 70);
        assert_eq!(budget.free(), 70);
        budget.resize(70, 10);
        assert_eq!(budget.free(), 10);
    }

    #[tokio::test]
    async fn a_body_that_was_given_up_is_broken_and_never_short() {
        let (sender, body) = Body::channel(2);
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        sender.fail().await;
        let collected = collect(body, 10, &BodyBudget::default()).await;
        assert!(matches!(collected, Err(CollectError::Body(BodyError::GivenUp))));
    }
}
