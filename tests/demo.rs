//! The money demo, played for real twice and held against its golden files.
//!
//! `STIPULA_REFRESH=1 cargo test --test demo` writes the files anew; what changed is read in review.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use stipula::app::SystemClock;
use stipula::demo::{Report, play};

const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo/expected");

async fn played() -> Report {
    let clock = Arc::new(SystemClock::start());
    play(clock, &mut |_| ()).await.expect("the demo plays")
}

/// What differs from run to run becomes a word: ids, times, hashes that rest on them, durations.
fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match name.as_str() {
                "elapsed_ms" | "generation" => (name.clone(), json!("<number>")),
                _ => (name.clone(), normalised(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(normalised).collect(),
        Value::String(text) if text.starts_with("sha256:") => json!("<hash>"),
        Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => json!("<id>"),
        Value::String(text) if is_moment(text) => json!("<time>"),
        other => other.clone(),
    }
}

fn is_moment(text: &str) -> bool {
    text.len() > 18 && text.parse::<jiff::Timestamp>().is_ok()
}

fn texts(report: &Report) -> Vec<(String, String)> {
    let mut texts: Vec<_> = report
        .artifacts()
        .iter()
        .map(|(name, content)| {
            let text = serde_json::to_string_pretty(&normalised(content)).unwrap();
            (name.clone(), text + "\n")
        })
        .collect();
    let block = report.block();
    let (block, elapsed) = block.rsplit_once("Total elapsed: ").expect("the block ends in it");
    assert!(elapsed.trim_end().ends_with('s'), "{elapsed}");
    texts.push(("block.txt".to_owned(), format!("{block}Total elapsed: <measured>\n")));
    texts
}

#[tokio::test]
async fn the_story_ends_as_it_is_told_and_twice_the_same() {
    let first = played().await;
    let told = texts(&first);
    assert_eq!(told, texts(&played().await), "two runs differ");
    for (name, text) in told {
        let path = Path::new(EXPECTED).join(&name);
        if std::env::var_os("STIPULA_REFRESH").is_some() {
            std::fs::create_dir_all(EXPECTED).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; refresh the goldens", path.display()));
        assert_eq!(text, expected, "{name} is not what was written down");
    }
    let [baseline, drift, patch] = first.phases.as_slice() else { panic!("three phases") };
    assert_eq!((baseline.succeeded, baseline.tool_errors, baseline.refused), (44, 16, 0));
    assert_eq!((drift.succeeded, drift.tool_errors, drift.refused), (15, 0, 45));
    assert_eq!((patch.succeeded, patch.tool_errors, patch.refused), (44, 16, 0));
}
