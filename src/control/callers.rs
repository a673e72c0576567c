//! Who called a tool of late: a few callers, each with a count.

use std::collections::BTreeMap;

use super::status::Affected;
use crate::domain::message::{Principal, UnixMillis};

/// Callers of one tool that are remembered; the one that was away longest makes room.
const MOST: usize = 32;

/// The callers of one tool.
#[derive(Debug, Default)]
pub(super) struct Callers(BTreeMap<Principal, (u64, UnixMillis)>);

impl Callers {
    /// A call of this caller.
    pub(super) fn note(&mut self, principal: &Principal, at: UnixMillis) {
        if let Some((calls, last)) = self.0.get_mut(principal) {
            *calls += 1;
            *last = (*last).max(at);
            return;
        }
        if self.0.len() >= MOST {
            let away = self.0.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(away) = away.map(|(principal, _)| principal.clone()) {
                self.0.remove(&away);
            }
        }
        self.0.insert(principal.clone(), (1, at));
    }

    /// All that are remembered, newest first.
    pub(super) fn all(&self) -> Vec<Affected> {
        let affected = |(principal, (calls, last)): (&Principal, &(u64, UnixMillis))| Affected {
            principal: principal.clone(),
            calls: *calls,
            last: *last,
        };
        let mut all: Vec<Affected> = self.0.iter().map(affected).collect();
        all.sort_by_key(|caller| std::cmp::Reverse(caller.last));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_away_longest_makes_room() {
        let mut callers = Callers::default();
        for number in 0..=MOST as u64 {
            callers.note(&Principal::new(format!("p{number:02}")), UnixMillis(number));
        }
        callers.note(&Principal::new("p01"), UnixMillis(99));
        let all = callers.all();
        assert_eq!(all.len(), MOST);
        assert_eq!((all[0].principal.as_str(), all[0].calls), ("p01", 2));
        assert!(all.iter().all(|caller| caller.principal.as_str() != "p00"));
    }
}
