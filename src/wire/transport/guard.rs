//! Whose requests are taken: `Host` and `Origin` against lists (DNS rebinding, MCP security).

/// Names and origins that are taken beside the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `Host` names, without a port, that are taken beside loopback names and the bound address.
    pub hosts: Vec<String>,
    /// Origins (`https://app.example`) that are taken beside loopback origins.
    pub origins: Vec<String>,
}
