//! A server whose tools change: in a way that can be healed, and in a way that cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
    InitializeResult, ListToolsResult, PaginatedRequestParams, ServerCapabilities, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

/// What becomes of the server after it was sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// `find_room` spells its names otherwise.
    Renamed = 1,
    /// `find_room` as before; `count_rooms` is gone.
    Gone = 2,
}

/// The server; clones are one server.
#[derive(Clone, Default)]
pub(crate) struct Rooms {
    time: Arc<AtomicU8>,
}

impl Rooms {
    /// Changes the server.
    pub(crate) fn become_of(&self, time: Time) {
        self.time.store(time as u8, Ordering::SeqCst);
    }

    fn is(&self, time: Time) -> bool {
        self.time.load(Ordering::SeqCst) == time as u8
    }

    fn names(&self) -> [&'static str; 2] {
        if self.is(Time::Renamed) {
            ["cityName", "pricePerNight"]
        } else {
            ["city_name", "price_per_night"]
        }
    }

    fn tools(&self) -> Vec<Tool> {
        let [city, price] = self.names();
        let find = json!({
            "name": "find_room",
            "description": "Finds a free room in a city",
            "inputSchema": {
                "type": "object",
                "properties": { city: { "type": "string", "description": "Name of the city" } },
                "required": [city],
                "additionalProperties": false,
            },
            "outputSchema": {
                "type": "object",
                "properties": {
                    "room": { "type": "string", "description": "Number of the room" },
                    price: { "type": "number", "description": "Price of a night in Swiss francs" },
                },
                "required": ["room", price],
                "additionalProperties": false,
            },
            "annotations": { "readOnlyHint": true },
        });
        let count = json!({
            "name": "count_rooms",
            "description": "Counts the free rooms",
            "inputSchema": { "type": "object", "properties": {} },
            "annotations": { "readOnlyHint": true },
        });
        let all = if self.is(Time::Gone) { vec![find] } else { vec![find, count] };
        serde_json::from_value(Value::Array(all)).unwrap()
    }
}

impl ServerHandler for Rooms {
    fn get_info(&self) -> InitializeResult {
        InitializeResult::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("rooms", "1.0.0"))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        if self.get_tool(name).is_none() {
            return Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None));
        }
        if name == "count_rooms" {
            return Ok(CallToolResult::structured(json!({ "free": 3 })).into());
        }
        let [city, price] = self.names();
        let arguments = request.arguments.unwrap_or_default();
        let Some(asked) = arguments.get(city).and_then(Value::as_str) else {
            let why = format!("find_room: missing required argument `{city}`");
            return Err(ErrorData::invalid_params(why, None));
        };
        let mut found = json!({ "room": format!("{asked} 12"), price: 120.5 });
        if asked == "Nowhere" {
            // Not what the output schema promises.
            found[price] = json!("dear");
        }
        Ok(CallToolResult::structured(found).into())
    }
}
