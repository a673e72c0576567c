//! One suite, held against every store.

use std::ops::ControlFlow;
use std::sync::{Arc, Barrier};

use proptest::prelude::{Strategy, any, prop, proptest};
use serde_json::json;
use stipula::domain::drift::{
    Against, DriftEvent, DriftType, EventState, Evidence, Severity, fingerprint,
};
use stipula::domain::evidence::{Record, RecordBody, RecordId};
use stipula::domain::message::{Digest, Principal, UnixMillis};
use stipula::store::{Durability, MemoryStore, State, Store, StoreError};
use uuid::Uuid;

use crate::fixture::{contract, group, note, open, open_with, peer, record, scratch};

fn for_each_store(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    let dir = scratch();
    test(&open(dir.path()).unwrap());
    let dir = scratch();
    // A segment for nearly every batch.
    test(&open_with(dir.path(), 500).unwrap());
}

fn all(store: &dyn Store) -> Vec<Record> {
    let mut records = Vec::new();
    store
        .visit(&mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .unwrap();
    records
}

#[test]
fn records_come_back_in_order_and_by_name() {
    for_each_store(|store| {
        let written: Vec<Record> = (0..40).map(note).collect();
        store.append(&written[..1], Durability::Batched).unwrap();
        store.append(&written[1..30], Durability::Synced).unwrap();
        store.append(&[], Durability::Synced).unwrap();
        store.append(&written[30..], Durability::Batched).unwrap();
        assert_eq!(all(store), written);
        assert_eq!(store.tail(0).unwrap(), []);
        assert_eq!(store.tail(3).unwrap(), written[37..]);
        assert_eq!(store.tail(100).unwrap(), written);
        assert_eq!(store.record(written[17].id).unwrap(), Some(written[17].clone()));
        assert_eq!(store.record(RecordId(Uuid::nil())).unwrap(), None);
    });
}

#[test]
fn a_seal_moves_the_head_and_the_contract_is_there() {
    for_each_store(|store| {
        store.seal(&peer(), None, &group(1, None)).unwrap();
        let first = contract(1).hash;
        store.seal(&peer(), Some(first), &group(2, Some(first))).unwrap();
        let state = store.state().unwrap();
        assert_eq!(state.head(&peer()), Some(contract(2).hash));
        assert_eq!(state.contract(first), Some(contract(1).contract()));
        assert_eq!(state.contracts.len(), 2);
    });
}

#[test]
fn an_earlier_contract_is_taken_up_again_without_a_new_seal() {
    for_each_store(|store| {
        let [first, second] = [contract(1).hash, contract(2).hash];
        store.seal(&peer(), None, &group(1, None)).unwrap();
        store.seal(&peer(), Some(first), &group(2, Some(first))).unwrap();
        let back =
            RecordBody::HeadMoved { from: Some(second), to: first, why: "rollback".to_owned() };
        store.seal(&peer(), Some(second), &[record(30, back)]).unwrap();
        assert_eq!(store.state().unwrap().head(&peer()), Some(first));
    });
}

#[test]
fn a_seal_on_another_head_is_a_conflict_and_writes_nothing() {
    for_each_store(|store| {
        store.seal(&peer(), None, &group(1, None)).unwrap();
        let before = (all(store), store.state().unwrap());
        let stranger = Digest::of(b"stranger");
        for (expected, from) in
            [(None, None), (Some(stranger), Some(stranger)), (Some(contract(1).hash), None)]
        {
            let error = store.seal(&peer(), expected, &group(2, from)).unwrap_err();
            assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
        }
        assert_eq!((all(store), store.state().unwrap()), before);
    });
}

#[test]
fn a_group_that_contradicts_itself_is_refused_and_writes_nothing() {
    for_each_store(|store| {
        let mut forged = contract(1).contract().clone();
        forged.hash = Digest::of(b"forged");
        let forged = RecordBody::Sealed { contract: Arc::new(forged) };
        let to = Digest::of(b"nowhere");
        let nowhere = RecordBody::HeadMoved { from: None, to, why: "heal".to_owned() };
        let nobody = Record { peer: None, ..group(1, None).remove(0) };
        for records in [vec![record(1, forged)], vec![note(1), record(2, nowhere)], vec![nobody]] {
            let error = store.append(&records, Durability::Batched).unwrap_err();
            assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
        }
        let error = store.seal(&peer(), None, &group(1, None)[..1]).unwrap_err();
        assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
        assert_eq!(all(store), []);
        assert_eq!(store.state().unwrap(), State::default());
    });
}

#[test]
fn of_racing_seals_on_one_head_exactly_one_wins() {
    for_each_store(|store| {
        let start = Barrier::new(8);
        let won = std::thread::scope(|scope| {
            let racers = (1..=8).map(|n| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    store.seal(&peer(), None, &group(n, None)).is_ok()
                })
            });
            let racers: Vec<_> = racers.collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
        assert_eq!(all(store).len(), 3);
    });
}

#[test]
fn concurrent_appends_all_stand_once() {
    for_each_store(|store| {
        std::thread::scope(|scope| {
            for writer in 0..6 {
                scope.spawn(move || {
                    for n in 0..20 {
                        let sure =
                            if n % 2 == 0 { Durability::Synced } else { Durability::Batched };
                        store.append(&[note(writer * 100 + n)], sure).unwrap();
                    }
                });
            }
        });
        let mut ids: Vec<RecordId> = all(store).iter().map(|record| record.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 120);
    });
}

#[test]
fn decisions_events_and_kept_terms_are_a_replay() {
    let hash = Digest::of(b"proposal");
    let proposal = serde_json::json!({
        "tool": "t", "to_tool": null, "routine": {}, "proof": "proven", "gate": "review",
        "held_by": [], "scope": "all", "origin": "matcher",
    });
    let proposed = RecordBody::Proposed {
        drift_id: Uuid::nil(),
        hash,
        proposal: serde_json::from_value(proposal).unwrap(),
    };
    let decided = |decision: &str| RecordBody::Decided {
        proposal: hash,
        decision: decision.to_owned(),
        reason: String::new(),
    };
    let kept = RecordBody::TermsKept { contract: Digest::of(b"c"), tool: "t".to_owned() };
    let decision = |store: &dyn Store| store.state().unwrap().proposals[0].decision.clone();
    for_each_store(|store| {
        store.append(&[record(1, proposed.clone())], Durability::Synced).unwrap();
        assert_eq!(decision(store), None);
        store.append(&[record(2, decided("expired"))], Durability::Synced).unwrap();
        assert_eq!(decision(store).as_deref(), Some("expired"));
        store.append(&[record(3, proposed.clone())], Durability::Synced).unwrap();
        assert_eq!(decision(store), None);
        store.append(&[record(4, decided("approved"))], Durability::Synced).unwrap();
        assert_eq!(decision(store).as_deref(), Some("approved"));
        let twice = [record(5, kept.clone()), record(6, kept.clone())];
        store.append(&twice, Durability::Batched).unwrap();
        let state = store.state().unwrap();
        assert_eq!((state.kept.len(), state.proposals.len()), (1, 1));
    });
}

#[test]
fn who_brings_ever_new_credentials_fills_no_memory() {
    let listed = |number: u64, lacks: &str| RecordBody::Listed {
        principal: Principal::new(format!("p{number}")),
        lacks: vec![lacks.to_owned()],
    };
    for_each_store(|store| {
        let mut records = vec![record(1_000, listed(0, "early"))];
        records.extend((0..300).map(|number| record(number + 1, listed(number, "late"))));
        store.append(&records, Durability::Batched).unwrap();
        let known = store.state().unwrap().listed;
        assert_eq!(known.len(), 256);
        assert_eq!(known[0].1, Principal::new("p44"));
        assert!(known.iter().all(|(_, _, lacks)| lacks == &["late"]));
    });
}

#[test]
fn of_a_fault_that_comes_and_goes_the_newest_event_is_told() {
    let seen = |number: u64, place: &str, state: EventState| {
        let evidence = Evidence { baseline: json!(null), observed: json!(null), diff: json!(null) };
        let against = Against::Pointers([place.to_owned()].into());
        let event = DriftEvent {
            drift_id: Uuid::from_u64_pair(9, number),
            drift_type: DriftType::Policy,
            severity: Severity::High,
            contract_id: None,
            tool: None,
            fingerprint: fingerprint(None, None, DriftType::Policy, &against),
            detected_at: UnixMillis(number),
            sensor: "access".to_owned(),
            evidence,
            occurrences: 1,
            state,
            resolved_by: None,
        };
        RecordBody::Drift { event: Box::new(event) }
    };
    for_each_store(|store| {
        let mut records = vec![record(1, seen(0, "other", EventState::Open))];
        for number in 1..=50 {
            records.push(record(2 * number, seen(number, "same", EventState::Open)));
            records.push(record(2 * number + 1, seen(number, "same", EventState::Resolved)));
        }
        store.append(&records, Durability::Batched).unwrap();
        let events = store.state().unwrap().events;
        let told: Vec<_> = events.iter().map(|(_, it)| (it.detected_at.0, it.state)).collect();
        assert_eq!(told, [(0, EventState::Open), (50, EventState::Resolved)]);
    });
}

fn batches() -> impl Strategy<Value = Vec<(Vec<String>, bool)>> {
    prop::collection::vec((prop::collection::vec(".{0,40}", 0..5), any::<bool>()), 0..8)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]
    #[test]
    fn what_was_written_is_there_after_a_restart(batches in batches(), segment in 1_u64..2000) {
        let dir = scratch();
        let mut written = Vec::new();
        for (texts, synced) in batches {
            let store = open_with(dir.path(), segment).unwrap();
            let records: Vec<Record> = texts.into_iter().enumerate().map(|(at, detail)| {
                let event = "said".to_owned();
                record((written.len() + at) as u64, RecordBody::Lifecycle { event, detail })
            }).collect();
            let sure = if synced { Durability::Synced } else { Durability::Batched };
            store.append(&records, sure).unwrap();
            written.extend(records);
            assert_eq!(all(&store), written);
        }
        let report = stipula::store::verify(open(dir.path()).map(|_| dir.path()).unwrap()).unwrap();
        assert!(report.is_good(), "{report:?}");
        assert_eq!(report.records, written.len() as u64);
    }
}
