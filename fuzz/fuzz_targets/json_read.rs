//! Any bytes: read or refused, never a panic; what is read means what serde_json reads.
#![no_main]

use stipula::domain::json::{Limits, Tape};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let mut tape = Tape::default();
    let ours = tape.read(text, Limits::default()).map(|document| document.root().to_value());
    if let (Ok(ours), Ok(theirs)) = (ours, serde_json::from_slice::<serde_json::Value>(text)) {
        assert_eq!(ours, theirs);
    }
});
