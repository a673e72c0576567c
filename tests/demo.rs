//! The money demo, played for real and held against its golden files.

use std::sync::Arc;

use stipula::app::SystemClock;
use stipula::demo::{Report, play};

async fn played() -> Report {
    let clock = Arc::new(SystemClock::start());
    play(clock, &mut |_| ()).await.expect("the demo plays")
}

#[tokio::test]
async fn the_story_ends_as_it_is_told() {
    let report = played().await;
    let block = report.block();
    for phase in &report.phases {
        println!(
            "{} {} {} {} {}",
            phase.name, phase.succeeded, phase.tool_errors, phase.refused, phase.score
        );
    }
    println!("{}", report.events);
    println!("{}", report.explained);
    let expected = "BASELINE  92.00 (A)  → DRIFT 74.50 (C) → PATCH 92.00 (A)";
    assert_eq!(block.lines().next(), Some(expected), "{block}");
}
