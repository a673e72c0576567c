use bytes::Bytes;
use proptest::prelude::*;

use super::{Event, Splitter, encode, replace_data};

fn split(chunks: &[&[u8]]) -> (Vec<Event>, Option<Event>) {
    let mut splitter = Splitter::new(1 << 20);
    let mut events = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = splitter.next_event().unwrap() {
            events.push(event);
        }
    }
    (events, splitter.finish())
}

type Row = (&'static str, &'static [(Option<&'static str>, Option<&'static str>)]);

#[test]
fn each_kind_of_line_end_and_field_is_read() {
    let rows: &[Row] = &[
        ("data: a\n\ndata: b\n\n", &[(Some("a"), None), (Some("b"), None)]),
        ("event: message\r\ndata: a\r\n\r\n", &[(Some("a"), Some("message"))]),
        ("data: a\r\rdata: b\r\r", &[(Some("a"), None), (Some("b"), None)]),
        ("data: a\ndata: b\n\n", &[(Some("a\nb"), None)]),
        ("data:a\n\n", &[(Some("a"), None)]),
        ("data:  a\n\n", &[(Some(" a"), None)]),
        ("data\n\n", &[(Some(""), None)]),
        ("id: 7\nretry: 100\ndata:\n\n", &[(Some(""), None)]),
        (": keep\n\n", &[(None, None)]),
        ("\n\n", &[(None, None), (None, None)]),
        ("\u{feff}data: a\n\n", &[(Some("a"), None)]),
        ("data: a\n\u{feff}\ndata: b\n\n", &[(Some("a\nb"), None)]),
        ("dataset: a\nevent: x\n\n", &[(None, Some("x"))]),
        ("data: a\r\r\ndata: b\n\n", &[(Some("a"), None), (None, None), (Some("b"), None)]),
    ];
    for (text, expected) in rows {
        let (events, rest) = split(&[text.as_bytes()]);
        let got: Vec<_> =
            events.iter().map(|event| (event.data.as_deref(), event.name.as_deref())).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(data, name)| (data.map(str::as_bytes), name.map(str::as_bytes)))
            .collect();
        assert_eq!(got, expected, "{text:?}");
        assert_eq!(rest, None, "{text:?}");
    }
}

#[test]
fn id_and_retry_are_told() {
    let (events, _) = split(&[b"id: 7\nretry: 1x\nretry: 100\nid: a\0b\ndata: x\n\n"]);
    assert_eq!(events[0].id.as_deref(), Some(&b"7"[..]));
    assert_eq!(events[0].retry, Some(100));
}

#[test]
fn an_event_without_its_blank_line_is_told_at_the_end() {
    for text in ["data: a", "data: a\n", "data: a\r", "data: a\r\n\r"] {
        let (events, rest) = split(&[text.as_bytes()]);
        assert!(events.is_empty());
        let rest = rest.unwrap();
        assert_eq!(rest.data.as_deref(), Some(&b"a"[..]), "{text:?}");
        assert_eq!(rest.raw, text.as_bytes());
    }
}

#[test]
fn an_event_that_does_not_end_is_refused() {
    let mut splitter = Splitter::new(10);
    splitter.push(Bytes::from_static(b"data: 12345"));
    assert_eq!(splitter.next_event().unwrap_err().limit, 10);
    let mut splitter = Splitter::new(10);
    splitter.push(Bytes::from_static(b"data: 12345\n\n"));
    assert!(splitter.next_event().is_err());
}

#[test]
fn other_data_keeps_every_other_line() {
    let rows = [
        ("id: 1\nevent: m\ndata: a\nretry: 5\n\n", "id: 1\nevent: m\ndata: {}\nretry: 5\n\n"),
        ("event: m\r\ndata:a\r\ndata: b\r\n\r\n", "event: m\r\ndata: {}\r\n\r\n"),
        (": c\rdata: a\r\r", ": c\rdata: {}\r\r"),
        ("id: 1\n\n", "id: 1\ndata: {}\n\n"),
        ("\u{feff}data: a\n\n", "data: {}\n\n"),
    ];
    for (before, after) in rows {
        let (events, _) = split(&[before.as_bytes()]);
        assert_eq!(replace_data(&events[0], b"{}"), after.as_bytes(), "{before:?}");
    }
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"data: a"[..]),
        Just(&b"data:"[..]),
        Just(&b"id: 1"[..]),
        Just(&b": c"[..]),
        Just(&b"event: message"[..]),
        Just(&b"\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\xEF\xBB\xBF"[..]),
        Just(&b"x\0"[..]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events_and_loses_no_byte(
        text in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.push(0);
        cuts.push(text.len());
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let whole = split(&[&text]);
        let parts = split(&chunks);
        prop_assert_eq!(&whole, &parts);
        let raw: Vec<u8> = parts.0.iter().chain(&parts.1).flat_map(|event| event.raw.to_vec()).collect();
        prop_assert_eq!(raw, text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text));
    }

    #[test]
    fn what_is_written_is_read_again(
        data in "[ -~\n]{0,40}",
        name in prop::option::of("[a-z]{1,8}"),
        id in prop::option::of("[a-z0-9]{1,8}"),
        retry in prop::option::of(any::<u64>()),
    ) {
        let raw = encode(name.as_deref(), id.as_deref(), retry, data.as_bytes());
        let (events, rest) = split(&[&raw]);
        prop_assert_eq!(rest, None);
        prop_assert_eq!(events.len(), 1);
        let event = &events[0];
        prop_assert_eq!(event.data.as_deref(), Some(data.as_bytes()));
        prop_assert_eq!(event.name.as_deref(), name.as_deref().map(str::as_bytes));
        prop_assert_eq!(event.id.as_deref(), id.as_deref().map(str::as_bytes));
        prop_assert_eq!(event.retry, retry);
        prop_assert_eq!(&replace_data(event, data.as_bytes()), &raw);
    }
}
