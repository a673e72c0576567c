//! The protocols that are spoken over the transports, one room each.

pub mod advisor;
pub mod mcp;
pub mod taxonomy;
