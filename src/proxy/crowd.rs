//! How many calls at once, and whose turn it is: one for each peer, of all threads together.
//!
//! ```text
//!   room, nobody waits ─► Place                              (atomics alone)
//!   else ─► Turns, by principal ─► Place, or told to come back
//!   a Place is given back with the reply ─► the next one's turn; now and then the limit is looked at
//! ```

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::call::Call;
use super::gateway::Lane;
use super::principal::principal;
use super::report;
use super::share::Sharing;
use crate::domain::message::{Clock, Digest, Executed, Principal, Verdict};
use crate::domain::sharing::{Bounds, Full, Pace, Room, Seen, Ticket, Turns};
use crate::telemetry::{Limit, Load, Shed};
use crate::wire::protocol::mcp::{Refusal, Refused, SESSION};

/// The limit is looked at each time so many more calls are done.
const LOOK: u64 = 64;
/// Who waits looks at the limit itself this often: where nothing gets done nobody else would.
const PEEK: Duration = Duration::from_millis(250);
/// One call done, above the sum of how many were in flight.
const ONE: u64 = 1 << 40;

/// All who ask one peer.
#[derive(Debug)]
pub(super) struct Crowd {
    load: Arc<Load>,
    clock: Arc<dyn Clock>,
    /// Of this window: calls done in units of [`ONE`], and how many were in flight as each was done.
    window: AtomicU64,
    hall: Mutex<Hall>,
}

/// What is looked at where calls wait, or once in a while.
#[derive(Debug)]
struct Hall {
    turns: Turns<oneshot::Sender<Place>>,
    /// `None` where the limit stands still.
    pace: Option<Pace>,
    /// When the window began, in monotonic microseconds.
    since: u64,
    waited: bool,
    sharing: Sharing,
}

/// A call that the peer works at, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    done: bool,
}

impl Place {
    /// The peer answered: what it got done counts.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.left(self.done);
    }
}

/// Why there is no place.
#[derive(Debug)]
struct Turned {
    shed: Shed,
    retry_after_ms: u64,
}

/// Somebody in line; out of it when dropped.
struct Waiting<'a> {
    crowd: &'a Crowd,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut hall = self.crowd.hall();
        // Nobody where its turn has come.
        let _ = hall.turns.leave(&self.ticket);
        self.crowd.tell_queued(&hall);
    }
}

impl Crowd {
    pub(super) fn new(sharing: Sharing, load: Arc<Load>, clock: &Arc<dyn Clock>) -> Arc<Self> {
        let pace = pace(&sharing);
        load.limit.store(sharing.bounds.max, Ordering::Relaxed);
        let hall = Hall {
            turns: Turns::default(),
            pace,
            since: clock.monotonic_micros(),
            waited: false,
            sharing,
        };
        let clock = Arc::clone(clock);
        Arc::new(Self { load, clock, window: AtomicU64::new(0), hall: Mutex::new(hall) })
    }

    /// Goes by these settings from now on. Who waits keeps the wait that it began with.
    pub(super) fn adjust(self: &Arc<Self>, sharing: Sharing) {
        let mut hall = self.hall();
        if hall.sharing == sharing {
            return;
        }
        hall.pace = pace(&sharing);
        self.load.limit.store(sharing.bounds.max, Ordering::Relaxed);
        hall.sharing = sharing;
        self.hand_out(&mut hall);
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, in_flight: u64) -> bool {
        let limit = self.load.limit.load(Ordering::Relaxed);
        limit == 0 || in_flight < limit
    }

    /// A place where there is room and nobody waits for it.
    fn at_once(self: &Arc<Self>) -> Option<Place> {
        if self.load.queued.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let before = self.load.in_flight.fetch_add(1, Ordering::SeqCst);
        let place = Place { crowd: Arc::clone(self), done: false };
        self.has_room(before).then_some(place)
    }

    async fn enter(self: &Arc<Self>, headers: &HeaderMap) -> Result<Place, Turned> {
        match self.at_once() {
            Some(place) => Ok(place),
            None => Box::pin(self.wait(headers)).await,
        }
    }

    async fn wait(self: &Arc<Self>, headers: &HeaderMap) -> Result<Place, Turned> {
        let who = sharer(headers);
        let (mut turn, ticket, until) = self.line_up(&who)?;
        let waiting = Waiting { crowd: self, ticket };
        loop {
            let now = Instant::now();
            match timeout_at(until.min(now + PEEK), &mut turn).await {
                Ok(Ok(place)) => return Ok(place),
                Err(_) if now < until => {
                    let mut hall = self.hall();
                    self.look(&mut hall);
                    self.hand_out(&mut hall);
                }
                Ok(Err(_)) | Err(_) => break,
            }
        }
        drop(waiting);
        let retry_after_ms = retry_after_ms(&self.hall());
        Err(Turned { shed: Shed::Wait, retry_after_ms })
    }

    /// Stands in line: the turn that comes, the place in line, and how long it is waited for.
    fn line_up(
        self: &Arc<Self>,
        who: &Principal,
    ) -> Result<(oneshot::Receiver<Place>, Ticket, Instant), Turned> {
        let (sender, turn) = oneshot::channel();
        let mut hall = self.hall();
        let sharing = &hall.sharing;
        let one_line = Principal::anonymous();
        let weight = sharing.weights.get(who).copied().unwrap_or(NonZeroU32::MIN);
        let (line, each) = if sharing.fair {
            (who, sharing.queue_per_principal)
        } else {
            (&one_line, sharing.queue)
        };
        let (room, wait) = (Room { all: sharing.queue, each }, sharing.wait);
        let ticket = hall.turns.join(line, weight, room, sender).map_err(|full| Turned {
            shed: match full {
                Full::All => Shed::Queue,
                Full::Principal => Shed::PrincipalQueue,
            },
            retry_after_ms: retry_after_ms(&hall),
        })?;
        hall.waited = true;
        self.tell_queued(&hall);
        // Who left before it was told that somebody waits could not let this one go.
        self.hand_out(&mut hall);
        Ok((turn, ticket, Instant::now() + wait))
    }

    fn tell_queued(&self, hall: &Hall) {
        self.load.queued.store(hall.turns.len() as u64, Ordering::SeqCst);
    }

    /// Lets go whose turn it is, as many as there is room for.
    fn hand_out(self: &Arc<Self>, hall: &mut Hall) {
        let in_flight = &self.load.in_flight;
        let mut free: Option<Place> = None;
        loop {
            let taken = free.is_some()
                || in_flight
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
                        self.has_room(count).then_some(count + 1)
                    })
                    .is_ok();
            if !taken {
                return;
            }
            let place =
                free.take().unwrap_or_else(|| Place { crowd: Arc::clone(self), done: false });
            let next = hall.turns.go();
            self.tell_queued(hall);
            // With nobody left in line, giving a place back asks for no lock.
            let Some(next) = next else { return };
            // Who does not wait any more gives it back.
            free = next.send(place).err();
        }
    }

    fn left(self: &Arc<Self>, done: bool) {
        let before = self.load.in_flight.fetch_sub(1, Ordering::SeqCst);
        if done {
            let window = self.window.fetch_add(ONE | before, Ordering::Relaxed);
            if (window / ONE + 1).is_multiple_of(LOOK)
                && let Ok(mut hall) = self.hall.try_lock()
            {
                self.look(&mut hall);
            }
        }
        if self.load.queued.load(Ordering::SeqCst) > 0 {
            self.hand_out(&mut self.hall());
        }
    }

    fn look(&self, hall: &mut Hall) {
        let now = self.clock.monotonic_micros();
        let window = self.window.load(Ordering::Relaxed);
        let seen = Seen {
            done: window / ONE,
            in_flight_sum: window % ONE,
            micros: now.saturating_sub(hall.since),
            waited: hall.waited,
        };
        if let Some(pace) = &mut hall.pace {
            if !pace.look(seen) {
                return;
            }
            self.load.limit.store(pace.limit(), Ordering::Relaxed);
        }
        // What is done between the two is not counted.
        self.window.store(0, Ordering::Relaxed);
        hall.since = now;
        hall.waited = !hall.turns.is_empty();
    }
}

fn pace(sharing: &Sharing) -> Option<Pace> {
    let Bounds { min, max } = sharing.bounds;
    (sharing.adaptive && min < max).then(|| Pace::new(sharing.bounds))
}

/// Whose turn a call is: the principal's, and among those who show no credential the session's.
fn sharer(headers: &HeaderMap) -> Principal {
    match headers.get(SESSION) {
        Some(session) if !headers.contains_key(AUTHORIZATION) => {
            Principal::new(Digest::of(session.as_bytes()).to_string())
        }
        _ => principal(headers),
    }
}

/// When those who wait now will have been served, where that can be told.
fn retry_after_ms(hall: &Hall) -> u64 {
    let rate = hall.pace.as_ref().and_then(Pace::rate);
    let wait = rate.map_or(1_000.0, |rate| (hall.turns.len() + 1) as f64 / rate * 1_000.0);
    wait.clamp(100.0, 30_000.0) as u64
}

impl Turned {
    /// Counts it, and says why.
    fn told(&self, lane: &Lane) -> Refusal {
        lane.gate().load.shed(self.shed);
        lane.doors().metrics.limit(Limit::Queue);
        let why = match self.shed {
            Shed::Queue => "as many calls as may wait for this peer",
            Shed::PrincipalQueue => "as many calls of this caller as may wait for this peer",
            _ => "it waited its time for this peer, which works at as many calls as it can",
        };
        let ms = self.retry_after_ms;
        Refusal::Overloaded(format!("no room: {why}; try again in {ms} ms"))
    }
}

/// A place for a call under contract, for one attempt. `ran`: whether an attempt before may have run it.
pub(super) async fn call(call: &mut Call, ran: Executed) -> Result<(), Refused> {
    // The one of an attempt before is given back first.
    call.place = None;
    let crowd = &call.lane.gate().crowd;
    if let Some(place) = crowd.at_once() {
        call.place = Some(place);
        return Ok(());
    }
    let began = call.lane.micros();
    let came = Box::pin(crowd.wait(&call.headers)).await;
    call.times.others += call.lane.micros().saturating_sub(began);
    match came {
        Ok(place) => {
            call.place = Some(place);
            Ok(())
        }
        Err(turned) => {
            call.lane.gate().metrics.exchange(Verdict::Refused);
            let why = turned.told(&call.lane);
            Err(call.refused(why, ran).after(turned.retry_after_ms))
        }
    }
}

/// A place for a request that is nobody's business but the peer's.
pub(super) async fn place(lane: &Lane, headers: &HeaderMap) -> Result<Place, Box<Refused>> {
    lane.gate().crowd.enter(headers).await.map_err(|turned| {
        let refused = report::refused(lane, turned.told(lane), Executed::No);
        Box::new(refused.after(turned.retry_after_ms))
    })
}
