//! Order, budget and breaker, with a clock that is moved by hand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::budget::Budget;
use super::*;
use crate::domain::message::{Clock, UnixMillis};
use crate::telemetry::Metrics;

#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Hand {
    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis * 1_000, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed) / 1_000)
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

type Said = Result<Value, AdvisorError>;

/// Says what it was given to say, then that it has no answer; notes the time it was given.
struct Script {
    name: &'static str,
    says: Mutex<VecDeque<Said>>,
    asked: Mutex<Vec<Duration>>,
    clock: Arc<Hand>,
    worth: Spent,
    costs: Spent,
    /// It uses up all the time that it is given.
    hangs: bool,
}

impl Script {
    fn new(name: &'static str, clock: &Arc<Hand>, says: impl IntoIterator<Item = Said>) -> Self {
        Self {
            name,
            says: Mutex::new(says.into_iter().collect()),
            asked: Mutex::default(),
            clock: Arc::clone(clock),
            worth: Spent::default(),
            costs: Spent::default(),
            hangs: false,
        }
    }

    fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Advisor for Script {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> String {
        "script".to_owned()
    }

    fn worth(&self, _: &Round<'_>) -> Spent {
        self.worth
    }

    async fn propose(&self, round: &Round<'_>, within: Duration) -> Answered {
        self.asked.lock().unwrap().push(within);
        let outcome = if self.hangs {
            let millis = u64::try_from(within.as_millis()).unwrap();
            self.clock.pass(millis);
            Err(Failure::Slow(millis).into())
        } else {
            let said = self.says.lock().unwrap().pop_front();
            said.unwrap_or_else(|| Err(AdvisorError::NoAnswer(round.tool.to_owned())))
        };
        Answered { spent: self.costs, outcome }
    }
}

fn panel(clock: &Arc<Hand>, settings: Settings, scripts: &[&Arc<Script>]) -> Panel {
    let seats = scripts.iter().map(|script| Arc::clone(*script) as Arc<dyn Advisor>).collect();
    Panel::new(settings, seats, Arc::clone(clock) as Arc<dyn Clock>, Metrics::new())
}

async fn ask(panel: &Panel) -> (String, Said) {
    let question = json!({});
    let round = Round { tool: "t", question: &question, earlier: &[] };
    let (by, answered) = panel.ask(&round, Duration::from_secs(30)).await;
    (by, answered.outcome)
}

fn down() -> Said {
    Err(Failure::Status { status: 500, word: None, retry_after_ms: None }.into())
}

#[tokio::test]
async fn the_next_is_asked_where_one_gives_no_answer() {
    let clock = Arc::new(Hand::default());
    let first = Arc::new(Script::new("first", &clock, [down(), Ok(json!(1))]));
    let second = Arc::new(Script::new("second", &clock, [Ok(json!(2))]));
    let panel = panel(&clock, Settings::default(), &[&first, &second]);
    assert_eq!(ask(&panel).await, ("second".to_owned(), Ok(json!(2))));
    assert_eq!(ask(&panel).await, ("first".to_owned(), Ok(json!(1))));
    assert_eq!(ask(&panel).await.1, Err(AdvisorError::NoAnswer("t".to_owned())));
    assert_eq!((first.times(), second.times()), (3, 2));
}

#[tokio::test]
async fn one_that_hangs_leaves_time_for_those_behind_it() {
    let clock = Arc::new(Hand::default());
    let hung = Script { hangs: true, ..Script::new("hung", &clock, []) };
    let hung = Arc::new(hung);
    let next = Arc::new(Script::new("next", &clock, [Ok(json!(1))]));
    let panel = panel(&clock, Settings::default(), &[&hung, &next]);
    assert_eq!(ask(&panel).await, ("next".to_owned(), Ok(json!(1))));
    assert_eq!(*hung.asked.lock().unwrap(), [Duration::from_secs(15)]);
    assert_eq!(*next.asked.lock().unwrap(), [Duration::from_secs(15)]);
    assert_eq!(clock.monotonic_micros(), 15_000_000);
}

#[tokio::test]
async fn all_hanging_take_no_more_than_the_round() {
    let clock = Arc::new(Hand::default());
    let hung = |name| Arc::new(Script { hangs: true, ..Script::new(name, &clock, []) });
    let (one, two, three) = (hung("one"), hung("two"), hung("three"));
    let panel = panel(&clock, Settings::default(), &[&one, &two, &three]);
    assert!(ask(&panel).await.1.is_err());
    assert_eq!(clock.monotonic_micros(), 30_000_000);
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_and_tried_again_later() {
    let clock = Arc::new(Hand::default());
    let first =
        Arc::new(Script::new("first", &clock, [down(), down(), down(), down(), Ok(json!(1))]));
    let second = Arc::new(Script::new("second", &clock, (0..9).map(|n| Ok(json!(n)))));
    let panel = panel(&clock, Settings::default(), &[&first, &second]);
    for _ in 0..5 {
        assert_eq!(ask(&panel).await.0, "second");
    }
    assert_eq!(first.times(), 3, "the breaker opens with the third failure in a row");
    assert_eq!(panel.status().order[0].breaker, "open");
    assert_eq!(panel.status().order[0].why.as_deref(), Some("HTTP 500"));
    clock.pass(60_000);
    assert_eq!(panel.status().order[0].breaker, "half_open");
    assert_eq!(ask(&panel).await.0, "second");
    assert_eq!(first.times(), 4, "one request tries, fails, and it rests again");
    assert_eq!(ask(&panel).await.0, "second");
    assert_eq!(first.times(), 4);
    clock.pass(60_000);
    assert_eq!(ask(&panel).await.0, "first");
    assert_eq!(panel.status().order[0].breaker, "closed");
}

#[tokio::test]
async fn a_breaker_heeds_what_it_is_asked_and_what_cannot_mend_itself() {
    let status = |status, retry_after_ms| Failure::Status { status, word: None, retry_after_ms };
    let limited = |pause| status(429, pause);
    for (failures, rest, expected) in [
        (vec![limited(Some(7_000))], 6_999, "open"),
        (vec![limited(Some(7_000))], 7_000, "half_open"),
        (vec![limited(None)], 0, "closed"),
        (vec![limited(None), limited(None), limited(None)], 0, "open"),
        (vec![status(401, None)], 59_999, "open"),
        (vec![status(404, None)], 60_000, "half_open"),
        (vec![Failure::Slow(1), status(500, None)], 0, "closed"),
        (vec![Failure::Slow(1), status(500, None), Failure::TooLong(1)], 0, "open"),
    ] {
        let (clock, times) = (Arc::new(Hand::default()), failures.len());
        let says = failures.iter().cloned().map(|failure| Err(failure.into()));
        let only = Arc::new(Script::new("only", &clock, says));
        let panel = panel(&clock, Settings::default(), &[&only]);
        for _ in 0..times {
            assert!(matches!(ask(&panel).await.1, Err(AdvisorError::Provider(_))));
        }
        clock.pass(rest);
        assert_eq!(panel.status().order[0].breaker, expected, "{failures:?} after {rest} ms");
        let resting = matches!(ask(&panel).await.1, Err(AdvisorError::Resting(_)));
        assert_eq!(resting, expected == "open", "{failures:?} after {rest} ms");
    }
}

#[tokio::test]
async fn a_try_that_the_budget_forbids_leaves_room_for_the_next_one() {
    let clock = Arc::new(Hand::default());
    let unknown = Failure::Status { status: 401, word: None, retry_after_ms: None };
    let says = [Err(unknown.into()), Ok(json!(1))];
    let only = Script {
        costs: Spent { calls: 1, ..Spent::default() },
        ..Script::new("only", &clock, says)
    };
    let only = Arc::new(Script { worth: only.costs, ..only });
    let budget = BudgetSettings { calls_per_hour: 1, ..BudgetSettings::default() };
    let panel = panel(&clock, Settings { budget, ..Settings::default() }, &[&only]);
    assert!(matches!(ask(&panel).await.1, Err(AdvisorError::Provider(_))));
    clock.pass(60_000);
    assert!(matches!(ask(&panel).await.1, Err(AdvisorError::Spent(_))));
    clock.pass(3_600_000);
    assert_eq!(ask(&panel).await.1, Ok(json!(1)), "its one try was not used up");
    assert_eq!(panel.status().order[0].breaker, "closed");
}

#[tokio::test]
async fn a_model_that_declines_is_no_failure_of_its_provider() {
    let clock = Arc::new(Hand::default());
    let says = [Failure::Declined, Failure::CutOff, Failure::NotJson(String::new())];
    let says = says.into_iter().cycle().take(9).map(|failure| Err(failure.into()));
    let only = Arc::new(Script::new("only", &clock, says));
    let panel = panel(&clock, Settings::default(), &[&only]);
    for _ in 0..9 {
        assert!(matches!(ask(&panel).await.1, Err(AdvisorError::Provider(_))));
    }
    assert_eq!((only.times(), panel.status().order[0].breaker), (9, "closed"));
}

#[tokio::test]
async fn the_budget_is_never_gone_over_and_comes_back_with_time() {
    let clock = Arc::new(Hand::default());
    let worth = Spent { calls: 1, input_tokens: 300, output_tokens: 700, cost_micros: 40 };
    let costs = Spent { calls: 1, input_tokens: 100, output_tokens: 200, cost_micros: 10 };
    let dear = Script::new("dear", &clock, (0..99).map(|n| Ok(json!(n))));
    let dear = Arc::new(Script { worth, costs, ..dear });
    let free = Arc::new(Script::new("free", &clock, (0..99).map(|n| Ok(json!(n)))));
    let budget = BudgetSettings {
        calls_per_hour: 60,
        tokens_per_hour: Some(2_000),
        tokens_per_day: Some(3_000),
        cost_micros_per_hour: None,
        cost_micros_per_day: None,
    };
    let panel = panel(&clock, Settings { budget, ..Settings::default() }, &[&dear, &free]);
    // What an answer can cost must fit: after 4 of 300 each, 1000 more still do; after 5 they do not
    // fit into 2000 of which 1500 are gone.
    let by = async |times: usize| {
        let mut names = Vec::new();
        for _ in 0..times {
            names.push(ask(&panel).await.0);
        }
        names
    };
    assert_eq!(by(5).await, ["dear", "dear", "dear", "dear", "free"]);
    let status = panel.status();
    assert_eq!((status.last_hour.input_tokens, status.last_hour.output_tokens), (400, 800));
    assert_eq!((status.last_day.calls, status.order[0].breaker), (4, "closed"));
    clock.pass(3_600_000);
    assert_eq!(by(5).await, ["dear", "dear", "dear", "free", "free"], "the day's bound");
    clock.pass(23 * 3_600_000);
    assert_eq!(by(1).await, ["dear"], "the first hour is more than a day ago");
}

#[test]
fn what_is_asked_at_once_cannot_go_over_the_budget_together() {
    let settings = BudgetSettings { cost_micros_per_day: Some(100), ..BudgetSettings::default() };
    let worth = Spent { calls: 1, cost_micros: 40, ..Spent::default() };
    let mut budget = Budget::new(settings);
    let first = budget.set_aside(0, worth).unwrap();
    budget.set_aside(0, worth).unwrap();
    assert!(budget.set_aside(0, worth).unwrap_err().contains("cost_per_day"));
    budget.settle(first, Spent { calls: 1, cost_micros: 5, ..Spent::default() });
    budget.set_aside(0, worth).unwrap();
    let none = BudgetSettings { calls_per_hour: 0, ..BudgetSettings::default() };
    assert!(Budget::new(none).set_aside(0, worth).unwrap_err().contains("calls_per_hour"));
}

#[tokio::test]
async fn a_recording_answers_once() {
    let recorded = RecordedAdvisor::new([("t".to_owned(), json!({"call": "u"}))].into());
    let question = json!({});
    let round = |earlier| Round { tool: "t", question: &question, earlier };
    let within = Duration::from_secs(1);
    let answered = recorded.propose(&round(&[]), within).await;
    assert_eq!(answered.outcome, Ok(json!({"call": "u"})));
    let earlier = [Refuted { answer: json!({"call": "u"}), why: "rule 3".to_owned() }];
    assert!(recorded.propose(&round(&earlier), within).await.outcome.is_err());
    let other = Round { tool: "other", question: &question, earlier: &[] };
    assert!(recorded.propose(&other, within).await.outcome.is_err());
}
