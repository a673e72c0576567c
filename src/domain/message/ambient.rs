//! Time and chance as arguments: what the pure rooms are handed instead of asking the system.

use uuid::Uuid;

use super::UnixMillis;

/// Tells the time. The one that asks the system lives in `app`; tests hand in their own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall time, for records and lifetimes.
    fn now(&self) -> UnixMillis;
    /// Microseconds since an arbitrary moment, never going back, for spans.
    fn monotonic_micros(&self) -> u64;
}

/// Gives names nobody has used. The one that asks the system lives in `app`.
pub trait Dice: Send + Sync + std::fmt::Debug {
    /// A fresh version 4 UUID.
    fn uuid(&self) -> Uuid;
}
