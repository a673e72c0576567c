use serde_json::{Value, json};

use super::{Look, Profile, ProfileSettings};
use crate::domain::message::UnixMillis;

/// A small generator of even numbers in `0..1`, the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn price(dice: &mut Dice, factor: f64) -> Value {
    let cents = (dice.next() * 40_000.0).round() + 1_000.0;
    json!({ "price": (cents * factor).round() / 100.0, "currency": "EUR" })
}

/// Plays calls until the profile drops; how many it took.
fn played(profile: &mut Profile, dice: &mut Dice, calls: u64, factor: f64) -> Option<(u64, Look)> {
    for call in 0..calls {
        let reply = price(dice, factor);
        let arguments = json!({ "route": (dice.next() * 1e6).round() });
        let at = UnixMillis(1_800_000_000_000 + profile.taken() * 1_000);
        if profile.take(reply.to_string().as_bytes(), &reply, &arguments, at)
            && let Some(look) = profile.look()
            && !look.findings.is_empty()
        {
            return Some((call + 1, look));
        }
    }
    None
}

#[test]
fn prices_times_a_hundred_are_found_within_fifty_calls_and_they_come_back() {
    let (mut profile, mut dice) = (Profile::new(ProfileSettings::default()), Dice(7));
    assert!(played(&mut profile, &mut dice, 2_000, 1.0).is_none());
    let (calls, look) = played(&mut profile, &mut dice, 50, 100.0).expect("a drop");
    assert!(calls <= 50, "{calls}");
    assert!(look.score < 90.0, "{}", look.score);
    let magnitude = look.findings.iter().find(|it| it.kind == "magnitude").expect("a magnitude");
    assert_eq!(magnitude.pointer, "/price");
    assert!(profile.is_disturbed());
    // As long as it stays so, it is never learnt.
    let (mut again, mut later) = (profile.clone(), Dice(9));
    assert!(played(&mut again, &mut later, 1_000, 100.0).is_some());
    assert!(again.is_disturbed());
    // Back to what it was, the profile is at rest again.
    played(&mut profile, &mut dice, 60, 1.0);
    assert!(played(&mut profile, &mut dice, 100, 1.0).is_none());
    assert!(!profile.is_disturbed());
}

#[test]
fn other_settings_make_it_anew_and_never_while_its_values_are_outside_of_it() {
    let settings = ProfileSettings::default();
    let (mut profile, mut dice) = (Profile::new(settings), Dice(5));
    assert!(played(&mut profile, &mut dice, 500, 1.0).is_none());
    // How far it must drop is no part of what was learnt.
    profile.go_by(ProfileSettings { drop: 12, ..settings });
    assert_eq!(profile.taken(), 500);
    let other = ProfileSettings { every_calls: 20, ..settings };
    assert!(played(&mut profile, &mut dice, 50, 100.0).is_some());
    profile.go_by(other);
    assert!(profile.is_learnt() && profile.is_disturbed(), "it would learn the new prices");
    played(&mut profile, &mut dice, 200, 1.0);
    assert!(!profile.is_disturbed());
    profile.go_by(other);
    assert!(!profile.is_learnt());
    assert!(played(&mut profile, &mut dice, 500, 1.0).is_none());
    assert!(played(&mut profile, &mut dice, 100, 100.0).is_some());
}

#[test]
fn nothing_is_compared_before_enough_replies() {
    let (mut profile, mut dice) = (Profile::new(ProfileSettings::default()), Dice(3));
    assert!(played(&mut profile, &mut dice, 40, 1.0).is_none());
    assert!(played(&mut profile, &mut dice, 50, 100.0).is_none());
    assert!(!profile.is_learnt());
}

#[test]
fn one_odd_session_and_what_grows_are_no_change() {
    let (mut profile, mut dice) = (Profile::new(ProfileSettings::default()), Dice(11));
    assert!(played(&mut profile, &mut dice, 500, 1.0).is_none());
    assert!(played(&mut profile, &mut dice, 10, 1_000.0).is_none(), "a batch alone is no change");
    assert!(played(&mut profile, &mut dice, 200, 1.0).is_none());
    // A year of prices that rise, and fifty times what they were at its end.
    let mut factor = 1.0;
    for call in 0..40_000 {
        factor *= 1.000_1;
        let dropped = played(&mut profile, &mut dice, 1, factor);
        assert!(dropped.is_none(), "{call}: {dropped:?}");
    }
    assert!(factor > 50.0);
}

/// Plays a reply made anew for each call, and counts how often the profile dropped; it is made anew then.
fn drops(calls: u64, mut reply: impl FnMut(u64) -> Value) -> u32 {
    let (mut profile, mut dropped) = (Profile::new(ProfileSettings::default()), 0);
    for call in 0..calls {
        let at = UnixMillis(1_800_000_000_000 + call * 1_000);
        let (reply, arguments) = (reply(call), json!({ "call": call }));
        if profile.take(reply.to_string().as_bytes(), &reply, &arguments, at)
            && profile.look().is_some_and(|look| !look.findings.is_empty())
        {
            dropped += 1;
            profile = Profile::new(ProfileSettings::default());
        }
    }
    dropped
}

#[test]
fn what_moves_on_in_steps_is_no_choice() {
    let mut dice = Dice(17);
    for (what, step) in [("a counter", 60), ("a release", 300), ("a slow counter", 900)] {
        let alarms = drops(6_000, |call| match what {
            "a release" => json!({ "version": format!("2.3.{}", call / step) }),
            _ => json!({ "revision": 3 + call / step }),
        });
        assert_eq!(alarms, 0, "{what}");
    }
    let mut open = 20_i64;
    let wanders = drops(6_000, |call| {
        open += i64::from(call % 40 == 0) * if dice.next() < 0.5 { 1 } else { -1 };
        json!({ "open": open })
    });
    assert_eq!(wanders, 0, "a number that wanders");
    let state = drops(6_000, |call| {
        let state = if call % 2_000 < 1_900 { "healthy" } else { "degraded" };
        json!({ "state": state })
    });
    assert_eq!(state, 0, "a state that lasts");
}

#[test]
fn a_unit_that_never_changed_and_a_code_among_others_are_choices() {
    let unit = |call: u64| json!({ "unit": if call < 400 { "celsius" } else { "fahrenheit" } });
    assert!(drops(450, unit) > 0);
    let mut dice = Dice(19);
    let code = |call: u64| {
        let code = (dice.next() * 4.0).floor() as i64;
        json!({ "status": if call < 400 { code } else { code + 10 } })
    };
    assert!(drops(450, code) > 0);
}

#[test]
fn what_the_caller_gave_says_nothing_of_the_peer() {
    let (mut profile, mut dice) = (Profile::new(ProfileSettings::default()), Dice(13));
    let mut asked = |profile: &mut Profile, limit: u64| {
        let arguments = json!({ "limit": limit, "seed": dice.next() });
        let reply = json!({ "limit": limit, "made": dice.next() });
        let at = UnixMillis(1_800_000_000_000 + profile.taken() * 1_000);
        profile.take(reply.to_string().as_bytes(), &reply, &arguments, at);
        profile.look().is_some_and(|look| !look.findings.is_empty())
    };
    assert!((0..400).all(|call| !asked(&mut profile, 10 + call % 3)));
    assert!((0..100).all(|call| !asked(&mut profile, 90_000 + call % 3)));
}

#[test]
fn texts_are_told_apart_by_how_they_are_written() {
    use super::words::{Class, read};
    for (text, class) in [
        ("2026-11-21T10:00:00Z", Class::Utc),
        ("2026-11-21T10:00:00+02:00", Class::Offset),
        ("2026-11-21 10:00", Class::Local),
        ("2026-11-21", Class::Day),
        ("21.11.2026", Class::Dotted),
        ("11/21/2026", Class::Slashed),
        ("4711", Class::Whole),
        ("1,234.56", Class::Point),
        ("1.234,56", Class::Comma),
        ("12.50 EUR", Class::Measure),
        ("https://example.com/1", Class::Url),
        ("c0ffee12", Class::Code),
        ("open", Class::Word),
        ("It does not start.", Class::Prose),
    ] {
        assert_eq!(read(text).class, class, "{text}");
    }
    let moment = |text| read(text).moment.unwrap();
    assert_eq!(moment("1970-01-02T00:00:00Z"), 86_400_000.0);
    assert_eq!(moment("2026-11-21T10:00:00+02:00"), moment("2026-11-21T08:00:00Z"));
    assert_eq!(read("1,234.56").number, Some(1_234.56));
    assert_eq!(read("-1.234,56").number, Some(-1_234.56));
    assert_eq!(read("12.50 EUR").number, Some(12.5));
}
