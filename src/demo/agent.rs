//! The agent of a story: an rmcp client that knows the tools of the beginning and keeps calling them.

use rmcp::RoleClient;
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::Value;

use super::stage::DemoError;

/// What came of a call, as the agent saw it.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// A result that is no error.
    Result(CallToolResult),
    /// A genuine error of the tool.
    ToolError,
    /// The peer or the sidecar refused, with this JSON-RPC code.
    Refused(i32),
}

/// A client over a real socket.
pub(super) struct Agent {
    client: RunningService<RoleClient, ()>,
}

impl Agent {
    /// Connects and lists the tools, as every client does first.
    pub(super) async fn connect(url: String) -> Result<Self, DemoError> {
        let transport = StreamableHttpClientTransport::from_uri(url);
        let client = ().serve(transport).await.map_err(DemoError::client)?;
        client.list_all_tools().await.map_err(DemoError::client)?;
        Ok(Self { client })
    }

    /// Calls a tool.
    pub(super) async fn call(
        &self,
        tool: &'static str,
        arguments: &Value,
    ) -> Result<Heard, DemoError> {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.client.call_tool(request).await {
            Ok(result) if result.is_error == Some(true) => Ok(Heard::ToolError),
            Ok(result) => Ok(Heard::Result(result)),
            Err(rmcp::ServiceError::McpError(error)) => Ok(Heard::Refused(error.code.0)),
            Err(error) => Err(DemoError::client(error)),
        }
    }

    /// Leaves.
    pub(super) async fn leave(self) -> Result<(), DemoError> {
        self.client.cancel().await.map(drop).map_err(DemoError::client)
    }
}
