//! What it costs to carry a call over and its reply back: one core, buffers kept. The document is on
//! the tape already; reading it there is in `benches/json.rs`.

#![expect(clippy::expect_used, reason = "what a bench is made of is known to be right")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use stipula::domain::json::{Limits, Tape};
use stipula::domain::routine::{CompiledRoutine, ToolRoutine};

/// What a release changed: arguments renamed, cast, filled and a table of words; in the reply each
/// flight's fields renamed, a date put together again, and the whole moved out of its envelope.
fn healed() -> ToolRoutine {
    let source = json!({
        "call": "flights_search",
        "request": [
            { "op": "move", "from": "/origin", "to": "/origin_airport" },
            { "op": "move", "from": "/departure_date", "to": "/when/date" },
            { "op": "cast", "at": "/seats", "to": "string" },
            { "op": "map", "at": "/cabin", "table": [
                { "from": "eco", "to": "ECONOMY" }, { "from": "biz", "to": "BUSINESS" } ] },
            { "op": "default", "at": "/currency", "value": "EUR" },
            { "op": "refuse_if", "at": "/loyalty", "reason": "the peer takes no card number" } ],
        "reply": [
            { "op": "move", "from": "/data/flights", "to": "/flights" },
            { "op": "remove", "at": "/data" },
            { "op": "each", "at": "/flights", "ops": [
                { "op": "move", "from": "/flight_id", "to": "/id" },
                { "op": "join", "from": ["/date", "/time"], "separator": "T", "to": "/departs" },
                { "op": "cast", "at": "/seats", "to": "integer" } ] } ] });
    serde_json::from_value(source).expect("a routine")
}

/// The same with one member of the envelope renamed: nearly all leaves as the bytes that came.
fn renamed() -> ToolRoutine {
    let source = json!({ "reply": [{ "op": "move", "from": "/data", "to": "/result" }] });
    serde_json::from_value(source).expect("a routine")
}

/// Arguments of about this many bytes; most of them is a note that no operation names.
fn arguments(bytes: usize) -> Value {
    json!({ "origin": "ZRH", "departure_date": "2026-12-01", "seats": 2, "cabin": "eco",
        "notes": vec!["an aisle seat, if there is one"; bytes / 33] })
}

/// A reply of about this many bytes: a list of flights in an envelope.
fn reply(bytes: usize) -> Value {
    let flight = |at: usize| {
        json!({ "flight_id": format!("LX-{at}"), "from": "ZRH", "to": "LHR", "seats": "9",
            "date": "2026-11-21", "time": "10:15:00Z", "refundable": at.is_multiple_of(2),
            "price": { "amount": 129.5 + at as f64, "currency": "EUR" } })
    };
    let each = flight(100).to_string().len() + 1;
    let flights: Vec<Value> = (0..bytes.div_ceil(each)).map(flight).collect();
    json!({ "data": { "flights": flights }, "total": flights.len() })
}

fn costs(criterion: &mut Criterion) {
    let compile =
        |source: &ToolRoutine| CompiledRoutine::compile("search", source).expect("it compiles");
    let (healed, renamed) = (compile(&healed()), compile(&renamed()));
    let mut group = criterion.benchmark_group("routine");
    for kib in [1, 8, 64] {
        let (arguments, reply) = (arguments(kib << 10).to_string(), reply(kib << 10).to_string());
        let (mut tape, mut out) = (Tape::default(), Vec::new());
        group.throughput(Throughput::Bytes(arguments.len() as u64));
        group.bench_with_input(BenchmarkId::new("request", kib), &arguments, |bencher, text| {
            let root = tape.read(text.as_bytes(), Limits::default()).expect("JSON").root();
            bencher.iter(|| {
                out.clear();
                healed.request(Some(black_box(root)), &mut out).is_ok()
            });
            assert!(out.starts_with(b"{\"origin_airport\":\"ZRH\","));
        });
        group.throughput(Throughput::Bytes(reply.len() as u64));
        for (name, routine) in [("reply, each item", &healed), ("reply, one name", &renamed)] {
            group.bench_with_input(BenchmarkId::new(name, kib), &reply, |bencher, text| {
                let root = tape.read(text.as_bytes(), Limits::default()).expect("JSON").root();
                bencher.iter(|| {
                    out.clear();
                    routine.reply(black_box(root), &mut out).is_ok()
                });
                assert!(out.len() > text.len() / 2);
            });
        }
    }
    group.finish();
    criterion.bench_function("compile a routine", |bencher| {
        bencher.iter(|| compile(black_box(healed.source())));
    });
}

criterion_group!(benches, costs);
criterion_main!(benches);
