//! May one more exchange begin? The one place of this room where layers are stacked.
//!
//! ```text
//!   counted, in words ─► load shed ─► Places, kept until the answer's body has ended ─► stack::exchange
//! ```

use std::convert::Infallible;

use tower::{BoxError, ServiceBuilder, service_fn};

use super::gateway::Proxy;
use super::stack;
use crate::telemetry::Limit;
use crate::wire::transport::server::{Answering, ConnectionFacts, Handler};

/// Why no exchange begins; the agent reads it in a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Shed {
    #[error("too many exchanges at once; try again")]
    Exchanges,
}

impl Handler for Proxy {
    fn connected(&self, _: ConnectionFacts) -> impl Answering {
        let (counting, proxy) = (self.clone(), self.clone());
        ServiceBuilder::new()
            .map_err(move |_: BoxError| {
                counting.gateway().doors.metrics.limit(Limit::Exchanges);
                Shed::Exchanges
            })
            .load_shed()
            .layer(self.gateway().places.clone())
            .service(service_fn(move |request| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(stack::exchange(proxy, request).await) }
            }))
    }
}
