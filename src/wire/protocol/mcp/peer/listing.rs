//! Reads every page of `tools/list`.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::greet::Visit;
use super::line::read;
use super::words::{Ask, quote};
use super::{PeerClient, PeerError};
use crate::domain::contract::{Surface, Tool};
use crate::domain::json::{Item, Kind};
use crate::domain::message::{Digest, Era};

/// Most pages of a listing, and most tools.
const MOST: (usize, usize) = (1_000, 10_000);
/// Most bytes of all pages together.
const MOST_BYTES: usize = 64 * 1024 * 1024;

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

/// What a peer lists, held against what was read before.
#[derive(Clone, Debug)]
pub struct Reading {
    /// All pages; `None` where they are, byte for byte, those of the digest that was known.
    pub surface: Option<Surface>,
    /// Digest of what was read, as it came.
    pub digest: Digest,
    /// How long it may be kept, in milliseconds: the shortest that a page says.
    pub ttl_ms: Option<u64>,
    /// The peer declares `tools.listChanged`.
    pub list_changed: bool,
}

/// One page, as far as it must be read to go on.
struct Page {
    /// JSON text of `tools`.
    tools: Bytes,
    next: Option<String>,
    ttl_ms: Option<u64>,
}

impl PeerClient {
    /// Every page, made into tools.
    pub(super) async fn list(&self, visit: &Visit) -> Result<Listing, PeerError> {
        let (pages, ttl_ms) = self.pages(visit).await?;
        let surface = surface(visit, &pages)?;
        let list_changed = notifies(visit);
        Ok(Listing { surface, era: visit.voice.era, ttl_ms, list_changed })
    }

    /// Every page, made into tools only where they are not those that were known: a peer that did not
    /// change costs its bytes and a hash.
    pub(super) async fn list_unless(
        &self,
        visit: &Visit,
        known: Option<Digest>,
    ) -> Result<Reading, PeerError> {
        let (pages, ttl_ms) = self.pages(visit).await?;
        let digest = digest(visit, &pages);
        let surface = if known == Some(digest) { None } else { Some(surface(visit, &pages)?) };
        Ok(Reading { surface, digest, ttl_ms, list_changed: notifies(visit) })
    }

    /// The text of every page, and the shortest time that one says it may be kept.
    async fn pages(&self, visit: &Visit) -> Result<(Vec<Bytes>, Option<u64>), PeerError> {
        let (mut pages, mut bytes) = (Vec::new(), 0);
        let mut cursors = BTreeSet::new();
        let mut cursor: Option<String> = None;
        let mut ttl_ms = visit.about.ttl_ms;
        for _page in 0..MOST.0 {
            let page = self.page(visit, cursor.as_deref()).await?;
            ttl_ms = ttl_ms.into_iter().chain(page.ttl_ms).min();
            bytes += page.tools.len();
            if bytes > MOST_BYTES {
                return Err(malformed(format!("the listing has more than {MOST_BYTES} bytes")));
            }
            pages.push(page.tools);
            match page.next {
                None => return Ok((pages, ttl_ms)),
                Some(next) if cursors.insert(next.clone()) => cursor = Some(next),
                Some(_) => return Err(malformed("`nextCursor` repeats itself".to_owned())),
            }
        }
        Err(malformed(format!("the listing has more than {} pages", MOST.0)))
    }

    async fn page(&self, visit: &Visit, cursor: Option<&str>) -> Result<Page, PeerError> {
        let cursor = cursor.map(quote);
        let members = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let ask = Ask::request(&visit.voice, self.id(), "tools/list", members.as_slice());
        let result = self.line.ask(ask).await?.result;
        read(&result, |root| {
            let tools = root.get("tools").filter(|tools| tools.kind() == Kind::Array);
            let tools = tools.ok_or_else(|| malformed("expected `tools` to be an array".into()))?;
            let ttl_ms = root.get("ttlMs").and_then(Item::as_i64);
            Ok(Page {
                tools: result.slice(tools.span()),
                next: next_cursor(root)?,
                ttl_ms: ttl_ms.and_then(|ttl| u64::try_from(ttl).ok()),
            })
        })
    }
}

fn next_cursor(page: Item<'_>) -> Result<Option<String>, PeerError> {
    let Some(next) = page.get("nextCursor").filter(|next| next.kind() != Kind::Null) else {
        return Ok(None);
    };
    // The empty string is a cursor too.
    let text = next.as_str().map(std::borrow::Cow::into_owned);
    text.map(Some).ok_or_else(|| malformed("expected `nextCursor` to be a string".to_owned()))
}

fn surface(visit: &Visit, pages: &[Bytes]) -> Result<Surface, PeerError> {
    let (mut tools, mut names) = (Vec::new(), BTreeSet::new());
    for page in pages {
        for tool in take_tools(page)? {
            if !names.insert(tool.name().to_owned()) {
                return Err(malformed(format!("the tool {:?} is listed twice", tool.name())));
            }
            tools.push(tool);
        }
        if tools.len() > MOST.1 {
            return Err(malformed(format!("more than {} tools are listed", MOST.1)));
        }
    }
    let about = &visit.about;
    Ok(Surface {
        server_name: about.server_name.clone(),
        capabilities: about.capabilities.clone(),
        tools,
    })
}

fn take_tools(page: &[u8]) -> Result<Vec<Tool>, PeerError> {
    read(page, |listed| {
        let tools = listed.items().enumerate().map(|(at, definition)| {
            Tool::from_definition(definition.to_value())
                .ok_or_else(|| malformed(format!("expected `name` to be a string at /tools/{at}")))
        });
        tools.collect()
    })
}

fn notifies(visit: &Visit) -> bool {
    visit.about.capabilities["tools"]["listChanged"] == true
}

/// Digest of what a peer says of itself and of its tools, byte by byte.
fn digest(visit: &Visit, pages: &[Bytes]) -> Digest {
    let about = &visit.about;
    let itself = serde_json::json!([about.server_name, about.capabilities]).to_string();
    let parts = std::iter::once(itself.as_bytes()).chain(pages.iter().map(|page| &page[..]));
    // Each part by its own digest, so that it is said too where one ends and the next begins.
    let digests: Vec<[u8; 32]> = parts.map(|part| *Digest::of(part).as_bytes()).collect();
    Digest::of(digests.as_flattened())
}

fn malformed(what: String) -> PeerError {
    PeerError::Malformed(what)
}
