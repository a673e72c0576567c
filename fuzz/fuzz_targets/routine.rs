//! A routine document on the first line, a document after it: refused, or compiled and run. What is
//! run gives JSON, the same twice, and one that fails writes nothing.
#![no_main]

use stipula::domain::json::{Limits, Tape};
use stipula::domain::routine::{CompiledRoutine, RoutineDoc};

const BEFORE: &[u8] = b"before";

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (routine, rest) = text.split_at(end);
    let Ok(document) = RoutineDoc::parse(routine) else { return };
    let again = serde_json::to_vec(&document).expect("a routine is written");
    assert_eq!(RoutineDoc::parse(&again).as_ref(), Ok(&document));
    let (mut tape, mut check) = (Tape::default(), Tape::default());
    let item = tape.read(rest, Limits::default()).ok().map(|document| document.root());
    for (tool, routine) in &document.0 {
        let Ok(compiled) = CompiledRoutine::compile(tool, routine) else { continue };
        let ways: [&dyn Fn(&mut Vec<u8>) -> bool; 2] = [
            &|out| compiled.request(item, out).is_ok(),
            &|out| item.is_some_and(|item| compiled.reply(item, out).is_ok()),
        ];
        for way in ways {
            let (mut one, mut two) = (BEFORE.to_vec(), BEFORE.to_vec());
            let done = way(&mut one);
            assert_eq!((way(&mut two), &two), (done, &one));
            let made = one.strip_prefix(BEFORE).expect("what stood before stays");
            assert!(done || made.is_empty(), "a routine that fails writes nothing");
            let limits = Limits { depth: u32::MAX, ..Limits::default() };
            assert!(made.is_empty() || check.read(made, limits).is_ok());
        }
    }
});
