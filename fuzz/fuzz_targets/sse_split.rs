//! Any stream, in chunks of any size (the first byte): the events are the same however it is cut,
//! their bytes are the stream's, and one whose data is replaced is read back with the new data.
#![no_main]

use bytes::Bytes;
use stipula::wire::transport::sse::{Event, Splitter, replace_data};

fn split(stream: &[u8], size: usize) -> Vec<Event> {
    let mut splitter = Splitter::new(1 << 20);
    let mut events = Vec::new();
    for chunk in stream.chunks(size) {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Ok(Some(event)) = splitter.next_event() {
            events.push(event);
        }
    }
    events.extend(splitter.finish());
    events
}

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let Some((size, stream)) = text.split_first() else { return };
    let whole = split(stream, stream.len().max(1));
    assert_eq!(split(stream, usize::from(*size).max(1)), whole);
    let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw.to_vec()).collect();
    let marked = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    assert_eq!(raw, marked);
    for event in whole.iter().filter(|event| event.data.is_some()) {
        let told = replace_data(event, b"{\"a\":1}");
        let again = split(&told, told.len().max(1));
        assert_eq!(again[0].data.as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!((&again[0].name, &again[0].id), (&event.name, &event.id));
    }
});
