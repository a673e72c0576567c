//! A peer with so many workers, those who ask it again and again, and the limit between them: all in
//! simulated time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;

use super::{Bounds, Pace, Room, Seen, Turns};
use crate::domain::message::Principal;

/// Numbers without a pattern, the same each time.
struct Dice(u64);

impl Dice {
    /// Between 0 and 1.
    fn roll(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How long a call keeps a worker, in microseconds.
type Work = fn(&mut Dice) -> u64;

struct Scene {
    workers: usize,
    /// Connections of each principal; each asks again as soon as it was answered and `gap` passed.
    clients: Vec<usize>,
    gap: u64,
    work: Work,
    bounds: Option<Bounds>,
    fair: bool,
}

/// What came of it.
struct Told {
    done: u64,
    limit: u64,
    /// Of the second half, by principal, in microseconds.
    latencies: BTreeMap<usize, Vec<u64>>,
}

impl Told {
    fn p99(&mut self, principal: usize) -> u64 {
        let all = self.latencies.get_mut(&principal).unwrap();
        all.sort_unstable();
        all[all.len() * 99 / 100]
    }
}

/// A call: whose it is, and since when it is asked.
type Call = (usize, u64);

struct World {
    scene: Scene,
    dice: Dice,
    now: u64,
    /// When, and whether a client asks (true) or a worker is done (false).
    events: BinaryHeap<Reverse<(u64, u64, bool, Call)>>,
    turns: Turns<Call>,
    /// What the peer has taken and no worker is free for.
    inside: std::collections::VecDeque<Call>,
    busy: usize,
    in_flight: u64,
    pace: Option<Pace>,
    seen: Seen,
    since: u64,
    order: u64,
}

impl World {
    fn new(scene: Scene) -> Self {
        let pace = scene.bounds.map(Pace::new);
        let mut world = Self {
            scene,
            dice: Dice(7),
            now: 0,
            events: BinaryHeap::new(),
            turns: Turns::default(),
            inside: Default::default(),
            busy: 0,
            in_flight: 0,
            pace,
            seen: Seen { done: 0, in_flight_sum: 0, micros: 0, waited: false },
            since: 0,
            order: 0,
        };
        for (principal, count) in world.scene.clients.clone().into_iter().enumerate() {
            for at in 0..count as u64 {
                world.at(at, true, (principal, at));
            }
        }
        world
    }

    fn at(&mut self, when: u64, asks: bool, call: Call) {
        self.order += 1;
        self.events.push(Reverse((when, self.order, asks, call)));
    }

    fn limit(&self) -> u64 {
        self.pace.as_ref().map_or(u64::MAX, Pace::limit)
    }

    /// Those whose turn it is go to the peer, and to its workers.
    fn go(&mut self) {
        while self.in_flight < self.limit() {
            let Some(call) = self.turns.go() else { break };
            self.in_flight += 1;
            self.inside.push_back(call);
        }
        self.seen.waited |= !self.turns.is_empty();
        while self.busy < self.scene.workers {
            let Some(call) = self.inside.pop_front() else { break };
            self.busy += 1;
            let done = self.now + (self.scene.work)(&mut self.dice);
            self.at(done, false, call);
        }
    }

    fn look(&mut self) {
        self.seen.micros = self.now - self.since;
        if self.pace.as_mut().is_some_and(|pace| pace.look(self.seen)) {
            self.seen = Seen { done: 0, in_flight_sum: 0, micros: 0, waited: false };
            self.since = self.now;
        }
    }

    /// Goes on for so many microseconds.
    fn run(&mut self, micros: u64) -> Told {
        let until = self.now + micros;
        let mut told = Told { done: 0, limit: 0, latencies: BTreeMap::new() };
        while let Some(Reverse((when, _, asks, (principal, since)))) = self.events.pop() {
            if when > until {
                self.at(when, asks, (principal, since));
                break;
            }
            self.now = when;
            if asks {
                let line = Principal::new(if self.scene.fair {
                    principal.to_string()
                } else {
                    String::new()
                });
                let room = Room { all: 10_000, each: 10_000 };
                self.turns.join(&line, NonZeroU32::MIN, room, (principal, when)).unwrap();
            } else {
                self.busy -= 1;
                self.seen.done += 1;
                self.seen.in_flight_sum += self.in_flight;
                self.in_flight -= 1;
                told.done += 1;
                if self.now > until - micros / 2 {
                    told.latencies.entry(principal).or_default().push(when - since);
                }
                self.at(when + self.scene.gap, true, (principal, when));
                self.look();
            }
            self.go();
        }
        self.now = until;
        told.limit = self.limit();
        told
    }
}

fn even(_: &mut Dice) -> u64 {
    2_000
}

/// Anything from a third to nineteen times as long as the middle, as tools that depend on what is asked.
fn wild(dice: &mut Dice) -> u64 {
    (700.0 / (1.0 - dice.roll() * 0.999).powf(0.7)) as u64
}

const WIDE: Option<Bounds> = Some(Bounds { min: 4, max: 1_000 });

fn scene(clients: &[usize], work: Work) -> Scene {
    Scene { workers: 8, clients: clients.to_vec(), gap: 150, work, bounds: WIDE, fair: true }
}

/// What a scene gets done in ten simulated seconds, after two to find the limit.
fn settled(scene: Scene) -> Told {
    let mut world = World::new(scene);
    world.run(2_000_000);
    world.run(10_000_000)
}

#[test]
fn who_asks_one_by_one_hardly_feels_who_asks_with_many() {
    for work in [even as Work, wild] {
        let alone = settled(Scene { bounds: None, ..scene(&[0, 1], work) }).p99(1);
        let mut free = settled(Scene { bounds: None, fair: false, ..scene(&[32, 1], work) });
        let mut fair = settled(scene(&[32, 1], work));
        let (free_p99, fair_p99) = (free.p99(1), fair.p99(1));
        // Where work itself varies as much, waiting hardly shows.
        let shows = std::ptr::fn_addr_eq(work, even as Work);
        assert!(!shows || free_p99 > 2 * alone, "without a limit {free_p99} us, alone {alone} us");
        assert!(fair_p99 < 2 * alone, "{fair_p99} us, alone {alone} us, limit {}", fair.limit);
        assert!(
            fair.done as f64 > 0.95 * free.done as f64,
            "{} done of {}, limit {}",
            fair.done,
            free.done,
            fair.limit
        );
    }
}

#[test]
fn a_peer_that_is_not_full_is_left_alone() {
    for work in [even as Work, wild] {
        for clients in [3, 33, 200] {
            let roomy = |bounds| Scene { workers: 1_000, bounds, ..scene(&[clients], work) };
            let (free, held) = (settled(roomy(None)), settled(roomy(WIDE)));
            let share = held.done as f64 / free.done as f64;
            assert!(share > 0.985, "{clients} clients get {share} done, limit {}", held.limit);
        }
    }
}

#[test]
fn the_limit_follows_a_peer_that_shrinks_and_grows() {
    let mut world = World::new(scene(&[64], even));
    for (workers, from, to) in [(8, 8, 13), (16, 15, 26), (4, 4, 8), (32, 27, 50)] {
        world.scene.workers = workers;
        let told = world.run(20_000_000);
        assert!((from..=to).contains(&told.limit), "{workers} workers, limit {}", told.limit);
        let possible = 20_000_000.0 / 2_000.0 * workers as f64;
        assert!(told.done as f64 > 0.85 * possible, "{workers} workers: {} done", told.done);
    }
}

#[test]
fn calls_that_take_a_minute_are_not_taken_for_overload() {
    fn slow(_: &mut Dice) -> u64 {
        60_000_000
    }
    let mut world = World::new(Scene { workers: 1_000, ..scene(&[8], slow) });
    // What was learnt from another time gives way where nothing can be learnt any more.
    world.pace = Some(Pace::come_down_to(Bounds { min: 4, max: 1_000 }, 4));
    for _ in 0..20 {
        world.run(1_000_000);
        world.look();
        world.go();
    }
    assert_eq!(world.in_flight, 8, "limit {}", world.limit());
}

#[test]
fn the_limit_stays_between_its_bounds() {
    let bounds = Some(Bounds { min: 6, max: 20 });
    for workers in [1, 2, 100] {
        let told = settled(Scene { workers, bounds, ..scene(&[64], even) });
        assert!((6..=20).contains(&told.limit), "{}", told.limit);
    }
}
