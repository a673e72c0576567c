//! The order of the steps, and nothing else.

use http::{Request, Response, StatusCode};

use super::admit;
use super::bind;
use super::gateway::Proxy;
use super::relay;
use super::release;
use crate::domain::message::{Era, Verdict};
use crate::wire::protocol::mcp::{Method, Posted};
use crate::wire::transport::body::Body;
use crate::wire::transport::server::{ConnectionFacts, Handler};

impl Handler for Proxy {
    async fn handle(self, request: Request<Body>, _facts: ConnectionFacts) -> Response<Body> {
        walk(self, request).await
    }
}

async fn walk(proxy: Proxy, request: Request<Body>) -> Response<Body> {
    let Some(_place) = proxy.gateway.place() else {
        return release::plain(StatusCode::SERVICE_UNAVAILABLE, "too many exchanges at once\n");
    };
    let Some(arrival) = admit::route(proxy, request) else {
        return release::plain(StatusCode::NOT_FOUND, "no peer has this name\n");
    };
    let seen = bind::now(&arrival.lane);
    if !arrival.speaks_mcp() || !(seen.sealed() || arrival.lane.gate().peer.seal_on_first_use) {
        return relay::stream(arrival).await;
    }
    let (exchange, posted) = match arrival.read().await {
        Ok(read) => read,
        Err(refused) => return release::refusal(&refused, None, Era::Modern),
    };
    match posted {
        Posted::Batch(_) => relay::message(exchange, None, false).await,
        Posted::One(envelope) => {
            if envelope.method == Method::ToolsCall {
                exchange.lane.gate().metrics.exchange(Verdict::Passed);
            }
            relay::message(exchange, Some(&envelope), false).await
        }
    }
}
