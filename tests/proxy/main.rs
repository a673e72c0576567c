//! The data plane over real sockets: a peer that answers as it is told, a sidecar, an agent.

mod edges;
mod errors;
mod failing;
mod heals;
mod replies;
mod rig;
mod rounds;
mod undecided;
