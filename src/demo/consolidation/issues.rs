//! The server of the story: an issue tracker built with rmcp, whose tools are those of before or of
//! after the release. It checks every call against the definitions that it offers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, Tool};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::plan::Deed;
use crate::demo::stage::DemoError;
use crate::demo::tools::Tools;

/// The definitions before and after the release.
const BEFORE: &str = include_str!("../../../fixtures/demo/consolidation/before.json");
const AFTER: &str = include_str!("../../../fixtures/demo/consolidation/after.json");

/// A call that the server took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) deed: Deed,
    pub(super) tool: String,
    pub(super) arguments: Value,
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub(super) struct Tracker {
    before: Arc<[Tool]>,
    after: Arc<[Tool]>,
    changed: Arc<watch::Sender<bool>>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Calls until the release; `None` while none is planned.
    calls_left: Option<usize>,
    taken: Vec<Taken>,
    issues: Vec<Issue>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Issue {
    title: String,
    state: String,
    label: &'static str,
    comments: Vec<String>,
    /// Ids of sub-issues, in their order.
    parts: Vec<u64>,
}

impl Tracker {
    pub(super) fn new() -> Result<Self, DemoError> {
        let tools = |text: &str| serde_json::from_str::<Vec<Tool>>(text).map(Into::into);
        let issue = |title: &str, label, comments: &[&str], parts: &[u64]| Issue {
            title: title.to_owned(),
            state: "open".to_owned(),
            label,
            comments: comments.iter().map(|&text| text.to_owned()).collect(),
            parts: parts.to_vec(),
        };
        let issues = vec![
            issue(
                "The build is slow",
                "bug",
                &["On my machine too.", "Since Monday."],
                &[103, 104],
            ),
            issue("A typo in the guide", "docs", &[], &[]),
        ];
        Ok(Self {
            before: tools(BEFORE)?,
            after: tools(AFTER)?,
            changed: Arc::new(watch::Sender::new(false)),
            inner: Arc::new(Mutex::new(Inner { issues, ..Inner::default() })),
        })
    }

    /// What is offered before and after.
    pub(super) fn surfaces(&self) -> (&[Tool], &[Tool]) {
        (&self.before, &self.after)
    }

    /// The release comes after so many more calls.
    pub(super) fn change_after(&self, calls: usize) {
        self.inner().calls_left = Some(calls);
    }

    /// Returns once the release has come.
    pub(super) async fn until_changed(&self) {
        // The sender lives as long as this does.
        let _ = self.changed.subscribe().wait_for(|changed| *changed).await;
    }

    /// What was taken since the last time this was asked.
    pub(super) fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut self.inner().taken)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tools for Tracker {
    const NAME: &'static str = "issues";

    fn tools(&self) -> &[Tool] {
        if *self.changed.borrow() { &self.after } else { &self.before }
    }

    fn call(&self, name: &str, given: &Map<String, Value>) -> Result<CallToolResult, ErrorData> {
        let mut inner = self.inner();
        if let Some(left) = inner.calls_left {
            inner.calls_left = left.checked_sub(1);
            if left == 0 {
                self.changed.send_replace(true);
            }
        }
        let tool = self.tools().iter().find(|tool| tool.name == name);
        let refused = |what: String| ErrorData::invalid_params(what, None);
        let tool = tool.ok_or_else(|| refused(format!("Unknown tool: {name}")))?;
        if let Some(what) = misfit(tool, given) {
            return Err(refused(format!("Invalid arguments for tool {name}: {what}")));
        }
        let method = given.get("method").and_then(Value::as_str);
        let Some(deed) = Deed::of(name, method) else {
            return Ok(CallToolResult::error(vec![ContentBlock::text("unknown method")]));
        };
        let arguments = Value::Object(given.clone());
        inner.taken.push(Taken { deed, tool: name.to_owned(), arguments });
        let said = inner.done(deed, given);
        Ok(CallToolResult::success(vec![ContentBlock::text(said.to_string())]))
    }
}

impl Inner {
    /// Does it, and says what the issue is afterwards.
    fn done(&mut self, deed: Deed, given: &Map<String, Value>) -> Value {
        let number = |name: &str| given.get(name).and_then(Value::as_u64).unwrap_or_default();
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        let at = match deed {
            Deed::Create => {
                let state = "open".to_owned();
                let title = text("title").unwrap_or_default();
                self.issues.push(Issue { title, state, ..Issue::default() });
                self.issues.len()
            }
            _ => usize::try_from(number("issue_number")).unwrap_or_default(),
        };
        if matches!(deed, Deed::ListAll | Deed::Search) {
            let word = text("query").unwrap_or_default();
            let label = given.get("labels").and_then(|labels| labels.get(0)?.as_str());
            let found = self.issues.iter().filter(|issue| {
                issue.title.contains(&word) && label.is_none_or(|label| issue.label == label)
            });
            return found.map(|issue| json!({ "title": issue.title })).collect();
        }
        let Some(issue) = at.checked_sub(1).and_then(|at| self.issues.get_mut(at)) else {
            return json!({ "message": "Not Found" });
        };
        let part = number("sub_issue_id");
        match deed {
            Deed::Comments => return json!(issue.comments),
            Deed::Parts => return json!(issue.parts),
            Deed::Update => {
                issue.title = text("title").unwrap_or_else(|| issue.title.clone());
                issue.state = text("state").unwrap_or_else(|| issue.state.clone());
            }
            Deed::Comment => issue.comments.extend(text("body")),
            Deed::AddPart => issue.parts.push(part),
            Deed::RemovePart => issue.parts.retain(|id| *id != part),
            Deed::MovePart => {
                issue.parts.retain(|id| *id != part);
                let after = issue.parts.iter().position(|id| *id == number("after_id"));
                issue.parts.insert(after.map_or(0, |after| after + 1), part);
            }
            Deed::Get | Deed::Create | Deed::ListAll | Deed::Search => {}
        }
        json!({
            "number": at, "title": issue.title, "state": issue.state,
            "comments": issue.comments.len(), "sub_issues": issue.parts,
        })
    }
}

/// What is wrong with the arguments of a call; the definition's own words are all that is known.
fn misfit(tool: &Tool, given: &Map<String, Value>) -> Option<String> {
    let member = |name: &str| tool.input_schema.get(name);
    let properties = member("properties").and_then(Value::as_object);
    let required = member("required").and_then(Value::as_array);
    let mut names = required.into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = names.find(|name| !given.contains_key(*name)) {
        return Some(format!("missing required property {missing}"));
    }
    given.iter().find_map(|(name, value)| {
        let Some(schema) = properties.and_then(|properties| properties.get(name)) else {
            return Some(format!("{name} is not known"));
        };
        let fits = match schema.get("type").and_then(Value::as_str) {
            Some("number") => value.is_number(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            _ => true,
        };
        let listed = schema.get("enum").and_then(Value::as_array);
        let wrong = !fits || listed.is_some_and(|listed| !listed.contains(value));
        wrong.then(|| format!("{name} has a value that is not taken"))
    })
}
