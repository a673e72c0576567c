//! The peer of the story: an MCP server built with rmcp, whose `search_flights` goes from v1 to v2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, Tool};
use serde_json::{Map, Value, json};

use crate::demo::stage::DemoError;
use crate::demo::tools::Tools;

/// The definitions before and after the change.
const V1: &str = include_str!("../../../fixtures/demo/v1.json");
const V2: &str = include_str!("../../../fixtures/demo/v2.json");

/// Flights that are known: route, number, time, price in Swiss francs.
const FLIGHTS: [(&str, &str, &str, &str, f64); 3] = [
    ("ZRH", "LIS", "LX 2084", "07:35", 129.5),
    ("GVA", "OPO", "LX 2056", "12:10", 98.0),
    ("BSL", "BER", "U2 1187", "18:45", 54.25),
];
/// Airports that are known.
const AIRPORTS: [(&str, &str, &str); 3] =
    [("ZRH", "Zürich", "CH"), ("LIS", "Lisboa", "PT"), ("BER", "Berlin Brandenburg", "DE")];

/// The server's tools at both times, and which time it is.
#[derive(Clone)]
pub(super) struct Flights {
    before: Arc<[Tool]>,
    after: Arc<[Tool]>,
    changed: Arc<AtomicBool>,
}

impl Flights {
    /// The server as it is before the change. Clones are the same server.
    pub(super) fn new() -> Result<Self, DemoError> {
        let tools = |text: &str| serde_json::from_str::<Vec<Tool>>(text).map(Into::into);
        Ok(Self { before: tools(V1)?, after: tools(V2)?, changed: Arc::default() })
    }

    /// From now on the server is v2.
    pub(super) fn change(&self) {
        self.changed.store(true, Ordering::SeqCst);
    }

    fn search(&self, arguments: &Map<String, Value>) -> Result<CallToolResult, ErrorData> {
        let v2 = self.changed.load(Ordering::SeqCst);
        let names = if v2 {
            ["origin_airport", "destination_airport", "departureDate"]
        } else {
            ["origin", "destination", "departure_date"]
        };
        let mut given = Vec::new();
        for name in names.into_iter().chain(v2.then_some("cabin_class")) {
            let value = arguments.get(name).and_then(Value::as_str);
            given.push(value.ok_or_else(|| missing("search_flights", name))?);
        }
        let (from, to, day) = (given[0], given[1], given[2]);
        let Some((_, _, number, time, price)) =
            FLIGHTS.iter().find(|(a, b, ..)| *a == from && *b == to)
        else {
            let text = format!("no seats left from {from} to {to} on {day}");
            return Ok(CallToolResult::error(vec![ContentBlock::text(text)]));
        };
        Ok(CallToolResult::structured(if v2 {
            json!({
                "flight_number": number, "departure_date": day, "departure_time": time,
                "price_chf": price,
            })
        } else {
            let departs_at = format!("{day}T{time}");
            json!({ "flight_number": number, "departs_at": departs_at, "price_chf": price })
        }))
    }
}

impl Tools for Flights {
    const NAME: &'static str = "flights";

    fn tools(&self) -> &[Tool] {
        if self.changed.load(Ordering::SeqCst) { &self.after } else { &self.before }
    }

    fn call(&self, name: &str, given: &Map<String, Value>) -> Result<CallToolResult, ErrorData> {
        match name {
            "search_flights" => self.search(given),
            "get_airport" => airport(given),
            other => Err(ErrorData::invalid_params(format!("Unknown tool: {other}"), None)),
        }
    }
}

fn airport(arguments: &Map<String, Value>) -> Result<CallToolResult, ErrorData> {
    let code = arguments.get("code").and_then(Value::as_str);
    let code = code.ok_or_else(|| missing("get_airport", "code"))?;
    Ok(match AIRPORTS.iter().find(|(known, ..)| *known == code) {
        Some((code, name, country)) => {
            CallToolResult::structured(json!({ "code": code, "name": name, "country": country }))
        }
        None => CallToolResult::error(vec![ContentBlock::text(format!("no airport {code}"))]),
    })
}

fn missing(tool: &str, argument: &str) -> ErrorData {
    ErrorData::invalid_params(format!("{tool}: missing required argument `{argument}`"), None)
}
