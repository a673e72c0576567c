//! The official conformance suite, against real peers, direct and through the sidecar: the same
//! checks end the same way.
//!
//! ```text
//!   suite ─────────────────► peer      statuses by scenario and check
//!   suite ──► stipula run ─► peer      the same ones, or better
//! ```

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

#[path = "peers/children.rs"]
mod children;
#[path = "peers/everything.rs"]
mod everything;
#[path = "peers/fixture.rs"]
mod fixture;
#[path = "peers/serving.rs"]
mod serving;

use children::{Running, Sidecar, installed, node};
use everything::Everything;
use fixture::Fixture;
use serving::Serving;

const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// How long one run of the suite may take.
const LEG: Duration = Duration::from_secs(120);
/// A scenario's directory ends with the moment it ran: `-2026-11-21T10-57-54-401Z`.
const MOMENT: usize = 25;

/// Statuses of each check of each scenario, sorted.
type Statuses = BTreeMap<(String, String), Vec<String>>;

/// A check whose statuses are not those of the other leg.
struct Difference {
    check: (String, String),
    direct: Vec<String>,
    through: Vec<String>,
}

impl Difference {
    /// What the peer alone fails and the sidecar makes good, for instance a foreign `Host`.
    fn is_better(&self) -> bool {
        let good = |statuses: &[String]| statuses.iter().all(|status| status == "SUCCESS");
        self.direct.len() == self.through.len() && good(&self.through) && !good(&self.direct)
    }
}

fn run(home: &Path, url: &str, revision: &str) -> Statuses {
    let out = tempfile::tempdir().unwrap();
    let mut suite = node(home, SUITE);
    suite.args(["server", "--url", url, "--requirements", revision, "-o"]).arg(out.path());
    // It ends badly where any check fails; what each one said is in its files.
    let (_, said) = Running::start(&mut suite).ended(LEG);
    let mut statuses = Statuses::new();
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let scenario = name[..name.len() - MOMENT].to_owned();
        // A scenario that gave up before its first check leaves an empty directory.
        let checks = std::fs::read(dir.join("checks.json")).unwrap_or_else(|_| b"[]".to_vec());
        if &checks[..] == b"[]" {
            let none = (scenario.clone(), "no check at all".to_owned());
            statuses.entry(none).or_default().push("gave up".to_owned());
        }
        for check in serde_json::from_slice::<Vec<Value>>(&checks).unwrap() {
            let word = |key: &str| check[key].as_str().unwrap().to_owned();
            statuses.entry((scenario.clone(), word("id"))).or_default().push(word("status"));
        }
    }
    statuses.values_mut().for_each(|all| all.sort());
    assert!(statuses.len() > 50, "the suite did not run to its end:\n{said}");
    statuses
}

fn differences(direct: &Statuses, through: &Statuses) -> Vec<Difference> {
    let mut checks: Vec<_> = direct.keys().chain(through.keys()).cloned().collect();
    checks.sort();
    checks.dedup();
    let of = |leg: &Statuses, check: &_| leg.get(check).cloned().unwrap_or_default();
    checks
        .into_iter()
        .map(|check| Difference { direct: of(direct, &check), through: of(through, &check), check })
        .filter(|difference| difference.direct != difference.through)
        .collect()
}

fn count(leg: &Statuses, status: &str) -> usize {
    leg.values().flatten().filter(|known| *known == status).count()
}

/// Runs both legs at both revisions; `start` gives a fresh peer and its URL.
fn compare<P>(name: &str, start: impl Fn(&Path) -> (P, String)) {
    let Some(home) = installed() else { return };
    let mut worse = Vec::new();
    for revision in REVISIONS {
        let (peer, url) = start(&home);
        let direct = run(&home, &url, revision);
        drop(peer);
        let (peer, url) = start(&home);
        let sidecar = Sidecar::start(&url, &[]);
        let through = run(&home, &sidecar.url(), revision);
        let exchanges = sidecar.metric("stipula_exchanges_total");
        drop(peer);
        let found = differences(&direct, &through);
        let (better, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(Difference::is_better);
        println!(
            "{name} {revision}: {} checks, {} statuses ({} succeed direct, {} through), \
             {} better, {} differ, {exchanges} exchanges",
            direct.len(),
            direct.values().flatten().count(),
            count(&direct, "SUCCESS"),
            count(&through, "SUCCESS"),
            better.len(),
            bad.len(),
        );
        for Difference { check, direct, through } in &better {
            println!("  better: {check:?} {direct:?} -> {through:?}");
        }
        let connections = sidecar.metric("stipula_connections_total");
        let went = exchanges > 0.0 && connections > 0.0;
        assert!(went, "{name} {revision}: nothing went through the sidecar");
        worse.extend(bad.into_iter().map(|found| {
            format!("{revision} {:?}: {:?} -> {:?}", found.check, found.direct, found.through)
        }));
    }
    assert!(worse.is_empty(), "{name}:\n{}", worse.join("\n"));
}

#[test]
fn the_suite_ends_the_same_in_front_of_server_everything() {
    compare("server-everything", |home| {
        let peer = Everything::start(home);
        let url = peer.url.clone();
        (peer, url)
    });
}

#[test]
fn the_suite_ends_the_same_in_front_of_a_server_made_for_it() {
    compare("fixture", |_| {
        let peer = Serving::start(Fixture::new(), 0);
        let url = peer.url();
        (peer, url)
    });
}
