//! What the story came to, in figures and in words.

use std::collections::BTreeMap;

use rmcp::model::Tool;
use serde_json::{Value, json};

use super::story::{Phase, Tally};
use crate::demo::account::Account;
use crate::domain::routine::{RoutineDoc, explain};

/// The code of a call that waits for a person.
const WAITS: i32 = -31007;

/// The story as it was played.
pub(super) struct Played {
    /// Before the release, after it, and after the approval.
    pub(super) phases: [Phase; 3],
    /// What waited, as the admin listener told it.
    pub(super) waiting: Value,
    /// What it answered to the approval.
    pub(super) approval: Value,
    /// The routine in force at the end.
    pub(super) routine: Value,
    /// Every drift event.
    pub(super) events: Value,
    /// Each call of the last phase beside what the server took for it.
    pub(super) carried: Vec<Value>,
    /// From start to end, in milliseconds.
    pub(super) elapsed_ms: u64,
}

impl Played {
    /// The account, between what was offered before and after.
    pub(super) fn account(&self, old: &[Tool], new: &[Tool]) -> Account {
        let mut account = Account::default();
        let gone = missing(old, new);
        let came = missing(new, old);
        let stayed = old.len() - gone.len();
        account.line(format!(
            "{} tools became {}: {}; {stayed} stayed",
            gone.len(),
            came.len(),
            came.join(", "),
        ));
        account.line("");
        let healed = self.healed();
        let rows = healed.iter().map(|tool| self.mapped(tool)).collect::<Vec<_>>();
        account.table("Healed without a person", &rows);
        account.table("Waited for a person", &self.waited());
        self.approved(&mut account);
        account.table("Calls by the old names", &self.calls());
        self.figures(&mut account);
        self.expectations(&mut account, &gone, &came);
        self.artifacts(&mut account);
        account
    }

    /// Promised tools that were carried over before anybody approved.
    fn healed(&self) -> Vec<String> {
        let tools = self.phases[1].status["tools"].as_array();
        let carried = tools.into_iter().flatten().filter(|tool| tool["routine"] == true);
        carried.map(|tool| word(&tool["tool"])).collect()
    }

    /// An old tool, what it became, and with which constants.
    fn mapped(&self, tool: &str) -> Vec<String> {
        let entry = &self.routine[tool];
        let constants = entry["request"].as_array().into_iter().flatten();
        let constants = constants.filter(|op| op["op"] == "set").map(|op| {
            format!("{}: {}", word(&op["at"]).trim_start_matches('/'), word(&op["value"]))
        });
        let constants = constants.collect::<Vec<_>>().join(", ");
        vec![tool.to_owned(), format!("-> {}", word(&entry["call"])), constants]
    }

    fn proposals(&self) -> &[Value] {
        self.waiting["approvals"].as_array().map_or(&[], Vec::as_slice)
    }

    fn waited(&self) -> Vec<Vec<String>> {
        let row = |proposal: &Value| {
            let mut rules: Vec<String> = proposal["held_by"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|held| word(&held["rule"]))
                .collect();
            rules.dedup();
            let mut row = self.mapped(&word(&proposal["tool"]));
            row.push(format!("held by: {}", rules.join(", ")));
            row
        };
        self.proposals().iter().map(row).collect()
    }

    fn approvals(&self) -> &[Value] {
        self.approval.as_array().map_or(&[], Vec::as_slice)
    }

    fn approved(&self, account: &mut Account) {
        let rows = self.approvals().iter().map(|approval| {
            let tools = approval["tools"].as_array().map_or(0, Vec::len);
            vec![
                format!("{tools} tools"),
                format!("stipula approvals approve {}", word(&approval["id"])),
            ]
        });
        let rows = rows.collect::<Vec<_>>();
        account.table(&format!("Approvals: {}", rows.len()), &rows);
    }

    fn calls(&self) -> Vec<Vec<String>> {
        let head =
            ["", "reads", "succeeded", "writes", "succeeded", "waited", "reached the server"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for phase in &self.phases {
            let figures = [
                phase.reads.calls,
                phase.reads.succeeded,
                phase.writes.calls,
                phase.writes.succeeded,
                waited(&phase.writes),
                phase.written,
            ];
            let mut row = vec![phase.name.to_owned()];
            row.extend(figures.map(|figure| figure.to_string()));
            rows.push(row);
        }
        rows
    }

    fn failed_reads(&self) -> usize {
        self.phases.iter().map(|phase| phase.reads.failed()).sum()
    }

    fn figures(&self, account: &mut Account) {
        let events = self.events.as_array().map_or(&[][..], Vec::as_slice);
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for event in events {
            let kind = format!("{}, {}", word(&event["type"]), word(&event["severity"]));
            *kinds.entry(kind).or_default() += 1;
        }
        let kinds = kinds.iter().map(|(kind, times)| format!("{times} {kind}"));
        let kinds = kinds.collect::<Vec<_>>().join("; ");
        account.line(format!("Failed reads: {}", self.failed_reads()));
        let early = self.phases[1].written;
        account.line(format!("Writes that reached the server before the approval: {early}"));
        account.line(format!("Drift events: {} ({kinds})", events.len()));
        let versions = self.phases.iter().map(|phase| format!("v{}", phase.version));
        account.line(format!("Contract: {}", versions.collect::<Vec<_>>().join(" → ")));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a demo fit f64 exactly")]
        let seconds = self.elapsed_ms as f64 / 1_000.0;
        account.line(format!("Total elapsed: {seconds:.2}s"));
    }

    /// What makes it the story that it is told as.
    fn expectations(&self, account: &mut Account, gone: &[String], came: &[String]) {
        let [before, held, approved] = &self.phases;
        let sizes = (gone.len(), came.len());
        account.expect(sizes == (8, 3), "eight tools become three");
        account.expect(self.failed_reads() == 0, "no read fails or says something else");
        account.expect(held.written == 0, "no write reaches the server before the approval");
        let all = waited(&held.writes) == held.writes.calls;
        account.expect(all, "every write waits for the approval");
        account.expect(self.approvals().len() == 1, "one approval is enough");
        let whole = |phase: &Phase| {
            phase.writes.succeeded == phase.writes.calls && phase.written == phase.writes.calls
        };
        account.expect(whole(before) && whole(approved), "every other write is done once");
        let mut settled = self.healed();
        settled.extend(self.proposals().iter().map(|proposal| word(&proposal["tool"])));
        settled.sort();
        let mut all = gone.to_vec();
        all.sort();
        account.expect(settled == all, "each tool that is gone heals or waits");
        let meant = self.carried.iter().all(|row| row["as_meant"] == true);
        account.expect(meant, "each call does at the server what it did before");
    }

    fn artifacts(&self, account: &mut Account) {
        for (at, phase) in self.phases.iter().enumerate() {
            account.artifact(&format!("{}-{}.json", at + 1, phase.name), json!(phase));
        }
        account.artifact("4-waiting.json", self.waiting.clone());
        account.artifact("5-approval.json", self.approval.clone());
        account.artifact("6-routine.json", self.routine.clone());
        account.artifact("7-carried.json", json!(self.carried));
        account.artifact("8-events.json", self.events.clone());
        let explained = serde_json::from_value::<RoutineDoc>(self.routine.clone());
        let explained = explained.map(|document| explain(&document)).unwrap_or_default();
        let summary = json!({
            "healed": self.healed(),
            "waited": self.proposals().iter().map(|it| it["tool"].clone()).collect::<Vec<_>>(),
            "approvals": self.approvals().len(),
            "failed_reads": self.failed_reads(),
            "writes_before_approval": self.phases[1].written,
            "versions": self.phases.iter().map(|phase| phase.version.clone()).collect::<Vec<_>>(),
            "explained": explained.lines().collect::<Vec<_>>(),
            "missed": account.missed(),
            "elapsed_ms": self.elapsed_ms,
        });
        account.artifact("summary.json", summary);
    }
}

fn waited(tally: &Tally) -> usize {
    tally.refused.get(&WAITS).copied().unwrap_or_default()
}

/// Names of one surface that the other does not have.
fn missing(of: &[Tool], from: &[Tool]) -> Vec<String> {
    let there = |tool: &&Tool| !from.iter().any(|other| other.name == tool.name);
    of.iter().filter(there).map(|tool| tool.name.to_string()).collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
