//! Who is listed what. A peer may list to each caller just what that one may call, so a tool that one
//! caller is not listed need not be gone: it is gone where it was listed before, and nobody who is
//! listed otherwise still sees it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::message::Principal;

/// Principals that are remembered; the one that was read longest ago makes room.
const MOST: usize = 256;

/// What each principal is listed of what is promised.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    views: BTreeMap<Principal, View>,
    /// Whose listing first lacked a tool that is held to be gone.
    lost: BTreeMap<String, Principal>,
}

#[derive(Clone, Debug, Default)]
struct View {
    /// Promised tools that it was never listed.
    lacks: BTreeSet<String>,
    /// Promised tools that its last listing lacked.
    missing: BTreeSet<String>,
    /// When that was, in monotonic microseconds.
    at: u64,
}

/// What a listing says of the promised tools that it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absences {
    /// Those that are no removal.
    pub excused: BTreeSet<String>,
    /// Some are excused only as long as another's listing is believed: look again.
    pub unsure: bool,
    /// The principal was not listed anything before.
    pub first: bool,
    /// Principals of whom something is known that was not known before.
    pub learnt: BTreeSet<Principal>,
}

impl Audience {
    /// What an earlier life knew: principals, and the promised tools that they were never listed.
    pub fn recovered(known: impl IntoIterator<Item = (Principal, BTreeSet<String>)>) -> Self {
        let view = |lacks: BTreeSet<String>| View { missing: lacks.clone(), lacks, at: 0 };
        let views = known.into_iter().map(|(who, lacks)| (who, view(lacks))).collect();
        Self { views, lost: BTreeMap::new() }
    }

    /// Whether nothing is known of anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The promised tools that a principal was never listed; `None` where it is not known.
    #[must_use]
    pub fn lacks(&self, who: &Principal) -> Option<&BTreeSet<String>> {
        self.views.get(who).map(|view| &view.lacks)
    }

    /// A principal was listed all that is promised.
    pub fn sees_all(&mut self, who: &Principal, now: u64) {
        self.put(who, View { at: now, ..View::default() });
    }

    /// A principal was listed the same as another, byte for byte.
    pub fn sees_the_same(&mut self, who: &Principal, other: &Principal, now: u64) {
        let known = self.views.get(if self.views.contains_key(who) { who } else { other });
        if let Some(known) = known.cloned() {
            self.put(who, View { at: now, ..known });
        }
    }

    /// Tools are promised anew because of what one principal was listed; the others never were, as far as
    /// is known.
    pub fn promised(&mut self, tools: &BTreeSet<String>, by: &Principal) {
        for (_, view) in self.views.iter_mut().filter(|(who, _)| *who != by) {
            view.lacks.extend(tools.iter().cloned());
            view.missing.extend(tools.iter().cloned());
        }
    }

    /// A principal's whole listing lacks these promised tools. `believed` is how long a listing is
    /// believed, in microseconds.
    pub fn read(
        &mut self,
        who: &Principal,
        missing: &BTreeSet<String>,
        now: u64,
        believed: u64,
    ) -> Absences {
        let mut absences = Absences { first: !self.views.contains_key(who), ..Absences::default() };
        self.learn_of_the_lost(who, missing, &mut absences.learnt);
        let known = self.views.get(who).map(|view| view.lacks.clone());
        let lacks = match &known {
            Some(known) => known.intersection(missing).cloned().collect(),
            None => missing.clone(),
        };
        for tool in missing {
            if lacks.contains(tool) {
                absences.excused.insert(tool.clone());
            } else if self.is_seen_otherwise(who, &lacks, tool, now.saturating_sub(believed)) {
                absences.excused.insert(tool.clone());
                absences.unsure = true;
            } else {
                self.lost.entry(tool.clone()).or_insert_with(|| who.clone());
            }
        }
        if known.as_ref() != Some(&lacks) {
            absences.learnt.insert(who.clone());
        }
        self.put(who, View { lacks, missing: missing.clone(), at: now });
        absences
    }

    /// What one principal lost and another sees is not gone: the first is listed it no longer.
    fn learn_of_the_lost(
        &mut self,
        who: &Principal,
        missing: &BTreeSet<String>,
        learnt: &mut BTreeSet<Principal>,
    ) {
        let views = &mut self.views;
        self.lost.retain(|tool, by| {
            if missing.contains(tool) {
                return true;
            }
            if by != who
                && let Some(view) = views.get_mut(by)
            {
                view.lacks.insert(tool.clone());
                learnt.insert(by.clone());
            }
            false
        });
    }

    /// Whether a listing that is believed, of somebody who is listed other tools than this one, holds it.
    fn is_seen_otherwise(
        &self,
        who: &Principal,
        lacks: &BTreeSet<String>,
        tool: &str,
        since: u64,
    ) -> bool {
        self.views.iter().any(|(other, view)| {
            other != who && view.at >= since && view.lacks != *lacks && !view.missing.contains(tool)
        })
    }

    fn put(&mut self, who: &Principal, view: View) {
        if self.views.len() >= MOST && !self.views.contains_key(who) {
            let oldest = self.views.iter().min_by_key(|(_, view)| view.at);
            if let Some(oldest) = oldest.map(|(oldest, _)| oldest.clone()) {
                self.views.remove(&oldest);
            }
        }
        self.views.insert(who.clone(), view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELIEVED: u64 = 100;

    fn set(tools: &[&str]) -> BTreeSet<String> {
        tools.iter().map(|tool| (*tool).to_owned()).collect()
    }

    fn who(name: &str) -> Principal {
        Principal::new(name)
    }

    fn gone(audience: &mut Audience, name: &str, missing: &[&str], now: u64) -> Vec<String> {
        let missing = set(missing);
        let read = audience.read(&who(name), &missing, now, BELIEVED);
        missing.difference(&read.excused).cloned().collect()
    }

    #[test]
    fn what_one_caller_loses_that_all_are_listed_is_gone() {
        let mut audience = Audience::default();
        audience.sees_all(&who("ann"), 0);
        audience.sees_all(&who("bob"), 0);
        assert_eq!(gone(&mut audience, "ann", &["ship"], 1), ["ship"]);
        assert_eq!(gone(&mut audience, "bob", &["ship"], 2), ["ship"]);
    }

    #[test]
    fn what_a_caller_was_never_listed_is_not_gone() {
        let mut audience = Audience::default();
        audience.sees_all(&who("ann"), 0);
        let first = audience.read(&who("bob"), &set(&["ship"]), 1, BELIEVED);
        assert!(first.first && !first.unsure);
        assert_eq!((first.excused, first.learnt), (set(&["ship"]), [who("bob")].into()));
        assert_eq!(gone(&mut audience, "bob", &["ship"], 2), [""; 0]);
        let again = audience.read(&who("bob"), &set(&["ship"]), 3, BELIEVED);
        assert!(!again.first && again.learnt.is_empty());
        // Once it was listed it, the next time it lacks it counts, unless another still sees it.
        assert_eq!(gone(&mut audience, "bob", &[], 4), [""; 0]);
        assert_eq!(gone(&mut audience, "bob", &["ship"], 5), ["ship"]);
    }

    #[test]
    fn a_tool_that_somebody_listed_otherwise_still_sees_is_not_gone_while_that_is_believed() {
        let mut audience = Audience::default();
        audience.sees_all(&who("ann"), 0);
        assert_eq!(gone(&mut audience, "bob", &["admin"], 10), [""; 0]);
        let lost = audience.read(&who("bob"), &set(&["admin", "ship"]), 20, BELIEVED);
        assert!(lost.unsure && lost.excused == set(&["admin", "ship"]));
        // Nobody looked for the other one for so long that it says nothing any more.
        assert_eq!(gone(&mut audience, "bob", &["admin", "ship"], 101), ["ship"]);
        // She does not see it either: whoever does not see it cannot stand for it.
        assert_eq!(gone(&mut audience, "ann", &["ship"], 102), ["ship"]);
        assert_eq!(gone(&mut audience, "bob", &["admin", "ship"], 103), ["ship"]);
    }

    #[test]
    fn what_one_lost_and_another_sees_is_lacked_from_then_on() {
        let mut audience = Audience::default();
        audience.sees_all(&who("ann"), 0);
        audience.sees_all(&who("bob"), 0);
        assert_eq!(gone(&mut audience, "ann", &["ship"], 1), ["ship"]);
        let other = audience.read(&who("bob"), &set(&[]), 2, BELIEVED);
        assert_eq!(other.learnt, [who("ann")].into());
        assert_eq!(gone(&mut audience, "ann", &["ship"], 3), [""; 0]);
        assert_eq!(audience.lacks(&who("ann")), Some(&set(&["ship"])));
    }

    #[test]
    fn what_is_promised_anew_is_lacked_by_whoever_did_not_show_it() {
        let mut audience = Audience::default();
        audience.sees_all(&who("ann"), 0);
        audience.sees_all(&who("bob"), 0);
        audience.promised(&set(&["fly"]), &who("ann"));
        assert_eq!(gone(&mut audience, "bob", &["fly"], 1), [""; 0]);
        assert_eq!(gone(&mut audience, "ann", &["fly"], 200), ["fly"]);
    }

    #[test]
    fn an_earlier_life_is_remembered_and_room_is_bounded() {
        let mut audience = Audience::recovered([(who("ann"), set(&["ship"]))]);
        assert_eq!(gone(&mut audience, "ann", &["ship"], 500), [""; 0]);
        assert_eq!(gone(&mut audience, "ann", &["ship", "fly"], 501), ["fly"]);
        audience.sees_the_same(&who("bob"), &who("ann"), 502);
        assert_eq!(audience.lacks(&who("bob")), Some(&set(&["ship"])));
        for number in 0..2 * MOST as u64 {
            audience.sees_all(&who(&format!("p{number}")), 1_000 + number);
        }
        assert_eq!(audience.views.len(), MOST);
        assert!(audience.lacks(&who("ann")).is_none());
    }
}
