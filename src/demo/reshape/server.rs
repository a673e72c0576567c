//! The server of the story: it opens issues, and answers with the whole issue or with what is left of
//! it. It lists the same definition all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, Tool};
use serde_json::{Map, Value, json};

use crate::demo::stage::DemoError;
use crate::demo::tools::Tools;

/// The tool that is called.
pub(super) const TOOL: &str = "create_issue";

/// The definitions that its own is taken from.
const DEFINITIONS: &str = include_str!("../../../fixtures/demo/consolidation/before.json");

/// The server. Clones are the same one.
#[derive(Clone)]
pub(super) struct Issues {
    tool: Arc<Tool>,
    opened: Arc<AtomicU64>,
    reshaped: Arc<AtomicBool>,
}

impl Issues {
    pub(super) fn new() -> Result<Self, DemoError> {
        let tools: Vec<Tool> = serde_json::from_str(DEFINITIONS)?;
        let tool = tools.into_iter().find(|tool| tool.name == TOOL);
        let tool = tool.ok_or_else(|| DemoError::client(format!("no definition of {TOOL}")))?;
        let (opened, reshaped) = (Arc::default(), Arc::default());
        Ok(Self { tool: Arc::new(tool), opened, reshaped })
    }

    /// Whether its replies are promised by its definition.
    pub(super) fn declares_replies(&self) -> bool {
        self.tool.output_schema.is_some()
    }

    /// From now on it answers with an id and a URL alone.
    pub(super) fn reshape(&self) {
        self.reshaped.store(true, Ordering::Release);
    }

    /// How many issues were opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Acquire)
    }

    fn answer(&self, given: &Map<String, Value>) -> Value {
        let number = self.opened.fetch_add(1, Ordering::AcqRel) + 1;
        let whole = issue(number, given);
        if self.reshaped.load(Ordering::Acquire) {
            json!({ "id": whole["id"], "url": whole["html_url"] })
        } else {
            whole
        }
    }
}

/// An issue as it was answered at first.
pub(super) fn issue(number: u64, given: &Map<String, Value>) -> Value {
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
    let (owner, repo) = (text("owner"), text("repo"));
    json!({
        "id": 3_000_000 + 17 * number,
        "number": number,
        "title": text("title"),
        "state": "open",
        "url": format!("https://api.example.com/repos/{owner}/{repo}/issues/{number}"),
        "html_url": format!("https://example.com/{owner}/{repo}/issues/{number}"),
    })
}

impl Tools for Issues {
    const NAME: &'static str = "issues";

    fn tools(&self) -> &[Tool] {
        std::slice::from_ref(&self.tool)
    }

    fn call(&self, name: &str, given: &Map<String, Value>) -> Result<CallToolResult, ErrorData> {
        if name != TOOL {
            return Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None));
        }
        let said = self.answer(given);
        Ok(CallToolResult::success(vec![ContentBlock::text(said.to_string())]))
    }
}
