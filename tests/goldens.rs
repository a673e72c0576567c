//! Files that are generated from the code and read by people and other programs: each is held to be
//! what the code makes now. `STIPULA_REFRESH=1` writes them anew.

use std::path::Path;

use serde_json::{Value, json};
use stipula::domain::contract::{
    Contract, FirstVersion, ProvenanceKind, Schema, Surface, first_version, seal,
};
use stipula::domain::drift::{DriftEvent, DriftType, EventState, Evidence, Fingerprint, Severity};
use stipula::domain::message::{Digest, Millis, UnixMillis};
use stipula::domain::routine::RoutineDoc;

/// Holds the file at `path` (from the crate's root) to be `text`.
fn golden(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("STIPULA_REFRESH").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let line = written.lines().zip(text.lines()).take_while(|(old, new)| old == new).count() + 1;
    assert!(
        written == text,
        "{path} is not what the code makes, from line {line} on; \
         run `STIPULA_REFRESH=1 cargo test --test goldens` and look at the difference"
    );
}

/// A schema as it is published.
fn schema<T: schemars::JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap())
}

#[test]
fn the_schema_of_contracts_is_published() {
    golden("docs/contract.schema.json", &schema::<Contract>());
}

#[test]
fn a_sealed_contract_conforms_to_the_published_schema() {
    let tool = json!({
        "name": "search",
        "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}},
        "outputSchema": {"type": "object"},
    });
    let (draft, _) = first_version(FirstVersion {
        id: uuid::Uuid::from_u128(1),
        peer_identity: "http://127.0.0.1:3000 flights".to_owned(),
        surface: &Surface::from_json(&json!([tool])).unwrap(),
        at: UnixMillis(1_790_000_000_000),
        lifetime: Millis(3_600_000),
        reference: "first-use".to_owned(),
        kind: ProvenanceKind::Negotiation,
    });
    let mut contract: Value = serde_json::from_str(&seal(draft, None).unwrap().text()).unwrap();
    let published = serde_json::from_str(&schema::<Contract>()).unwrap();
    let published = Schema::compile(&published).unwrap();
    assert_eq!(published.violations_value(&contract), []);
    contract["more"] = json!(1);
    assert!(!published.admits_value(&contract));
}

/// Holds that the published schema of `T` admits what the code writes, and not more.
fn conforms<T: schemars::JsonSchema>(written: &Value) {
    let published = serde_json::from_str(&schema::<T>()).unwrap();
    let published = Schema::compile(&published).unwrap();
    assert_eq!(published.violations_value(written), []);
}

#[test]
fn the_schema_of_routines_is_published() {
    golden("docs/routine.schema.json", &schema::<RoutineDoc>());
    // The example of the design, and one operation of every kind.
    let document = json!({ "get_issue": { "call": "issue_read",
        "request": [ {"op":"set","at":"/method","value":"get"},
            {"op":"move","from":"/issue_number","to":"/number"},
            {"op":"default","at":"/a","value":null}, {"op":"cast","at":"/a","to":"integer"},
            {"op":"map","at":"/a","table":[{"from":1,"to":"x"}]},
            {"op":"scale","at":"/a","factor":1000,"offset":0.5}, {"op":"wrap","at":"/a"},
            {"op":"unwrap","at":"/a"}, {"op":"parse","at":"/a"}, {"op":"print","at":"/a"},
            {"op":"remove","at":"/a"}, {"op":"date","at":"/a","from":"date","to":"rfc3339"},
            {"op":"clamp","at":"/a","max":9}, {"op":"remove_if","at":"/a","one_of":[null]},
            {"op":"refuse_if","at":"/a","not_one_of":["x"],"reason":"gone"},
            {"op":"cases","at":"/a","when":[{"is":[1],"ops":[{"op":"call","tool":"b"}]},{"ops":[]}],"else":[]} ],
        "reply": [ {"op":"copy","from":"/url","to":"/html_url","optional":true},
            {"op":"extract","from":"/url","to":"/number","pattern":"/issues/([0-9]+)$","as":"integer"},
            {"op":"split","from":"/a","separator":"/","to":["/b","/c"]},
            {"op":"join","from":["/b","/c"],"separator":"/","to":"/a"},
            {"op":"template","text":"{/a}","to":"/d"},
            {"op":"each","at":"/items","ops":[{"op":"remove","at":"/x"}]} ],
        "errors": [ {"from":"NOT_FOUND","to":"E404"} ] } });
    conforms::<RoutineDoc>(&document);
    assert!(RoutineDoc::from_value(&document).is_ok());
    let demo = include_str!("../fixtures/demo/expected/5-routine.json");
    let demo: Value = serde_json::from_str(demo).unwrap();
    let told = demo.get("routine").unwrap_or(&demo);
    assert!(RoutineDoc::from_value(told).is_ok(), "{demo}");
    conforms::<RoutineDoc>(told);
    for (pointer, wrong) in [
        ("/get_issue/request/0/op", json!("invent")),
        ("/get_issue/request/0/more", json!(1)),
        ("/get_issue/reply/1/as", json!("date")),
        ("/get_issue/errors/0/to", json!(404)),
    ] {
        let mut wrongly = document.clone();
        let (above, last) = pointer.rsplit_once('/').unwrap();
        wrongly.pointer_mut(above).unwrap()[last] = wrong;
        let published: Value = serde_json::from_str(&schema::<RoutineDoc>()).unwrap();
        assert!(!Schema::compile(&published).unwrap().admits_value(&wrongly), "{pointer}");
        assert!(RoutineDoc::from_value(&wrongly).is_err(), "{pointer}");
    }
}

#[test]
fn the_schema_of_drift_events_is_published() {
    golden("docs/drift.schema.json", &schema::<DriftEvent>());
    let event = DriftEvent {
        drift_id: uuid::Uuid::from_u128(7),
        drift_type: DriftType::Schema,
        severity: Severity::Medium,
        contract_id: None,
        tool: Some("search".to_owned()),
        fingerprint: Fingerprint(Digest::of(b"offer")),
        detected_at: UnixMillis(1_790_000_000_000),
        sensor: "surface".to_owned(),
        evidence: Evidence { baseline: json!({}), observed: json!({}), diff: json!([]) },
        occurrences: 2,
        state: EventState::Open,
        resolved_by: None,
    };
    conforms::<DriftEvent>(&serde_json::to_value(event).unwrap());
}

#[test]
fn the_schema_of_the_configuration_is_published() {
    let text = serde_json::to_string_pretty(&stipula::config::schema()).unwrap();
    golden("docs/config.schema.json", &format!("{text}\n"));
}

/// Families of the exposition: name, type, labels, help.
fn families(exposition: &str) -> Vec<[String; 4]> {
    let mut families = Vec::new();
    let mut help = String::new();
    for line in exposition.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            help = told.split_once(' ').unwrap().1.to_owned();
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            families.push([name.to_owned(), kind.to_owned(), String::new(), help.clone()]);
        } else {
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let names: Vec<&str> = labels
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name)
                .filter(|name| *name != "le")
                .collect();
            families.last_mut().unwrap()[2] = names.join(", ");
        }
    }
    families
}

#[test]
fn the_list_of_metrics_is_published() {
    let metrics = stipula::telemetry::Metrics::new();
    metrics.advisor_opened("claude");
    let peer = metrics.peer(&"flights".into());
    peer.drift_event(DriftType::Schema, Severity::Medium);
    peer.profile_score(100.0);
    peer.expiry(UnixMillis(0));
    let _ = metrics.load(&"flights".into());
    let mut text = "# Metrics\n\nWhat `GET /metrics` of the admin listener tells, in the Prometheus text format. Labels are closed\nsets or names that the operator chose; nothing a peer writes becomes a label.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for [name, kind, labels, help] in families(&metrics.render()) {
        assert!(name.starts_with("stipula_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        text.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    golden("docs/metrics.md", &text);
}

#[test]
fn the_list_of_errors_is_published() {
    use stipula::domain::message::Code;
    let mut text = "# Errors\n\nWhat Stipula itself answers. An agent reads the JSON-RPC code, people and alerts read the stable code;\n`stipula_refusals_total{code}` counts them. Errors of the peer pass as they came.\n\n`error.data` of a refusal holds `error` (the stable code), `retryable`, `executed` (whether the peer ran the\ncall: `true`, `false` or `\"unknown\"`), `contract`, `version`, `drift` and, where it is known, `retry_after_ms`.\nA call that ran is answered with an `isError` result instead, with the same in `_meta[\"dev.stipula/verdict\"]`.\nThe first HTTP status is that of an answer to an MCP request, which carries the code in its body; the second\nis for protocols whose status is all that they have. Where the status is not 200 and the time is known,\n`Retry-After` stands in the head as well.\n\n| code | JSON-RPC | HTTP | bare HTTP | gRPC | who must act | try again | what happened | what to do |\n|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for told in Code::ALL.map(stipula::wire::protocol::taxonomy::entry) {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} {} | {} | {} | {} | {} |\n",
            told.code.stable(),
            told.code.json_rpc(),
            told.http,
            told.bare_http,
            told.grpc as u8,
            told.grpc.word(),
            told.blame.word(),
            told.retry.word(),
            told.meaning,
            told.remedy
        ));
    }
    golden("docs/errors.md", &text);
}

#[test]
fn the_tests_that_the_drift_table_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/drift.md")).unwrap();
    let named = regex::Regex::new(r"`(tests/[a-z_/]+\.rs)::([a-z0-9_]+)`").unwrap();
    let mut found = 0;
    for name in named.captures_iter(&table) {
        let text = std::fs::read_to_string(root.join(&name[1]));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", &name[1]));
        assert!(text.contains(&format!("fn {}(", &name[2])), "{}", &name[0]);
        found += 1;
    }
    assert!(found >= table.matches("::").count() - 1, "a name that is not read: {found}");
    // Every type and every severity of an event has a row.
    for word in
        ["schema", "semantic", "capability", "policy", "performance", "freshness", "negotiation"]
            .into_iter()
            .chain(["low", "medium", "high", "critical"])
    {
        assert!(
            table.lines().any(|line| line.starts_with(&format!("| {word} |"))
                || line.starts_with(&format!("| {word}, "))),
            "{word}"
        );
    }
}
