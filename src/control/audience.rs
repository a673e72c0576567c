//! What is read of a peer as different callers, made one: what it offers to anybody.

use std::collections::BTreeSet;

use super::actor::Peer;
use super::review::Spoken;
use super::settings::SealPolicy;
use crate::domain::contract::{Sealed, Surface};
use crate::domain::evidence::RecordBody;
use crate::domain::message::Principal;
use crate::domain::policy::Audience;

impl Peer {
    /// Takes up what the ledger says. Where it says nothing, nobody was listed less than is promised.
    pub(super) fn take_up_audience(&mut self, audience: Audience) {
        self.audience = audience;
        if self.chain.head().is_some() && self.audience.is_empty() {
            self.audience.sees_all(&Principal::anonymous(), 0);
        }
    }

    /// The first version was sealed: whoever was listed just that is listed all that is promised.
    pub(super) fn sealed_for_whom(&mut self) {
        let now = self.shared.clock.monotonic_micros();
        for who in std::mem::take(&mut self.alike) {
            self.audience.sees_all(&who, now);
            self.record_listed(&who);
            self.alike.insert(who);
        }
    }

    /// The surface was read, and is byte for byte what this principal was listed before.
    pub(super) fn reads_again(&mut self, who: &Principal) {
        let now = self.shared.clock.monotonic_micros();
        self.newcomers.clear();
        self.audience.sees_the_same(who, who, now);
    }

    /// An agent is listed what another one was, as far as this answer goes.
    pub(super) fn listed_alike(&mut self, who: &Principal, known: &Principal, answer: &[u8]) {
        // One page of several says nothing of the others.
        if memchr::memmem::find(answer, b"\"nextCursor\"").is_none() {
            let now = self.shared.clock.monotonic_micros();
            self.audience.sees_the_same(who, known, now);
        }
    }

    /// Adds to what one principal is listed what others are: a tool that it does not see is not gone.
    pub(super) fn complete(&mut self, surface: &mut Surface, who: &Principal) {
        self.newcomers.clear();
        self.unseen.clear();
        let Some(head) = self.chain.head().cloned() else { return };
        let spoken = Spoken::by(&head);
        let offered = surface.by_name();
        let is_missing =
            |name: &&str| spoken.targets(name).iter().any(|it| !offered.contains_key(it.as_str()));
        let missing: BTreeSet<String> =
            spoken.promised().filter(is_missing).map(ToOwned::to_owned).collect();
        let now = self.shared.clock.monotonic_micros();
        let absences = self.audience.read(who, &missing, now, self.max_age.0.saturating_mul(1_000));
        if absences.first && self.settings.seal == SealPolicy::FirstUse {
            let known = |name: &str| {
                spoken.promises(name)
                    || self.offer.as_ref().is_some_and(|it| it.tool(name).is_some())
            };
            let new = offered.keys().filter(|name| !known(name));
            self.newcomers = new.map(|name| (*name).to_owned()).collect();
        }
        // As it was when somebody was listed it last: what became of it since, this listing cannot tell.
        let last = |target: &str| match &self.offer {
            Some(offer) => offer.tool(target).cloned(),
            None => spoken.offered(target).cloned(),
        };
        let others: Vec<_> = absences
            .excused
            .iter()
            .flat_map(|name| spoken.targets(name))
            .filter(|target| !offered.contains_key(target.as_str()))
            .filter_map(|target| last(&target))
            .collect();
        for tool in others {
            if surface.tool(tool.name()).is_none() {
                surface.tools.push(tool);
            }
        }
        if absences.unsure {
            // The same bytes may mean another thing next time.
            self.read_as = None;
        }
        absences.learnt.iter().for_each(|who| self.record_listed(who));
        self.unseen = absences.excused;
    }

    /// Tools that were promised because of what one principal was listed.
    pub(super) fn promised_since(&mut self, before: &Sealed, by: &Principal) {
        let Some(head) = self.chain.head() else { return };
        if head.hash == before.hash {
            return;
        }
        let (before, after) = (Spoken::by(before), Spoken::by(head));
        let new = after.promised().filter(|name| !before.promises(name));
        let new: BTreeSet<String> = new.map(ToOwned::to_owned).collect();
        if !new.is_empty() {
            self.audience.promised(&new, by);
        }
    }

    /// Leaves a record for the next life. Of whoever shows no credential, and lacks nothing, none is
    /// needed.
    fn record_listed(&self, who: &Principal) {
        let Some(lacks) = self.audience.lacks(who) else { return };
        if lacks.is_empty() && *who == Principal::anonymous() {
            return;
        }
        let lacks = lacks.iter().cloned().collect();
        let body = RecordBody::Listed { principal: who.clone(), lacks };
        self.shared.scribe.later(self.shared.scribe.record(self.id(), body));
    }
}
