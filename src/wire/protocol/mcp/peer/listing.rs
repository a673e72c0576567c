//! Reads every page of `tools/list`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::greet::Visit;
use super::words::{Ask, quote};
use super::{PeerClient, PeerError};
use crate::domain::contract::{Surface, Tool};
use crate::domain::message::Era;

/// Most pages of a listing, and most tools.
const MOST: (usize, usize) = (1_000, 10_000);

/// What a peer lists.
#[derive(Clone, Debug)]
pub struct Listing {
    /// All pages.
    pub surface: Surface,
    /// The era it was read in.
    pub era: Era,
    /// How long it may be kept, in milliseconds: the shortest that a page says.
    pub ttl_ms: Option<u64>,
    /// The peer declares `tools.listChanged`.
    pub list_changed: bool,
}

impl PeerClient {
    pub(super) async fn list(&self, visit: &Visit) -> Result<Listing, PeerError> {
        let mut tools = Vec::new();
        let mut names = BTreeSet::new();
        let mut cursors = BTreeSet::new();
        let mut cursor: Option<String> = None;
        let mut ttl_ms = visit.about.ttl_ms;
        for _page in 0..MOST.0 {
            let page = self.page(visit, cursor.as_deref()).await?;
            ttl_ms = ttl_ms.into_iter().chain(page["ttlMs"].as_u64()).min();
            for tool in take_tools(&page)? {
                if !names.insert(tool.name().to_owned()) {
                    return Err(malformed(format!("the tool {:?} is listed twice", tool.name())));
                }
                tools.push(tool);
            }
            if tools.len() > MOST.1 {
                return Err(malformed(format!("more than {} tools are listed", MOST.1)));
            }
            match page.get("nextCursor") {
                None | Some(Value::Null) => return Ok(listing(visit, tools, ttl_ms)),
                // The empty string is a cursor too.
                Some(Value::String(next)) if cursors.insert(next.clone()) => {
                    cursor = Some(next.clone());
                }
                Some(Value::String(_)) => {
                    return Err(malformed("`nextCursor` repeats itself".to_owned()));
                }
                Some(_) => {
                    return Err(malformed("expected `nextCursor` to be a string".to_owned()));
                }
            }
        }
        Err(malformed(format!("the listing has more than {} pages", MOST.0)))
    }

    async fn page(&self, visit: &Visit, cursor: Option<&str>) -> Result<Value, PeerError> {
        let cursor = cursor.map(quote);
        let members = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let ask = Ask::request(&visit.voice, self.id(), "tools/list", members.as_slice());
        self.line.ask(ask).await?.value()
    }
}

fn take_tools(page: &Value) -> Result<Vec<Tool>, PeerError> {
    let listed = page["tools"].as_array();
    let listed = listed.ok_or_else(|| malformed("expected `tools` to be an array".to_owned()))?;
    let tools = listed.iter().enumerate().map(|(at, definition)| {
        Tool::from_definition(definition.clone())
            .ok_or_else(|| malformed(format!("expected `name` to be a string at /tools/{at}")))
    });
    tools.collect()
}

fn listing(visit: &Visit, tools: Vec<Tool>, ttl_ms: Option<u64>) -> Listing {
    let about = &visit.about;
    Listing {
        list_changed: about.capabilities["tools"]["listChanged"] == true,
        surface: Surface {
            server_name: about.server_name.clone(),
            capabilities: about.capabilities.clone(),
            tools,
        },
        era: visit.voice.era,
        ttl_ms,
    }
}

fn malformed(what: String) -> PeerError {
    PeerError::Malformed(what)
}
