//! The executor of routines, which splices spans of the original text, is held to an interpreter
//! that is slow and obvious (`oracle`), over random documents and routines of every operation.

mod moment;
mod number;
mod oracle;
mod samples;
mod tree;

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stipula::domain::json::{Limits, Tape};
use stipula::domain::routine::{CompiledRoutine, Failure, Op, ToolRoutine};

use self::oracle::Stop;
use self::tree::Tree;

/// What stands in the buffer before the routine writes to it.
const BEFORE: &[u8] = b"before";

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn compiled(request: Vec<Op>) -> Option<CompiledRoutine> {
    CompiledRoutine::compile("t", &ToolRoutine { request, ..ToolRoutine::default() }).ok()
}

/// Runs the routine on a text: what it wrote and the tool it named. The text and the buffer are held
/// to be what they have to be, however it ends.
fn executed(
    routine: &CompiledRoutine,
    text: Option<&str>,
) -> Result<(Option<String>, Option<String>), Failure> {
    let mut tape = Tape::default();
    let mut out = BEFORE.to_vec();
    let document = text.map(|text| tape.read(text.as_bytes(), Limits::default()).unwrap());
    let done = routine.request(document.map(|document| document.root()), &mut out);
    let after = document.map(|document| document.text().to_owned());
    assert_eq!(after.as_deref(), text, "the input is untouched");
    assert!(out.starts_with(BEFORE));
    let made = String::from_utf8(out[BEFORE.len()..].to_vec()).unwrap();
    match done {
        Ok(mapped) => Ok(((!made.is_empty()).then_some(made), mapped.call)),
        Err(failure) => {
            assert_eq!(made, "", "a routine that fails writes nothing");
            Err(failure)
        }
    }
}

/// What the executor did in the words of the interpreter.
fn told(done: &Result<(Option<String>, Option<String>), Failure>) -> oracle::Meaning {
    match done {
        Ok((text, call)) => Ok((text.as_deref().map(Tree::read), call.clone())),
        Err(Failure::Refused { pointer, .. }) => Err(Stop::Refused(pointer.clone())),
        Err(Failure::Operation { index, .. }) => Err(Stop::Failed(index.clone())),
    }
}

fn prints(ops: &[Op]) -> bool {
    serde_json::to_string(ops).unwrap().contains(r#""op":"print""#)
}

#[test]
fn the_executor_does_what_the_operations_mean() {
    let seen: [Cell<u32>; 3] = Default::default();
    let count = |at: usize| seen[at].set(seen[at].get() + 1);
    let held = cases(30_000).run(&(samples::document(), samples::operations()), |(tree, ops)| {
        let Some(routine) = compiled(ops.clone()) else { return Ok(()) };
        let text = tree.text();
        let meaning = oracle::run(&ops, Some(tree));
        let done = executed(&routine, Some(&text));
        prop_assert_eq!(&executed(&routine, Some(&text)), &done, "twice the same");
        if meaning == Err(Stop::Beyond) {
            return Ok(());
        }
        prop_assert_eq!(&told(&done), &meaning, "{} became {:?}", text, done);
        match (meaning, done) {
            (Ok((Some(tree), _)), Ok((made, _))) => {
                // Nothing was spelled otherwise, so the bytes are told as well.
                prop_assert_eq!(made, Some(tree.text()));
                count(0);
            }
            (Err(Stop::Refused(_)), _) => count(1),
            _ => count(2),
        }
        Ok(())
    });
    assert!(held.is_ok(), "{}", held.unwrap_err());
    let seen = seen.map(Cell::into_inner);
    assert!(
        seen[0] > 5_000 && seen[1] > 100 && seen[2] > 5_000,
        "carried, refused, failed: {seen:?}"
    );
}

#[test]
fn spelling_changes_nothing_in_what_is_carried() {
    let inputs = (samples::document(), samples::operations(), any::<u64>());
    let held = cases(10_000).run(&inputs, |(tree, ops, seed)| {
        // The text that `print` makes is the spelling.
        let Some(routine) = compiled(ops.clone()).filter(|_| !prints(&ops)) else { return Ok(()) };
        let mut state = seed | 1;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        let spelled = tree.spelled(&mut noise);
        let done = executed(&routine, Some(&spelled));
        let plain = executed(&routine, Some(&tree.text()));
        prop_assert_eq!(told(&done), told(&plain), "{}", spelled);
        if let (true, Ok((made, _))) = (ops.is_empty(), done) {
            prop_assert_eq!(made, Some(spelled));
        }
        Ok(())
    });
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

#[test]
fn arguments_that_are_absent_are_carried_as_the_operations_mean() {
    let held = cases(5_000).run(&samples::operations(), |ops| {
        let Some(routine) = compiled(ops.clone()) else { return Ok(()) };
        let meaning = oracle::run(&ops, None);
        if meaning != Err(Stop::Beyond) {
            prop_assert_eq!(told(&executed(&routine, None)), meaning);
        }
        Ok(())
    });
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

/// A reply is carried by the same operations as a request, `call` left out.
#[test]
fn replies_are_carried_as_requests_are() {
    let held = cases(5_000).run(&(samples::document(), samples::operations()), |(tree, ops)| {
        let routine = ToolRoutine { reply: ops.clone(), ..ToolRoutine::default() };
        let calls = serde_json::to_string(&ops).unwrap().contains(r#""op":"call""#);
        let back = CompiledRoutine::compile("t", &routine);
        prop_assert!(!calls || back.is_err(), "a reply calls nothing");
        let (Ok(back), Some(there)) = (back, compiled(ops)) else { return Ok(()) };
        let text = tree.text();
        let mut tape = Tape::default();
        let mut out = BEFORE.to_vec();
        let document = tape.read(text.as_bytes(), Limits::default()).unwrap();
        let done = back.reply(document.root(), &mut out);
        let made = String::from_utf8(out[BEFORE.len()..].to_vec()).unwrap();
        let done = done.map(|()| (Some(made).filter(|made| !made.is_empty()), None));
        prop_assert_eq!(done, executed(&there, Some(&text)));
        Ok(())
    });
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

/// Each operation both carries and fails in the cases above, or they would hold nothing.
#[test]
fn every_operation_is_tried_both_ways() {
    let ended = std::cell::RefCell::new(BTreeMap::<String, [u32; 2]>::new());
    let inputs = (samples::document(), samples::operations());
    let ran = cases(20_000).run(&inputs, |(tree, ops)| {
        for op in ops {
            let Ok(value) = serde_json::to_value(&op) else { continue };
            let Some(routine) = compiled(vec![op]) else { continue };
            let failed = executed(&routine, Some(&tree.text())).is_err();
            let name = value["op"].as_str().unwrap().to_owned();
            ended.borrow_mut().entry(name).or_default()[usize::from(failed)] += 1;
        }
        Ok(())
    });
    assert!(ran.is_ok());
    let ended = ended.into_inner();
    assert_eq!(ended.len(), 24, "{ended:?}");
    let quiet = ["remove", "default", "wrap", "print", "remove_if", "call"];
    for (name, [carried, failed]) in &ended {
        assert!(*carried > 10, "{name} carried {carried} times: {ended:?}");
        assert!(*failed > 0 || quiet.contains(&name.as_str()), "{name} never failed");
    }
}
