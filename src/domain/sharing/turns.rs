//! Who goes next: deficit round robin over principals, each with a line of its own.
//!
//! A round lets each principal that waits go `weight` times, so that who has many calls waiting takes
//! nothing from who has one, and nobody waits longer than a round for each call before its own.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use crate::domain::message::Principal;

/// How many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of all principals.
    pub all: usize,
    /// Of one principal.
    pub each: usize,
}

/// Why nobody more may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many wait as may.
    All,
    /// As many of this principal wait as may.
    Principal,
}

/// A place in a line, to leave it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    who: Principal,
    number: u64,
}

/// Those who wait, and whose turn it is.
#[derive(Debug)]
pub struct Turns<W> {
    lines: BTreeMap<Principal, Line<W>>,
    /// Principals that have a line, in the order of this round.
    round: VecDeque<Principal>,
    waiting: usize,
    next: u64,
}

#[derive(Debug)]
struct Line<W> {
    weight: NonZeroU32,
    /// How many more may go in this round.
    left: u32,
    waiters: VecDeque<(u64, W)>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), round: VecDeque::new(), waiting: 0, next: 0 }
    }
}

impl<W> Turns<W> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Stands in line as this principal, whose weight is that of its latest call.
    ///
    /// # Errors
    /// [`Full`], where there is no room to wait.
    pub fn join(
        &mut self,
        who: &Principal,
        weight: NonZeroU32,
        room: Room,
        waiter: W,
    ) -> Result<Ticket, Full> {
        if self.waiting >= room.all {
            return Err(Full::All);
        }
        let number = self.next;
        match self.lines.get_mut(who) {
            Some(line) if line.waiters.len() >= room.each => return Err(Full::Principal),
            Some(line) => {
                line.weight = weight;
                line.waiters.push_back((number, waiter));
            }
            None if room.each == 0 => return Err(Full::Principal),
            None => {
                let waiters = VecDeque::from([(number, waiter)]);
                self.lines.insert(who.clone(), Line { weight, left: weight.get(), waiters });
                self.round.push_back(who.clone());
            }
        }
        self.next += 1;
        self.waiting += 1;
        Ok(Ticket { who: who.clone(), number })
    }

    /// Lets the next one go.
    pub fn go(&mut self) -> Option<W> {
        let who = self.round.front()?;
        let line = self.lines.get_mut(who)?;
        let (_, waiter) = line.waiters.pop_front()?;
        self.waiting -= 1;
        line.left -= 1;
        if line.waiters.is_empty() {
            self.lines.remove(who);
            self.round.pop_front();
        } else if line.left == 0 {
            line.left = line.weight.get();
            self.round.rotate_left(1);
        }
        Some(waiter)
    }

    /// Leaves the line; `None` where its turn has come.
    pub fn leave(&mut self, ticket: &Ticket) -> Option<W> {
        let line = self.lines.get_mut(&ticket.who)?;
        // Numbers rise along a line.
        let at = line.waiters.binary_search_by_key(&ticket.number, |(number, _)| *number).ok()?;
        let (_, waiter) = line.waiters.remove(at)?;
        self.waiting -= 1;
        if line.waiters.is_empty() {
            self.lines.remove(&ticket.who);
            self.round.retain(|who| *who != ticket.who);
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDE: Room = Room { all: usize::MAX, each: usize::MAX };

    fn who(at: usize) -> Principal {
        Principal::new(format!("{at}"))
    }

    fn weight(of: u32) -> NonZeroU32 {
        NonZeroU32::new(of).unwrap()
    }

    #[test]
    fn room_is_bounded_for_all_and_for_each_and_comes_back() {
        let mut turns = Turns::default();
        let room = Room { all: 3, each: 2 };
        let first = turns.join(&who(0), weight(1), room, 'a').unwrap();
        let second = turns.join(&who(0), weight(1), room, 'b').unwrap();
        assert_eq!(turns.join(&who(0), weight(1), room, 'c'), Err(Full::Principal));
        turns.join(&who(1), weight(1), room, 'd').unwrap();
        assert_eq!(turns.join(&who(2), weight(1), room, 'e'), Err(Full::All));
        assert_eq!(turns.leave(&first), Some('a'));
        assert_eq!(turns.leave(&first), None);
        assert_eq!((turns.go(), turns.len()), (Some('b'), 1));
        assert_eq!(turns.leave(&second), None, "its turn had come");
        turns.join(&who(0), weight(1), room, 'f').unwrap();
        assert_eq!([turns.go(), turns.go(), turns.go()], [Some('d'), Some('f'), None]);
        assert!(turns.lines.is_empty() && turns.round.is_empty());
        let none = Room { all: 1, each: 0 };
        assert_eq!(turns.join(&who(0), weight(1), none, 'a'), Err(Full::Principal));
    }

    proptest! {
        /// While all have calls waiting, what each gets is its weight's share, to within one round.
        #[test]
        fn shares_follow_weights(weights in prop::collection::vec(1..9_u32, 1..8), rounds in 1..20_u32) {
            let mut turns = Turns::default();
            for (at, share) in weights.iter().enumerate() {
                for _ in 0..share * (rounds + 1) {
                    turns.join(&who(at), weight(*share), WIDE, at).unwrap();
                }
            }
            let mut got = vec![0_u32; weights.len()];
            let total: u32 = weights.iter().sum();
            for gone in 1..=total * rounds {
                got[turns.go().unwrap()] += 1;
                for (got, share) in got.iter().zip(&weights) {
                    let due = f64::from(gone) * f64::from(*share) / f64::from(total);
                    prop_assert!((f64::from(*got) - due).abs() <= f64::from(*share));
                }
            }
            prop_assert_eq!(got, weights.iter().map(|share| share * rounds).collect::<Vec<_>>());
        }

        /// Whoever waits goes within one round for each call of its own before it, whatever others do:
        /// they may come and leave as they like.
        #[test]
        fn nobody_starves(
            before in 0..5_usize,
            own in 1..4_u32,
            others in prop::collection::vec((1..6_usize, 1..5_u32, any::<bool>()), 1..200),
        ) {
            let mut turns = Turns::default();
            let all: u32 = (1..6).map(|_| 4).sum();
            for _ in 0..=before {
                turns.join(&who(0), weight(own), WIDE, 0).unwrap();
            }
            let bound = (before + 1) as u32 * (all + own);
            let (mut gone, mut left) = (0_u32, before + 1);
            for (other, share, leaves) in others.iter().cycle() {
                for _ in 0..3 {
                    let ticket = turns.join(&who(*other), weight(*share), WIDE, *other).unwrap();
                    if *leaves {
                        prop_assert_eq!(turns.leave(&ticket), Some(*other));
                    }
                }
                gone += 1;
                left -= usize::from(turns.go() == Some(0));
                if left == 0 {
                    break;
                }
                prop_assert!(gone <= bound, "{left} of {before} still wait after {gone}");
            }
        }

        /// Nobody is lost, nobody goes twice, each principal's calls go in the order they came.
        #[test]
        fn everyone_goes_once_and_in_order(steps in prop::collection::vec((0..4_usize, 0..5_u32), 0..200)) {
            let mut turns = Turns::default();
            let (mut joined, mut gone) = (Vec::new(), Vec::new());
            for (number, (name, share)) in steps.iter().enumerate() {
                match NonZeroU32::new(*share) {
                    Some(share) => {
                        turns.join(&who(*name), share, WIDE, (*name, number)).unwrap();
                        joined.push((*name, number));
                    }
                    None => gone.extend(turns.go()),
                }
                prop_assert_eq!(turns.len(), joined.len() - gone.len());
            }
            while let Some(next) = turns.go() {
                gone.push(next);
            }
            for name in 0..4 {
                let of = |all: &[(usize, usize)]| {
                    all.iter().filter(|(who, _)| *who == name).copied().collect::<Vec<_>>()
                };
                prop_assert_eq!(of(&gone), of(&joined));
            }
            prop_assert!(turns.is_empty() && turns.lines.is_empty() && turns.round.is_empty());
        }
    }
}
