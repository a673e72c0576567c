//! Any schema on the first line, any value after it: refused, or compiled and judged in time.
#![no_main]

use stipula::domain::contract::Schema;
use stipula::domain::json::{Limits, Tape};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let (schema, value) = text.split_at(text.iter().position(|b| *b == b'\n').unwrap_or(text.len()));
    let (mut tape, mut again) = (Tape::default(), Tape::default());
    let Ok(schema) = tape.read(schema, Limits::default()) else { return };
    let Ok(schema) = Schema::compile(&schema.root().to_value()) else { return };
    let Ok(value) = again.read(value, Limits::default()) else { return };
    assert_eq!(schema.admits(value.root()), schema.violations(value.root()).is_empty());
});
