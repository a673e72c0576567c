//! What it costs to read a reply onto the tape and to judge it there: one core, buffers kept.

#![expect(clippy::expect_used, reason = "what a bench is made of is known to be right")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use stipula::domain::contract::Schema;
use stipula::domain::json::{Limits, Tape};

/// The schema of a list of flights, as a tool would declare it.
fn promise() -> Value {
    json!({ "type": "object", "required": ["flights", "total"], "properties": {
        "total": { "type": "integer", "minimum": 0 },
        "flights": { "type": "array", "items": { "type": "object",
            "required": ["id", "from", "to", "price", "seats"],
            "additionalProperties": false,
            "properties": {
                "id": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]+$" },
                "from": { "type": "string", "pattern": "^[A-Z]{3}$" },
                "to": { "type": "string", "pattern": "^[A-Z]{3}$" },
                "departs": { "type": "string", "format": "date-time" },
                "price": { "type": "object", "required": ["amount", "currency"], "properties": {
                    "amount": { "type": "number", "minimum": 0 },
                    "currency": { "enum": ["EUR", "CHF", "USD", "GBP"] } } },
                "seats": { "type": "integer", "minimum": 0, "maximum": 900 },
                "refundable": { "type": "boolean" } } } } } })
}

/// A `tools/call` result of about this many bytes: structured, and the same again as text.
fn reply(bytes: usize) -> Vec<u8> {
    let mut flights = Vec::new();
    loop {
        let at = flights.len();
        flights.push(json!({ "id": format!("LX-{at}"), "from": "ZRH", "to": "LHR",
            "departs": "2026-11-21T10:15:00Z", "seats": at % 9, "refundable": at % 2 == 0,
            "price": { "amount": 129.5 + at as f64, "currency": "EUR" } }));
        let structured = json!({ "flights": flights, "total": flights.len() });
        let result = json!({ "jsonrpc": "2.0", "id": 7, "result": { "isError": false,
            "content": [{ "type": "text", "text": structured.to_string() }],
            "structuredContent": structured } });
        let text = result.to_string();
        if text.len() >= bytes {
            return text.into_bytes();
        }
    }
}

fn costs(criterion: &mut Criterion) {
    let schema = Schema::compile(&promise()).expect("an ordinary schema");
    let place = jsonptr::Pointer::from_static("/result/structuredContent");
    let mut group = criterion.benchmark_group("json");
    for kib in [1, 8, 64] {
        let text = reply(kib << 10);
        let mut tape = Tape::default();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("read", kib), &text, |bencher, text| {
            bencher.iter(|| tape.read(black_box(text), Limits::default()).is_ok());
        });
        group.bench_with_input(BenchmarkId::new("read and judge", kib), &text, |bencher, text| {
            bencher.iter(|| {
                let root = tape.read(black_box(text), Limits::default()).expect("JSON").root();
                assert!(schema.admits(root.at(place).expect("a structured result")));
            });
        });
        group.bench_with_input(BenchmarkId::new("judge", kib), &text, |bencher, text| {
            let root = tape.read(text, Limits::default()).expect("JSON").root();
            let result = root.at(place).expect("a structured result");
            bencher.iter(|| schema.admits(black_box(result)));
        });
    }
    group.finish();
    criterion.bench_function("compile a schema", |bencher| {
        let promise = promise();
        bencher.iter(|| Schema::compile(black_box(&promise)).is_ok());
    });
}

criterion_group!(benches, costs);
criterion_main!(benches);
