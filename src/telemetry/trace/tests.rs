//! Spans as a collector receives them.

use super::*;

#[test]
fn only_well_formed_trace_context_is_a_parent() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    for (text, expected) in [
        (format!("00-{trace}-{span}-01"), Some(true)),
        (format!("00-{trace}-{span}-00"), Some(false)),
        (format!("00-{trace}-{span}-03"), Some(true)),
        (format!("cc-{trace}-{span}-01-what-comes"), Some(true)),
        (format!("00-{trace}-{span}-01-more"), None),
        (format!("ff-{trace}-{span}-01"), None),
        (format!("00-{}-{span}-01", "0".repeat(32)), None),
        (format!("00-{trace}-{}-01", "0".repeat(16)), None),
        (format!("00-{}-{span}-01", trace.to_uppercase()), None),
        (format!("00-{trace}-{span}"), None),
        ("é".to_owned(), None),
        (String::new(), None),
    ] {
        let sampled = parse_traceparent(&text).map(|context| context.is_sampled());
        assert_eq!(sampled, expected, "{text}");
    }
}

#[test]
fn a_tracer_that_is_off_starts_nothing() {
    assert!(Tracer::off().start(None, None).is_none());
}
