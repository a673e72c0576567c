//! What the agents do, and which tool of which time does it.

use serde_json::{Value, json};

/// What a call comes to at the server, whatever the tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Get,
    Comments,
    Parts,
    ListAll,
    Search,
    Create,
    Update,
    Comment,
    AddPart,
    RemovePart,
    MovePart,
}

/// The server's own routing: tool, method where the tool asks for one, and what is done.
const ROUTES: [(&str, Option<&str>, Deed); 19] = [
    ("get_issue", None, Deed::Get),
    ("get_issue_comments", None, Deed::Comments),
    ("list_sub_issues", None, Deed::Parts),
    ("create_issue", None, Deed::Create),
    ("update_issue", None, Deed::Update),
    ("add_sub_issue", None, Deed::AddPart),
    ("remove_sub_issue", None, Deed::RemovePart),
    ("reprioritize_sub_issue", None, Deed::MovePart),
    ("list_issues", None, Deed::ListAll),
    ("search_issues", None, Deed::Search),
    ("add_issue_comment", None, Deed::Comment),
    ("issue_read", Some("get"), Deed::Get),
    ("issue_read", Some("get_comments"), Deed::Comments),
    ("issue_read", Some("get_sub_issues"), Deed::Parts),
    ("issue_write", Some("create"), Deed::Create),
    ("issue_write", Some("update"), Deed::Update),
    ("sub_issue_write", Some("add"), Deed::AddPart),
    ("sub_issue_write", Some("remove"), Deed::RemovePart),
    ("sub_issue_write", Some("reprioritize"), Deed::MovePart),
];

impl Deed {
    /// What a tool does when it is called with this method.
    pub(super) fn of(tool: &str, method: Option<&str>) -> Option<Self> {
        let mut routes = ROUTES.iter();
        routes.find(|(name, asked, _)| *name == tool && *asked == method).map(|(.., deed)| *deed)
    }

    pub(super) const fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::Comments | Self::Parts | Self::ListAll | Self::Search)
    }
}

/// The calls of readers, about an issue that nobody writes to: all of them by the old names.
pub(super) fn reads() -> Vec<(&'static str, Value)> {
    let about = |more: Value| with(json!({ "issue_number": 1 }), &more);
    vec![
        ("get_issue", about(json!({}))),
        ("get_issue_comments", about(json!({ "page": 1, "perPage": 10 }))),
        ("list_sub_issues", about(json!({ "per_page": 30 }))),
        ("list_issues", with(json!({ "labels": ["bug"] }), &json!({}))),
        ("search_issues", json!({ "query": "slow", "owner": "octo", "repo": "hello" })),
    ]
}

/// The calls of writers, by the old names; `turn` tells one time from another.
pub(super) fn writes(turn: usize) -> Vec<(&'static str, Value)> {
    let about = |more: Value| with(json!({ "issue_number": 2 }), &more);
    vec![
        ("create_issue", with(json!({ "title": format!("New {turn}") }), &json!({}))),
        ("update_issue", about(json!({ "title": format!("Turn {turn}"), "state": "closed" }))),
        ("add_sub_issue", about(json!({ "sub_issue_id": 200, "replace_parent": true }))),
        ("add_sub_issue", about(json!({ "sub_issue_id": 201 }))),
        ("reprioritize_sub_issue", about(json!({ "sub_issue_id": 200, "after_id": 201 }))),
        ("remove_sub_issue", about(json!({ "sub_issue_id": 200 }))),
        ("remove_sub_issue", about(json!({ "sub_issue_id": 201 }))),
    ]
}

/// Arguments of a call in the one repository that there is.
fn with(mut arguments: Value, more: &Value) -> Value {
    let all = [("owner", json!("octo")), ("repo", json!("hello"))];
    for (name, value) in all {
        arguments[name] = value;
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        arguments[name.as_str()] = value.clone();
    }
    arguments
}
