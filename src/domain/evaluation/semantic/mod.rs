//! How the profiles do: changes of meaning that must be found, and a long life in which nothing may be.
//!
//! ```text
//!   a peer of a world, by its seed ──► calls ──► profile ──► learnt
//!                                                   ├── a change ──► calls until it drops ──► Found
//!                                                   └── none ──► calls, alarms ──► Quiet
//! ```
//!
//! Never here: a figure that the profile's constants were chosen by. Seeds from [`HELD_OUT`] on were
//! looked at once, for the report.

mod changes;
mod dice;
mod recorded;
mod worlds;

use std::collections::BTreeMap;

use serde_json::Value;

pub use changes::Kind;
pub use recorded::recorded;
pub use worlds::{Peer, World};

use crate::domain::drift::profile::{Look, Profile, ProfileSettings};
use crate::domain::message::UnixMillis;

/// Seeds from here on are for the report alone.
pub const HELD_OUT: u64 = 1_000;
/// Calls within which a change is to be found.
pub const WITHIN: u32 = 50;

/// How often changes of a kind were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Cases.
    pub of: u32,
    /// Those found within [`WITHIN`] calls.
    pub count: u32,
    /// Calls that it took, where it was found.
    pub calls: Vec<u32>,
    /// Cases that were missed, by what was changed.
    pub missed: BTreeMap<String, u32>,
    /// Cases before which an undisturbed profile had dropped already: they are not counted.
    pub spoilt: u32,
}

impl Found {
    /// Notes one case.
    pub fn note(&mut self, what: &str, calls: Option<u32>) {
        self.of += 1;
        match calls {
            Some(calls) => {
                self.count += 1;
                self.calls.push(calls);
            }
            None => *self.missed.entry(what.to_owned()).or_default() += 1,
        }
    }

    /// Adds others.
    pub fn join(&mut self, other: &Self) {
        self.of += other.of;
        self.count += other.count;
        self.spoilt += other.spoilt;
        self.calls.extend(&other.calls);
        for (what, count) in &other.missed {
            *self.missed.entry(what.clone()).or_default() += count;
        }
    }

    /// The middle of the calls that it took.
    #[must_use]
    pub fn median(&self) -> Option<u32> {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        calls.get(calls.len() / 2).copied()
    }
}

/// Alarms in an undisturbed life.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quiet {
    /// Calls.
    pub calls: u64,
    /// Times that the profile dropped.
    pub alarms: u64,
    /// The lowest score that was seen.
    pub lowest: f64,
    /// What the alarms were about.
    pub about: Vec<String>,
}

/// Feeds a call; the comparison, where one was due.
pub fn fed(
    profile: &mut Profile,
    settings: &ProfileSettings,
    (at, arguments, reply): &(UnixMillis, Value, Value),
) -> Option<Look> {
    let full = profile.take(reply.to_string().as_bytes(), reply, arguments, *at);
    debug_assert!(settings.every_calls > 0);
    full.then(|| profile.look()).flatten()
}

/// Learns a peer for so many calls, then tries every change on copies of it.
#[must_use]
pub fn changed(world: World, seed: u64, calls: u32) -> BTreeMap<Kind, Found> {
    let settings = ProfileSettings::default();
    // Some peers are called every second, some every ten minutes.
    let pace = [1_500.0, 20_000.0, 120_000.0, 600_000.0][(seed % 4) as usize];
    let (mut peer, mut profile) = (Peer::new(world, seed, pace), Profile::new(settings));
    for _ in 0..calls {
        fed(&mut profile, &settings, &peer.next_call());
    }
    let mut all = BTreeMap::new();
    for kind in Kind::ALL {
        for target in kind.targets(world) {
            let found: &mut Found = all.entry(kind).or_default();
            if profile.is_disturbed() {
                found.spoilt += 1;
                continue;
            }
            let (mut peer, mut profile) = (peer.clone(), profile.clone());
            let calls = (1..=WITHIN).find(|_| {
                let mut call = peer.next_call();
                kind.apply(&mut call.2, target);
                fed(&mut profile, &settings, &call).is_some_and(|look| !look.findings.is_empty())
            });
            found.note(&format!("{}: {target}", world.word()), calls);
        }
    }
    all
}

/// An undisturbed life of so many calls.
#[must_use]
pub fn quiet(world: World, seed: u64, pace: f64, calls: u64) -> Quiet {
    let settings = ProfileSettings::default();
    let (mut peer, mut profile) = (Peer::new(world, seed, pace), Profile::new(settings));
    let mut quiet = Quiet { calls, lowest: 100.0, ..Quiet::default() };
    for call in 0..calls {
        let Some(look) = fed(&mut profile, &settings, &peer.next_call()) else { continue };
        quiet.lowest = quiet.lowest.min(look.score);
        if !look.findings.is_empty() {
            quiet.alarms += 1;
            let about = |it: &crate::domain::drift::profile::Finding| {
                format!("{} {} {}: {}", world.word(), call, it.pointer, it.message)
            };
            quiet.about.extend(look.findings.first().map(about));
            // A person takes what is there: it is learnt anew.
            profile = Profile::new(settings);
        }
    }
    quiet
}
