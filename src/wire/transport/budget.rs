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

    /// Bytes that are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.units.available_permits()
    }

    async fn take(&self, bytes: usize) -> Result<BodyPermit, CollectError> {
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
        let granted = permit.units.num_permits();
        if length > granted {
            let more = budget.take((length - granted).max(PIECE)).await?;
            permit.units.merge(more.units);
        }
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
