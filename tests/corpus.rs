//! How the engine does on a corpus of judged drift; runs where `STIPULA_CORPUS` names its directory.
//!
//! The corpus is third-party text and not part of the repository. What must hold whatever else: no
//! proposal goes without a person that should not, none maps arguments otherwise than judged, and no
//! break is called compatible. What it is to reach stands here too, so that it is not lost again.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Shares, in percent, that the judged cases must reach.
const FLOORS: &[(&str, f64)] = &[
    ("auto_healed", 86.0),
    ("review_proposed", 70.0),
    ("type_agrees", 92.0),
    ("severity_agrees", 92.0),
];

fn evaluated(file: &Path) -> (bool, Value) {
    let binary = std::env::var_os("STIPULA_BIN").unwrap_or(env!("CARGO_BIN_EXE_stipula").into());
    let output = Command::new(binary).arg("evaluate").arg(file).arg("--json").output().unwrap();
    let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    (output.status.success(), answer["files"][name].take())
}

#[test]
fn nothing_goes_by_itself_that_should_not() {
    let Some(root) = std::env::var_os("STIPULA_CORPUS") else { return };
    let (safe, answer) = evaluated(&Path::new(&root).join("gold.dev.jsonl"));
    println!("{:#} {:#}", answer["table"], answer["time"]);
    assert!(safe, "{:#}", answer["faults"]);
    for (name, floor) in FLOORS {
        let share = &answer["table"][name];
        let percent = share["count"].as_f64().unwrap() * 100.0 / share["of"].as_f64().unwrap();
        assert!(percent >= *floor, "{name}: {percent:.1} %, expected {floor} %");
    }
}

#[test]
fn every_break_is_called_one_and_nothing_drifts_beside_itself() {
    let Some(root) = std::env::var_os("STIPULA_CORPUS") else { return };
    let (safe, answer) = evaluated(&Path::new(&root).join("pairs.dev.jsonl.gz"));
    println!("{:#} {:#}", answer["table"], answer["time"]);
    assert!(safe, "{:#}", answer["faults"]);
}

#[test]
fn the_table_tells_what_the_fixture_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evaluation");
    let (safe, answer) = evaluated(&root.join("gold.jsonl"));
    assert!(safe, "{answer:#}");
    assert_eq!(answer["table"]["cases"], 3);
    assert_eq!(answer["table"]["wrong_heals"], 0);
    assert_eq!(answer["table"]["auto_mapped"]["count"], 1);
    let (safe, answer) = evaluated(&root.join("pairs.jsonl"));
    assert!(safe, "{answer:#}");
    assert_eq!(answer["table"]["hard"]["of"], 2);
}

#[test]
fn changes_of_meaning_are_found_and_undisturbed_lives_are_quiet() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = std::env::var_os("STIPULA_BIN").unwrap_or(env!("CARGO_BIN_EXE_stipula").into());
    let arguments = ["evaluate", "semantic", "fixtures/replies", "--quick", "--json"];
    let output = Command::new(binary).args(arguments).current_dir(root).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{answer:#}");
    assert_eq!(answer["kinds"].as_object().unwrap().len(), 14);
    for (found, cases) in [("all", 100), ("real_all", 100)] {
        let (count, of) = (&answer[found]["found"], &answer[found]["of"]);
        let (count, of) = (count.as_u64().unwrap(), of.as_u64().unwrap());
        assert!(of > cases && count * 10 >= of * 9, "{found}: {count} of {of}: {answer:#}");
    }
    assert_eq!(answer["quiet"]["alarms"], 0, "{answer:#}");
    assert_eq!(answer["real_quiet"]["alarms"], 0, "{answer:#}");
    // The page says what the whole of it came to.
    let page = std::fs::read_to_string(root.join("docs/semantic-drift.md")).unwrap();
    assert!(page.starts_with(include_str!("../src/cli/semantic.md")), "make the page again");
}
