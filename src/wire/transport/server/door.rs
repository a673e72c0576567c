//! Who may connect: places for all, places for each address, none while memory is short. Who may not is
//! told so, and counted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{House, Settings};
use crate::telemetry::Limit;
use crate::wire::transport::budget::resize;
use crate::wire::transport::pressure::Level;

/// How long somebody who is turned away may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes of theirs that are read meanwhile and thrown away.
const FAREWELL_BYTES: usize = 64 * 1024;

/// The door of one listener.
#[derive(Debug)]
pub(super) struct Door {
    places: Arc<Semaphore>,
    per_address: AtomicUsize,
    /// How many connections each address has.
    inside: Mutex<HashMap<IpAddr, usize>>,
    house: House,
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Shut {
    #[error("too many connections from this address; use one again, or try later")]
    PerAddress,
    #[error("no memory for another connection; use one again, or try later")]
    Memory,
}

/// A connection that was let in; it leaves when this is dropped.
pub(super) struct Guest {
    address: IpAddr,
    door: Arc<Door>,
}

impl Door {
    pub(super) fn new(settings: &Settings, house: House) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS))),
            per_address: AtomicUsize::new(settings.connections_per_address),
            inside: Mutex::default(),
            house,
        })
    }

    /// Goes by other settings from now on; who is inside stays.
    pub(super) fn replace(&self, before: &Settings, after: &Settings) {
        resize(&self.places, before.connections, after.connections);
        self.per_address.store(after.connections_per_address, Ordering::Relaxed);
    }

    /// A place for whoever comes next. While all are taken, who comes waits to be accepted.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        self.count(Limit::Connections);
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Lets somebody in.
    pub(super) fn enter(self: &Arc<Self>, remote: IpAddr) -> Result<Guest, Shut> {
        if self.house.pressure.level() >= Level::High {
            self.count(Limit::Memory);
            return Err(Shut::Memory);
        }
        let address = origin(remote);
        let mut inside = self.inside();
        let here = inside.entry(address).or_default();
        if *here >= self.per_address.load(Ordering::Relaxed) {
            drop(inside);
            self.count(Limit::PerAddress);
            return Err(Shut::PerAddress);
        }
        *here += 1;
        drop(inside);
        if let Some(metrics) = &self.house.metrics {
            metrics.connection_opened();
        }
        Ok(Guest { address, door: Arc::clone(self) })
    }

    pub(super) fn count(&self, limit: Limit) {
        if let Some(metrics) = &self.house.metrics {
            metrics.limit(limit);
        }
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        if let Some(here) = inside.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                inside.remove(&self.address);
            }
        }
        drop(inside);
        if let Some(metrics) = &self.door.house.metrics {
            metrics.connection_closed();
        }
    }
}

/// What counts as one address: IPv6 hands whole networks of 64 bits to one customer.
fn origin(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 => v4,
    }
}

/// Says why, in clear text, and closes. A handshake only to say no would cost more than it tells.
pub(super) async fn turn_away(mut stream: TcpStream, why: Shut) {
    let body = format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32603,"message":"{why}"}}}}"#);
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let farewell = async {
        let mut rest = [0; 4096];
        // An answer to a question that was not begun is taken for noise.
        let mut read = stream.read(&mut rest).await?;
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing over bytes that nobody read resets the connection, and the answer is lost.
        let mut left = FAREWELL_BYTES;
        while read > 0 && left > 0 {
            left = left.saturating_sub(read);
            read = stream.read(&mut rest).await?;
        }
        std::io::Result::Ok(())
    };
    // Whether it was read is the agent's affair.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_address() {
        for (remote, expected) in [
            ("10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(origin(remote.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn who_left_may_be_followed_by_another() {
        let settings = Settings { connections_per_address: 2, ..Settings::default() };
        let door = Door::new(&settings, House::default());
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = door.enter(one).ok().unwrap();
        let second = door.enter(one).ok().unwrap();
        assert_eq!(door.enter(one).err(), Some(Shut::PerAddress));
        assert!(door.enter(other).is_ok());
        drop(first);
        assert!(door.enter(one).is_ok());
        drop(second);
        assert!(door.inside().is_empty());
    }
}
