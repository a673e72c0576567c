use serde_json::{Value, json};

use super::{Earlier, Found, Relations, find};
use crate::domain::contract::Violation;

fn missing(names: &[&str]) -> Vec<Violation> {
    let one = |name: &&str| Violation {
        pointer: String::new(),
        schema_pointer: "/required".to_owned(),
        kind: "required".to_owned(),
        message: format!("{} is a required property", json!(name)),
    };
    names.iter().map(one).collect()
}

/// An issue as it was: `r` picks the repository.
fn issue(n: u64, r: u64) -> Value {
    let repository = format!("octo/app{r}");
    json!({
        "id": 1000 + 7 * n,
        "number": n,
        "title": format!("issue {n}"),
        "state": "open",
        "url": format!("https://api.example.com/repos/{repository}/issues/{n}"),
        "html_url": format!("https://example.com/{repository}/issues/{n}"),
    })
}

fn relations(replies: impl Iterator<Item = (Value, Value)>) -> Relations {
    let mut earlier = Earlier::default();
    replies.for_each(|(reply, asked)| earlier.keep(&reply, &asked));
    Relations::shown_by(&earlier)
}

fn one_repository() -> Relations {
    relations((1..=20).map(|n| (issue(n, 1), json!({ "owner": "octo", "repo": "app1" }))))
}

fn ops(found: &Found) -> Value {
    json!(found.reply)
}

const GONE: [&str; 4] = ["html_url", "number", "state", "title"];

#[test]
fn a_new_url_stands_for_the_old_one_and_the_number_follows_from_it() {
    let now = json!({ "id": 1700, "url": "https://example.com/octo/app1/issues/100" });
    let found = find(Some(&one_repository()), &missing(&GONE), &now, &json!({}));
    assert_eq!(
        ops(&found),
        json!([
            { "op": "copy", "from": "/url", "to": "/html_url" },
            { "op": "extract", "from": "/url", "to": "/number", "pattern": "/issues/([0-9]+)$",
              "as": "integer" },
        ])
    );
    assert_eq!(found.gone, ["/state", "/title"]);
    assert!(found.relations.iter().all(|relation| relation.replies == 20));
}

#[test]
fn the_old_url_still_tells_the_number() {
    let now = json!({ "id": 1700, "url": "https://api.example.com/repos/octo/app1/issues/100" });
    let found = find(Some(&one_repository()), &missing(&GONE), &now, &json!({}));
    let told = ops(&found);
    assert!(
        told.as_array().is_some_and(|ops| ops.iter().any(|op| op["to"] == "/number")),
        "{told}"
    );
    assert_eq!(found.gone, ["/html_url", "/state", "/title"], "{told}");
}

#[test]
fn what_varies_must_be_an_argument_of_the_very_call() {
    let asked = |r: u64| json!({ "owner": "octo", "repo": format!("app{r}") });
    let many = relations((1..=20).map(|n| (issue(n, n % 4), asked(n % 4))));
    let now = json!({ "url": "https://example.com/octo/app2/issues/100" });
    let found = find(Some(&many), &missing(&GONE), &now, &asked(2));
    assert_eq!(found.gone, ["/state", "/title"]);
    let other = find(Some(&many), &missing(&GONE), &now, &asked(3));
    assert!(other.gone.contains(&"/html_url".to_owned()), "another repository: {other:?}");
    let untold = relations((1..=20).map(|n| (issue(n, n % 4), json!({}))));
    let found = find(Some(&untold), &missing(&GONE), &now, &json!({}));
    assert!(found.gone.contains(&"/html_url".to_owned()), "{found:?}");
}

#[test]
fn two_that_fit_compete_and_none_stands_for_it() {
    let now = json!({
        "url": "https://example.com/octo/app1/issues/100",
        "duplicate_of": "https://example.com/octo/app1/issues/3",
    });
    let found = find(Some(&one_repository()), &missing(&GONE), &now, &json!({}));
    assert_eq!(ops(&found), json!([]));
}

#[test]
fn a_field_that_always_had_the_form_too_stands_for_itself_alone() {
    let with_parent = |n: u64| {
        let mut reply = issue(n, 1);
        reply["parent_url"] = json!(format!("https://example.com/octo/app1/issues/{}", n * n % 7));
        (reply, json!({}))
    };
    let relations = relations((1..=20).map(with_parent));
    let now = json!({ "parent_url": "https://example.com/octo/app1/issues/5" });
    let found = find(Some(&relations), &missing(&GONE), &now, &json!({}));
    assert_eq!(ops(&found), json!([]), "{:?}", found.steps);
}

#[test]
fn a_url_of_another_place_stands_for_nothing() {
    for url in [
        "https://evil.example.net/octo/app1/issues/100",
        "https://example.com/octo/app1/pull/100",
        "https://example.com/octo/app1/issues/100/edit",
        "https://example.com/octo/app1/issues/x",
    ] {
        let found =
            find(Some(&one_repository()), &missing(&GONE), &json!({ "url": url }), &json!({}));
        let told = ops(&found);
        let copied = told.as_array().is_some_and(|ops| ops.iter().any(|op| op["op"] == "copy"));
        assert!(!copied, "{url}: {told}");
    }
}

#[test]
fn a_text_made_of_fields_that_are_there_is_made_again() {
    let ticket = |n: u64| {
        json!({ "project": format!("p{}", n % 5), "number": n,
        "key": format!("p{}/{n}", n % 5), "link": format!("https://t.example.com/p{}/{n}", n % 5) })
    };
    let relations = relations((1..=20).map(|n| (ticket(n), json!({}))));
    let now = json!({ "project": "p3", "number": 33, "key": "p3/33" });
    let found = find(Some(&relations), &missing(&["link"]), &now, &json!({}));
    assert_eq!(
        ops(&found),
        json!([{ "op": "template", "text": "https://t.example.com/{/project}/{/number}", "to": "/link" }])
    );
}

#[test]
fn what_was_the_same_till_now_does_not_stand_for_the_other() {
    let fresh = |n: u64| {
        let at = format!("2026-11-{:02}T10:00:00Z", n + 1);
        json!({ "id": n, "created_at": at, "updated_at": at, "author": format!("user{n}"),
        "assignee": format!("user{n}") })
    };
    let relations = relations((1..=20).map(|n| (fresh(n), json!({}))));
    let now = json!({ "id": 4, "created_at": "2026-11-05T10:00:00Z", "author": "user4" });
    let found = find(Some(&relations), &missing(&["updated_at", "assignee"]), &now, &json!({}));
    assert_eq!(ops(&found), json!([]), "{:?}", found.steps);
    assert_eq!(found.gone, ["/assignee", "/updated_at"]);
}

#[test]
fn without_earlier_replies_all_is_gone() {
    let found = find(None, &missing(&GONE), &json!({ "url": "x" }), &json!({}));
    assert_eq!((ops(&found), found.gone.len()), (json!([]), 4));
}
