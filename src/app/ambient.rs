//! The one clock and the one source of names that ask the system.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::domain::message::{Clock, Dice, UnixMillis};

/// The one clock that asks the system.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the process")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock of the process")]
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The one source of names that asks the system.
#[derive(Debug)]
pub struct SystemDice;

impl Dice for SystemDice {
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            // A system without randomness cannot name anything apart; the address of a fresh
            // allocation and the time are the best that is left, and the version says it is not random.
            return Uuid::from_u128(u128::from(fallback_number()));
        }
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

fn fallback_number() -> u64 {
    static CLOCK: OnceLock<SystemClock> = OnceLock::new();
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let clock = CLOCK.get_or_init(SystemClock::start);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    clock.now().0.rotate_left(20) ^ clock.monotonic_micros() ^ (count << 48)
}
