//! Timelines: a moment, what happens, and how it stands then. Time is a number.

use proptest::prelude::*;

use super::*;
use crate::domain::message::Millis;

const SECOND: u64 = 1_000_000;
const RULES: BreakerRules =
    BreakerRules { failures: 5, open: Millis(30_000), longest: Millis(120_000) };

/// What happens to a breaker at one moment.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An attempt asks, and ends at once.
    Good,
    Bad,
    /// An attempt asks and must be refused, and told to come back after so many seconds.
    Refused(u64),
    /// An attempt asks, and its end comes later under this name.
    Begin(usize),
    EndGood(usize),
    EndBad(usize),
    /// Its caller has gone.
    Leave(usize),
    /// An attempt asks, and is told to leave it alone for so many seconds.
    Rest(u64),
    Hold,
    Release,
}

use Step::{Bad, Begin, EndBad, EndGood, Good, Hold, Leave, Refused, Release, Rest};

fn play(name: &str, rows: &[(u64, Step, BreakerState)]) {
    let (mut breaker, mut under_way) = (Breaker::new(), [None; 4]);
    for (row, (second, step, expected)) in rows.iter().enumerate() {
        let now = second * SECOND;
        let told = format!("{name}, row {row}: {step:?} at {second} s");
        match *step {
            Good | Bad | Begin(_) | Rest(_) => {
                let pass = breaker.admit(now, &RULES).unwrap_or_else(|_| panic!("{told}: refused"));
                match *step {
                    Good => drop(breaker.good(pass, now, &RULES)),
                    Bad => drop(breaker.bad(pass, now, &RULES)),
                    Begin(at) => under_way[at] = Some(pass),
                    Rest(span) => drop(breaker.rest(pass, now, Millis(span * 1_000))),
                    _ => {}
                }
            }
            Refused(after) => {
                let probing = *expected == BreakerState::HalfOpen;
                let refusing = Refusing { after: after * SECOND, probing };
                assert_eq!(breaker.admit(now, &RULES), Err(refusing), "{told}");
            }
            EndGood(at) => drop(breaker.good(under_way[at].unwrap(), now, &RULES)),
            EndBad(at) => drop(breaker.bad(under_way[at].unwrap(), now, &RULES)),
            Leave(at) => breaker.dropped(under_way[at].unwrap()),
            Hold => drop(breaker.hold(now, &RULES)),
            Release => drop(breaker.release()),
        }
        assert_eq!(breaker.state(now), *expected, "{told}");
    }
}

#[test]
fn the_breaker_opens_after_five_failures_in_a_row_and_one_probe_closes_it() {
    use BreakerState::{Closed, HalfOpen, Open};
    play(
        "opens and closes",
        &[
            (0, Bad, Closed),
            (1, Bad, Closed),
            (2, Bad, Closed),
            (3, Bad, Closed),
            // A success between them begins the row anew.
            (4, Good, Closed),
            (5, Bad, Closed),
            (6, Bad, Closed),
            (7, Bad, Closed),
            (8, Bad, Closed),
            (9, Bad, Open),
            (10, Refused(29), Open),
            (38, Refused(1), Open),
            (39, Begin(0), HalfOpen),
            // One probe, and nobody beside it.
            (39, Refused(30), HalfOpen),
            (45, Refused(24), HalfOpen),
            (46, EndGood(0), Closed),
            (46, Good, Closed),
        ],
    );
}

#[test]
fn a_probe_that_fails_doubles_the_rest_and_a_recovery_forgets_it() {
    use BreakerState::{Closed, HalfOpen, Open};
    let opening = |from: u64| {
        (from..from + 5).map(move |at| (at, Bad, if at == from + 4 { Open } else { Closed }))
    };
    let mut rows: Vec<_> = opening(0).collect();
    rows.extend([
        (34, Bad, Open),
        (35, Refused(59), Open),
        (94, Bad, Open),
        (95, Refused(119), Open),
        // No rest is longer than the longest.
        (214, Bad, Open),
        (215, Refused(119), Open),
        (334, Begin(0), HalfOpen),
        (335, EndGood(0), Closed),
    ]);
    rows.extend(opening(336));
    rows.push((341, Refused(29), Open));
    play("back-off", &rows);
}

#[test]
fn whoever_asks_to_be_left_alone_is_for_as_long_as_that() {
    use BreakerState::{Closed, HalfOpen, Open};
    let rows = [
        (0, Begin(0), Closed),
        (1, Rest(7), Open),
        (2, Refused(6), Open),
        // What began before tells nothing of it.
        (3, EndGood(0), Open),
        (8, Rest(100), Open),
        (107, Refused(1), Open),
        (108, Begin(1), HalfOpen),
        (109, EndGood(1), Closed),
        (110, Rest(0), HalfOpen),
        (110, Good, Closed),
    ];
    play("asked to be left alone", &rows);
}

#[test]
fn stragglers_and_callers_who_leave_decide_nothing() {
    use BreakerState::{Closed, HalfOpen, Open};
    let mut rows = vec![(0, Begin(0), Closed), (0, Begin(1), Closed)];
    rows.extend((1..6).map(|at| (at, Bad, if at == 5 { Open } else { Closed })));
    rows.extend([
        // Begun before it opened, good or bad: it stays open, and no longer than it would.
        (6, EndGood(0), Open),
        (7, EndBad(1), Open),
        (34, Refused(1), Open),
        (35, Begin(2), HalfOpen),
        (36, EndGood(0), HalfOpen),
        // The probe's caller leaves: the next call is the probe.
        (37, Leave(2), HalfOpen),
        (38, Begin(3), HalfOpen),
        (39, EndGood(3), Closed),
        // What began before it closed counts for nothing now.
        (40, EndBad(0), Closed),
        (40, Bad, Closed),
        (41, EndGood(1), Closed),
        (41, Bad, Closed),
        (42, Bad, Closed),
        (43, Bad, Closed),
        (44, Bad, Open),
    ]);
    play("stragglers", &rows);
}

#[test]
fn a_probe_that_never_ends_gives_way_and_its_late_answer_still_counts() {
    use BreakerState::{Closed, HalfOpen, Open};
    let mut rows: Vec<_> =
        (0..5).map(|at| (at, Bad, if at == 4 { Open } else { Closed })).collect();
    rows.extend([
        (34, Begin(0), HalfOpen),
        (63, Refused(1), HalfOpen),
        (64, Begin(1), HalfOpen),
        // The failure of a probe that gave way is no news; its answer is.
        (65, EndBad(0), HalfOpen),
        (66, EndGood(0), Closed),
        (67, EndBad(1), Closed),
        (67, Good, Closed),
    ]);
    play("overdue probe", &rows);
}

#[test]
fn a_breaker_that_is_held_lets_probes_through_and_closes_when_it_is_released() {
    use BreakerState::{Closed, HalfOpen, Open};
    play(
        "held",
        &[
            (0, Good, Closed),
            (1, Hold, Open),
            (2, Refused(29), Open),
            (31, Begin(0), HalfOpen),
            (32, EndGood(0), Open),
            (33, Refused(29), Open),
            (62, Good, Open),
            (63, Release, Closed),
            (64, Good, Closed),
        ],
    );
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Ask,
    Good(usize),
    Bad(usize),
    Leave(usize),
    Wait(u64),
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        4 => Just(Doing::Ask),
        2 => (0usize..8).prop_map(Doing::Good),
        5 => (0usize..8).prop_map(Doing::Bad),
        1 => (0usize..8).prop_map(Doing::Leave),
        2 => (0u64..40).prop_map(Doing::Wait),
    ]
}

proptest! {
    /// Whatever comes in whatever order: while it is not closed, calls go one probe a rest.
    #[test]
    fn there_is_never_more_than_one_probe(steps in prop::collection::vec(doing(), 1..400)) {
        let (mut breaker, mut now) = (Breaker::new(), 0u64);
        let mut under_way: Vec<Pass> = Vec::new();
        let mut probing: Option<(Pass, u64)> = None;
        for step in steps {
            let take = |at: usize, all: &mut Vec<Pass>| (at < all.len()).then(|| all.swap_remove(at));
            match step {
                Doing::Wait(seconds) => now += seconds * SECOND,
                Doing::Ask => {
                    let was = breaker.state(now);
                    if let Ok(pass) = breaker.admit(now, &RULES) {
                        prop_assert!(was != BreakerState::Open);
                        if matches!(pass, Pass::Probe(_)) {
                            // The one before it has ended, or had its whole rest.
                            let free = probing.is_none_or(|(_, until)| until <= now);
                            prop_assert!(free, "two probes at {now}");
                            probing = Some((pass, now + RULES.open.0 * 1_000));
                        } else {
                            prop_assert_eq!(was, BreakerState::Closed);
                        }
                        under_way.push(pass);
                    }
                }
                Doing::Good(at) => if let Some(pass) = take(at, &mut under_way) {
                    breaker.good(pass, now, &RULES);
                    probing = probing.filter(|(probe, _)| *probe != pass);
                },
                Doing::Bad(at) => if let Some(pass) = take(at, &mut under_way) {
                    breaker.bad(pass, now, &RULES);
                    probing = probing.filter(|(probe, _)| *probe != pass);
                },
                Doing::Leave(at) => if let Some(pass) = take(at, &mut under_way) {
                    breaker.dropped(pass);
                    probing = probing.filter(|(probe, _)| *probe != pass);
                },
            }
            if breaker.state(now) == BreakerState::Closed {
                probing = None;
            }
        }
    }

    /// Answers, whatever they say, never open it; nor do fewer failures in a row than the rules ask.
    #[test]
    fn only_failures_in_a_row_open_it(good in prop::collection::vec(0u32..5, 1..100)) {
        let (mut breaker, mut now) = (Breaker::new(), 0);
        for failures in good {
            for _ in 0..failures {
                let pass = breaker.admit(now, &RULES).unwrap();
                prop_assert_eq!(breaker.bad(pass, now, &RULES), Shift::Stayed);
            }
            now += SECOND;
            let pass = breaker.admit(now, &RULES).unwrap();
            prop_assert_eq!(breaker.good(pass, now, &RULES), Shift::Stayed);
            prop_assert!(breaker.is_untroubled());
        }
    }
}

/// What happens to a tool's health at one moment.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many calls that take this many milliseconds.
    Calls(u32, u64),
    Failed(u32),
    Breaker(bool),
    Tick,
}

fn live(name: &str, rows: &[(u64, Event, &[Turn], Level)]) {
    live_by(name, PerformanceRules::default(), rows);
}

fn live_by(name: &str, rules: PerformanceRules, rows: &[(u64, Event, &[Turn], Level)]) {
    let mut health = Health::default();
    for (row, (second, event, expected, level)) in rows.iter().enumerate() {
        let (now, mut turns) = (second * SECOND, Vec::new());
        match *event {
            Event::Calls(count, millis) => (0..count).for_each(|_| {
                let seen = Seen { micros: Some(millis * 1_000), ..Seen::default() };
                turns.extend(health.call(now, seen, &rules));
            }),
            Event::Failed(count) => (0..count).for_each(|_| {
                turns.extend(health.call(now, Seen { failed: true, ..Seen::default() }, &rules));
            }),
            Event::Breaker(open) => turns.extend(health.breaker(now, open)),
            Event::Tick => turns.extend(health.tick(now, &rules)),
        }
        let told = format!("{name}, row {row}: {event:?} at {second} s");
        assert_eq!(turns, *expected, "{told}");
        assert_eq!(health.level(), *level, "{told}");
    }
}

#[test]
fn five_slow_calls_in_a_row_are_drift_and_five_good_ones_end_it() {
    use Event::{Calls, Tick};
    use Level::{L0, L1};
    live(
        "latency",
        &[
            (0, Calls(19, 100), &[], L0),
            // Without a baseline nothing is slow.
            (1, Calls(1, 90_000), &[], L0),
            (2, Calls(100, 100), &[], L0),
            (3, Calls(4, 500), &[], L0),
            (4, Calls(1, 100), &[], L0),
            // Slower, but not twice as slow: that is the pace from now on.
            (5, Calls(20, 140), &[], L0),
            (6, Calls(4, 500), &[], L0),
            (7, Calls(1, 500), &[Turn::Began(Trouble::Slow)], L1),
            (8, Calls(30, 500), &[], L1),
            (9, Calls(4, 100), &[], L1),
            (10, Calls(1, 500), &[], L1),
            (11, Calls(4, 100), &[], L1),
            (12, Calls(1, 100), &[Turn::Recovered], L0),
            (13, Tick, &[], L0),
        ],
    );
}

#[test]
fn a_fast_tool_that_is_three_times_as_slow_and_still_fast_is_no_drift() {
    live(
        "least",
        &[
            (0, Event::Calls(100, 10), &[], Level::L0),
            (1, Event::Calls(50, 45), &[], Level::L0),
            (2, Event::Calls(5, 140), &[Turn::Began(Trouble::Slow)], Level::L1),
        ],
    );
}

#[test]
fn a_tenth_of_fifty_calls_in_five_minutes_may_fail() {
    use Event::{Calls, Failed};
    use Level::{L0, L1};
    live(
        "errors",
        &[
            // All of fewer than fifty.
            (0, Failed(49), &[], L0),
            (301, Calls(45, 10), &[], L0),
            (302, Failed(5), &[], L0),
            (303, Failed(1), &[Turn::Began(Trouble::Failing)], L1),
            (304, Failed(100), &[], L1),
            // The share is above a tenth until enough went well, or the window has moved on.
            (305, Calls(4, 10), &[], L1),
            (500, Calls(100, 10), &[], L1),
            (620, Calls(1, 10), &[Turn::Recovered], L0),
        ],
    );
}

#[test]
fn what_a_contract_states_is_measured_beside_the_relative_bounds() {
    use Event::{Calls, Failed, Tick};
    use Level::{L0, L1};
    let stating = |p95: Option<u64>, error_rate| PerformanceRules {
        objective: Objective { p95: p95.map(Millis), error_rate },
        ..PerformanceRules::default()
    };
    live_by(
        "late from the first call on",
        stating(Some(200), None),
        &[
            (0, Calls(49, 250), &[], L0),
            (1, Calls(1, 250), &[Turn::Began(Trouble::Late)], L1),
            (900, Calls(50, 250), &[], L1),
            (901, Tick, &[], L1),
            (902, Tick, &[Turn::Sustained], L1),
            // The window has moved on, and calls are in time again.
            (1_300, Calls(4, 150), &[], L1),
            (1_301, Calls(1, 150), &[Turn::Recovered], L0),
        ],
    );
    live_by(
        "a twentieth may be late",
        stating(Some(150), None),
        &[
            (0, Calls(95, 100), &[], L0),
            (1, Calls(5, 180), &[], L0),
            (3, Calls(1, 180), &[Turn::Began(Trouble::Late)], L1),
        ],
    );
    live_by(
        "slower than before and within what is stated: trouble, and no breach that could last",
        stating(Some(2_000), None),
        &[
            (0, Calls(100, 100), &[], L0),
            (1, Calls(5, 900), &[Turn::Began(Trouble::Slow)], L1),
            (2_000, Calls(5, 900), &[], L1),
            (2_001, Tick, &[], L1),
        ],
    );
    live_by(
        "fewer may fail than by default",
        stating(None, Some(0.02)),
        &[
            (0, Calls(98, 10), &[], L0),
            (1, Failed(2), &[], L0),
            (2, Failed(1), &[Turn::Began(Trouble::Failing)], L1),
            (903, Tick, &[Turn::Sustained], L1),
        ],
    );
    live_by(
        "more may fail than by default: trouble, and no breach",
        stating(None, Some(0.5)),
        &[
            (0, Calls(80, 10), &[], L0),
            (1, Failed(9), &[Turn::Began(Trouble::Failing)], L1),
            (1_000, Tick, &[], L1),
        ],
    );
}

#[test]
fn retries_of_a_tool_in_trouble_are_fewer_or_later_and_never_more() {
    let (rules, retry) = (PerformanceRules::default(), RetryRules::default());
    let mut health = Health::default();
    let took = |millis: u64| Seen { micros: Some(millis * 1_000), ..Seen::default() };
    let failed = Seen { failed: true, ..Seen::default() };
    assert_eq!(retry.adjusted(health.adjustment()), retry);
    (0..90).for_each(|_| drop(health.call(0, took(10), &rules)));
    (0..15).for_each(|_| drop(health.call(0, failed, &rules)));
    assert_eq!(health.adjustment(), Adjustment::Slower);
    assert_eq!(retry.adjusted(Adjustment::Slower), RetryRules { pause: Millis(400), ..retry });
    (0..5).for_each(|_| drop(health.call(0, took(900), &rules)));
    assert_eq!(health.adjustment(), Adjustment::Off, "slow is worse than failing");
    assert_eq!(retry.adjusted(Adjustment::Off), RetryRules { most: 0, ..retry });
    // A pause is never longer than the longest that is configured, nor shorter than it was.
    for (pause, longest, expected) in [(600, 2_000, 2_000), (3_000, 2_000, 3_000), (1, 60_000, 4)] {
        let own = RetryRules { pause: Millis(pause), longest: Millis(longest), ..retry };
        assert_eq!(own.adjusted(Adjustment::Slower).pause, Millis(expected));
    }
}

#[test]
fn an_open_breaker_is_trouble_until_it_closes() {
    use Event::{Breaker, Failed, Tick};
    use Level::{L0, L3};
    live(
        "breaker",
        &[
            (0, Failed(5), &[], L0),
            (0, Breaker(true), &[Turn::Began(Trouble::Down)], L3),
            (30, Failed(1), &[], L3),
            (31, Tick, &[], L3),
            (90, Event::Calls(1, 10), &[], L3),
            (90, Breaker(false), &[Turn::Recovered], L0),
        ],
    );
}

#[test]
fn trouble_of_more_than_fifteen_minutes_is_sustained_and_told_once() {
    use Event::{Breaker, Calls, Tick};
    use Level::{L0, L1, L3};
    live(
        "sustained",
        &[
            (0, Calls(100, 100), &[], L0),
            (10, Calls(5, 900), &[Turn::Began(Trouble::Slow)], L1),
            (600, Calls(50, 900), &[], L1),
            (910, Tick, &[], L1),
            (911, Tick, &[Turn::Sustained], L1),
            (912, Tick, &[], L1),
            (913, Calls(4, 100), &[], L1),
            (914, Calls(1, 100), &[Turn::Recovered], L0),
            // Another kind of trouble takes over where the first one ends: it goes on.
            (1_000, Calls(5, 900), &[Turn::Began(Trouble::Slow)], L1),
            (1_500, Breaker(true), &[Turn::Began(Trouble::Down)], L3),
            (1_600, Calls(5, 100), &[], L3),
            (1_901, Tick, &[Turn::Sustained], L3),
            (1_902, Breaker(false), &[Turn::Recovered], L0),
        ],
    );
}

#[test]
fn what_was_in_trouble_before_a_restart_is_so_until_calls_go_well() {
    let left = Health::left_in_trouble(0, Adjustment::Off);
    let (rules, mut health) = (PerformanceRules::default(), left);
    assert_eq!(health.adjustment(), Adjustment::Off);
    let good = Seen { micros: Some(10_000), ..Seen::default() };
    for _ in 0..4 {
        assert_eq!(health.call(SECOND, good, &rules), []);
    }
    assert_eq!(health.level(), Level::L1);
    assert_eq!(health.call(SECOND, good, &rules), [Turn::Recovered]);
    assert_eq!((health.level(), health.adjustment()), (Level::L0, Adjustment::None));
}

#[test]
fn a_pace_that_a_person_took_as_it_is_is_no_trouble() {
    let (rules, mut health) = (PerformanceRules::default(), Health::default());
    let took = |millis: u64| Seen { micros: Some(millis * 1_000), ..Seen::default() };
    (0..100).for_each(|_| drop(health.call(0, took(100), &rules)));
    (0..50).for_each(|_| drop(health.call(SECOND, took(900), &rules)));
    assert_eq!(health.level(), Level::L1);
    assert_eq!(health.accept(2 * SECOND), Some(Turn::Recovered));
    for _ in 0..100 {
        assert_eq!(health.call(3 * SECOND, took(900), &rules), []);
    }
    assert!(health.pace().baseline().is_some_and(|p95| p95 > 800_000));
}

#[test]
fn retries_count_as_calls_that_failed() {
    let (rules, mut health) = (PerformanceRules::default(), Health::default());
    let retried = Seen { micros: Some(10_000), failed: false, retried: 1 };
    let turns: Vec<Turn> = (0..25).flat_map(|_| health.call(0, retried, &rules)).collect();
    assert_eq!(turns, [Turn::Began(Trouble::Failing)]);
    assert_eq!(health.share(0, &rules), Share { calls: 50, failed: 25 });
}

proptest! {
    /// What a tool says of itself (`isError`, any reply) is no failure: a tool whose calls do not fail is
    /// never failing or down, whatever they take.
    #[test]
    fn calls_that_do_not_fail_never_make_it_failing(
        calls in prop::collection::vec((0u64..SECOND, prop::option::of(1u64..10_000_000)), 1..300)
    ) {
        let (rules, mut health, mut now) = (PerformanceRules::default(), Health::default(), 0);
        for (later, micros) in calls {
            now += later;
            for turn in health.call(now, Seen { micros, ..Seen::default() }, &rules) {
                prop_assert!(matches!(turn, Turn::Began(Trouble::Slow) | Turn::Recovered));
            }
        }
    }

    /// Trouble begins and ends in turn, and is sustained only in between.
    #[test]
    fn turns_come_in_order(
        calls in prop::collection::vec((0u64..60, any::<bool>(), 1u64..2_000), 1..500)
    ) {
        let (rules, mut health, mut now) = (PerformanceRules::default(), Health::default(), 0);
        let (mut troubled, mut sustained) = (false, false);
        for (later, failed, millis) in calls {
            now += later * SECOND;
            let mut turns: Vec<Turn> = health.tick(now, &rules).into_iter().collect();
            let seen = Seen { micros: Some(millis * 1_000), failed, retried: 0 };
            turns.extend(health.call(now, seen, &rules));
            for turn in turns {
                match turn {
                    Turn::Began(_) => troubled = true,
                    Turn::Sustained => {
                        prop_assert!(troubled && !sustained);
                        sustained = true;
                    }
                    Turn::Recovered => {
                        prop_assert!(troubled);
                        (troubled, sustained) = (false, false);
                    }
                }
            }
            prop_assert_eq!(health.level() != Level::L0, troubled);
            prop_assert_eq!(health.is_sustained(), sustained);
        }
    }
}
