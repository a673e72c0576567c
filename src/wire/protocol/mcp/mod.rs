//! MCP as it stands on the wire, both eras.

pub mod peer;
