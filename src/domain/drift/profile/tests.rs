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
    json!({ "price": cents / 100.0 * factor, "currency": "EUR" })
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
fn nothing_is_compared_before_enough_replies() {
    let (mut profile, mut dice) = (Profile::new(ProfileSettings::default()), Dice(3));
    assert!(played(&mut profile, &mut dice, 40, 1.0).is_none());
    assert!(played(&mut profile, &mut dice, 50, 100.0).is_none());
    assert!(!profile.is_learnt());
}
