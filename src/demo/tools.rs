//! A server of a story is a name, its tools, and what a call of one does; the rest is rmcp's.

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
    InitializeResult, ListToolsResult, PaginatedRequestParams, ServerCapabilities, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value};

/// What a story's server offers and does. Clones are the same server.
pub(super) trait Tools: Clone + Send + Sync + 'static {
    /// The name that it gives itself.
    const NAME: &'static str;

    /// What it offers now.
    fn tools(&self) -> &[Tool];

    /// Runs a tool.
    fn call(&self, name: &str, given: &Map<String, Value>) -> Result<CallToolResult, ErrorData>;
}

/// Tools, as rmcp serves them.
#[derive(Clone)]
pub(super) struct Served<T>(pub(super) T);

impl<T: Tools> ServerHandler for Served<T> {
    fn get_info(&self) -> InitializeResult {
        InitializeResult::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(T::NAME, "1.0.0"))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.0.tools().to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.tools().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = request.arguments.unwrap_or_default();
        self.0.call(request.name.as_ref(), &given).map(Into::into)
    }
}
