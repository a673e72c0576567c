//! The agent of the story: an rmcp client that knows v1 and keeps calling with v1 arguments.

use rmcp::RoleClient;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Map, Value, json};

use super::story::DemoError;

/// Calls a phase makes.
pub(super) const CALLS: usize = 60;

/// What came of one phase, as the agent saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) succeeded: usize,
    pub(super) tool_errors: usize,
    pub(super) refused: usize,
    /// Successful searches that carried every field that v1 promised.
    pub(super) whole: usize,
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

    /// The calls of one phase: 45 searches, of which 16 find no seat, and 15 look-ups.
    pub(super) async fn work(&self) -> Result<Seen, DemoError> {
        let mut seen = Seen::default();
        for call in 0..CALLS {
            self.call(planned(call), &mut seen).await?;
        }
        Ok(seen)
    }

    async fn call(
        &self,
        (tool, arguments): (&'static str, Value),
        seen: &mut Seen,
    ) -> Result<(), DemoError> {
        let arguments: Map<String, Value> = arguments.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.client.call_tool(request).await {
            Ok(result) if result.is_error == Some(true) => seen.tool_errors += 1,
            Ok(result) => {
                seen.succeeded += 1;
                let promised = ["flight_number", "departs_at", "price_chf"];
                let whole = result.structured_content.is_some_and(|content| {
                    tool == "search_flights" && promised.iter().all(|n| content.get(n).is_some())
                });
                seen.whole += usize::from(whole);
            }
            Err(rmcp::ServiceError::McpError(_)) => seen.refused += 1,
            Err(error) => return Err(DemoError::client(error)),
        }
        Ok(())
    }

    /// Leaves.
    pub(super) async fn leave(self) -> Result<(), DemoError> {
        self.client.cancel().await.map(drop).map_err(DemoError::client)
    }
}

/// The call at a place of the plan. Every fourth looks an airport up; of the searches 16 of 45, evenly
/// spread, ask for a route that has no seats.
fn planned(call: usize) -> (&'static str, Value) {
    if call % 4 == 3 {
        let code = ["ZRH", "LIS", "BER"][(call / 4) % 3];
        return ("get_airport", json!({ "code": code }));
    }
    let search = call - call.div_ceil(4).min(call / 4);
    let fails = (search * 16) / 45 != ((search + 1) * 16) / 45;
    let (from, to) = if fails {
        ("ZRH", "BER")
    } else {
        [("ZRH", "LIS"), ("GVA", "OPO"), ("BSL", "BER")][search % 3]
    };
    let arguments = json!({ "origin": from, "destination": to, "departure_date": "2026-12-24" });
    ("search_flights", arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_45_searches_of_which_16_fail_and_15_look_ups() {
        let calls: Vec<_> = (0..CALLS).map(planned).collect();
        let searches: Vec<_> = calls.iter().filter(|(tool, _)| *tool == "search_flights").collect();
        let failing = searches
            .iter()
            .filter(|(_, arguments)| {
                arguments["origin"] == "ZRH" && arguments["destination"] == "BER"
            })
            .count();
        assert_eq!((searches.len(), failing, calls.len() - searches.len()), (45, 16, 15));
    }
}
