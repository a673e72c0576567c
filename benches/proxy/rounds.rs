//! Rounds: every target in turn, again and again, so that what the machine does beside falls on all.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use stipula::domain::message::Digest;

use super::agent::Agent;
use super::process::Process;

/// What the ratios are to.
const BARE: &str = "bare hyper";

/// Somebody who answers the load.
pub(crate) struct Target<'p> {
    name: &'static str,
    address: SocketAddr,
    process: Option<&'p Process>,
}

impl<'p> Target<'p> {
    pub(crate) fn new(
        name: &'static str,
        address: SocketAddr,
        process: Option<&'p Process>,
    ) -> Self {
        Self { name, address, process }
    }
}

/// One window of one target, in microseconds a request and requests a second.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    cpu: f64,
    recording: f64,
    rate: f64,
}

/// What each target cost in each round.
pub(crate) struct Table {
    rows: Vec<(&'static str, Vec<Cost>)>,
}

/// Loads a target for a window, after a quarter of it to get warm.
pub(crate) async fn load(
    target: &Target<'_>,
    bytes: usize,
    connections: usize,
    window: Duration,
) -> Cost {
    let (done, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let local = tokio::task::LocalSet::new();
    let agent = Agent::new(target.address);
    let loops: Vec<_> = (0..connections)
        .map(|_| local.spawn_local(agent.calls(bytes, Rc::clone(&done), Rc::clone(&stop))))
        .collect();
    let measured = local.run_until(async {
        tokio::time::sleep(window / 4).await;
        let spent = || target.process.map_or((0, 0), Process::cpu);
        let (from, before, began) = (done.get(), spent(), Instant::now());
        tokio::time::sleep(window).await;
        let (to, after, took) = (done.get(), spent(), began.elapsed());
        stop.set(true);
        for each in loops {
            each.await.expect("every reply was the expected one");
        }
        let requests = (to - from) as f64;
        let micros = |spent: u64| spent as f64 / 1e3 / requests;
        Cost {
            cpu: micros(after.0 - before.0),
            recording: micros(after.1 - before.1),
            rate: requests / took.as_secs_f64(),
        }
    });
    measured.await
}

/// Loads all targets once a round, each round beginning with another one.
pub(crate) async fn interleaved(
    targets: &[Target<'_>],
    bytes: usize,
    connections: usize,
    rounds: usize,
    window: Duration,
) -> Table {
    let mut rows: Vec<_> = targets.iter().map(|target| (target.name, Vec::new())).collect();
    for round in 0..rounds {
        let mut costs = vec![None; targets.len()];
        for turn in 0..targets.len() {
            let at = (turn + round) % targets.len();
            costs[at] = Some(load(&targets[at], bytes, connections, window).await);
        }
        for (row, cost) in rows.iter_mut().zip(costs) {
            row.1.extend(cost);
        }
    }
    Table { rows }
}

impl Table {
    fn costs(&self, name: &str) -> &[Cost] {
        let row = self.rows.iter().find(|(row, _)| *row == name);
        row.map_or(&[], |(_, costs)| costs)
    }

    fn ratios(&self, name: &str, off: f64) -> Vec<f64> {
        let pairs = self.costs(name).iter().zip(self.costs(BARE));
        pairs.map(|(cost, bare)| (cost.cpu - off) / bare.cpu).collect()
    }

    /// The median of the ratios to the bare proxy of the same round, with so many microseconds
    /// taken off.
    pub(crate) fn ratio(&self, name: &str, off: f64) -> f64 {
        median(&mut self.ratios(name, off))
    }

    /// As [`Table::ratio`], for the threads that serve: what the control plane does beside, for
    /// instance reading a surface again, is no part of a call.
    pub(crate) fn ratio_on_path(&self, name: &str) -> f64 {
        let path = |cost: &Cost| cost.cpu - cost.recording;
        let pairs = self.costs(name).iter().zip(self.costs(BARE));
        median(&mut pairs.map(|(cost, bare)| path(cost) / path(bare)).collect::<Vec<_>>())
    }

    /// Microseconds a request on the thread that records.
    pub(crate) fn recording(&self, name: &str) -> f64 {
        median(&mut self.costs(name).iter().map(|cost| cost.recording).collect::<Vec<_>>())
    }

    pub(crate) fn print(&self) {
        println!("  {:<20}{:>10}{:>8}  {:<14}{:>10}", "", "CPU us", "ratio", "(range)", "rps");
        for (name, costs) in &self.rows {
            let cpu = median(&mut costs.iter().map(|cost| cost.cpu).collect::<Vec<_>>());
            let rate = median(&mut costs.iter().map(|cost| cost.rate).collect::<Vec<_>>());
            let mut ratios = self.ratios(name, 0.0);
            let ratio = median(&mut ratios);
            let range = match (ratios.first(), ratios.last()) {
                (Some(least), Some(most)) => format!("({least:.2}-{most:.2})"),
                _ => String::new(),
            };
            println!("  {name:<20}{cpu:>10.1}{ratio:>8.2}  {range:<14}{rate:>10.0}");
        }
    }
}

/// The middle of the figures, which are left in order.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Microseconds that the digest of a reply takes.
pub(crate) fn digest_micros(bytes: usize) -> f64 {
    let text = super::peer::reply((bytes >> 10) as u64);
    let mut figures: Vec<f64> = (0..50)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..20 {
                std::hint::black_box(Digest::of(std::hint::black_box(&text)));
            }
            began.elapsed().as_secs_f64() * 1e6 / 20.0
        })
        .collect();
    median(&mut figures)
}
