//! May one more exchange begin? The one place of this room where layers are stacked.
//!
//! ```text
//!   counted, in words ─► memory ─► load shed ─► Places, kept until the answer has ended ─► stack::exchange
//! ```

use std::convert::Infallible;

use http::Request;
use tower::{BoxError, ServiceBuilder, service_fn};

use super::gateway::Proxy;
use super::stack;
use crate::telemetry::Limit;
use crate::wire::transport::body::Body;
use crate::wire::transport::pressure::Level;
use crate::wire::transport::server::{Answering, ConnectionFacts, Handler};

/// Why no exchange begins; the agent reads it in a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Shed {
    #[error("too many exchanges at once; try again")]
    Exchanges,
    #[error("no memory for another exchange; try again")]
    Memory,
}

impl Handler for Proxy {
    fn connected(&self, _: ConnectionFacts) -> impl Answering {
        let (counting, reading, proxy) = (self.clone(), self.clone(), self.clone());
        ServiceBuilder::new()
            .map_err(move |why| counting.shed(&why))
            .filter(move |request: Request<Body>| {
                let short = reading.gateway().doors.pressure.level() == Level::Critical;
                if short { Err(Shed::Memory) } else { Ok(request) }
            })
            .load_shed()
            .layer(self.gateway().places.clone())
            .service(service_fn(move |request| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(stack::exchange(proxy, request).await) }
            }))
    }
}

impl Proxy {
    fn shed(&self, why: &BoxError) -> Shed {
        let shed = why.downcast_ref().copied().unwrap_or(Shed::Exchanges);
        self.gateway().doors.metrics.limit(match shed {
            Shed::Exchanges => Limit::Exchanges,
            Shed::Memory => Limit::Memory,
        });
        shed
    }
}
