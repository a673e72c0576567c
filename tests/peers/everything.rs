//! npm's server-everything over Streamable HTTP, on a port of its own.

use std::path::Path;

use super::children::{Running, free_port, node};

/// A server that runs until it is dropped.
pub(crate) struct Everything {
    /// Where it speaks MCP.
    pub(crate) url: String,
    _running: Running,
}

impl Everything {
    /// Starts it and waits until it listens.
    pub(crate) fn start(home: &Path) -> Self {
        let port = free_port();
        let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let mut command = node(home, script);
        let running = Running::start(command.arg("streamableHttp").env("PORT", port.to_string()));
        running.until(|line| line.contains("listening on port").then_some(()));
        Self { url: format!("http://127.0.0.1:{port}/mcp"), _running: running }
    }
}
