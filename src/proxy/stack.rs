//! The order of the steps, and nothing else.
//!
//! ```text
//!   route ─► read ─► bind ─┬─ call: ready ─► mirrored ─► mend ─► ask ─► judge ─► decide ─► release
//!                          ├─ list, initialize
//!                          └─ everything else: relay
//! ```

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::admit::{self, Arrival, Exchange};
use super::ask::{self, Failed, Raw, answered, passed, rejects};
use super::bind::{self, Bound, InForce};
use super::call::Call;
use super::crowd;
use super::degrade::{self, Outcome, refuse, refuse_for};
use super::events::{Events, Stopped};
use super::failing::surviving;
use super::gateway::Proxy;
use super::judge::{Fetched, Finding, Judged, judge};
use super::listing;
use super::mend;
use super::opening;
use super::quota;
use super::relay;
use super::release;
use super::report;
use super::resilience;
use super::rounds;
use super::traced;
use crate::domain::message::{Era, Executed, Verdict};
use crate::live::ObservationKind;
use crate::telemetry::names;
use crate::wire::protocol::mcp::{
    Envelope, Method, Posted, Refusal, Refused, Shape, with_result_of,
};
use crate::wire::transport::body::{Body, BodySender};
use crate::wire::transport::sse::{Event, encode, replace_data};

/// One exchange, to the head of its answer.
pub(super) async fn exchange(proxy: Proxy, request: Request<Body>) -> Response<Body> {
    let Some(arrival) = admit::route(&proxy, request) else {
        return release::plain(StatusCode::NOT_FOUND, "no peer has this name\n");
    };
    let seen = bind::now(&arrival.lane);
    let watched = seen.sealed() || arrival.lane.peer().seal_on_first_use;
    if !arrival.speaks_mcp() || !watched {
        return match quota::unread_excess(&arrival) {
            None => relay::stream(arrival).await,
            Some(refused) => release::unread(&refused),
        };
    }
    // Boxed, because what streams through should not carry the room that a call takes.
    Box::pin(message(arrival, seen)).await
}

/// A POST that is read, because something may be promised.
async fn message(arrival: Arrival, seen: InForce) -> Response<Body> {
    match arrival.read().await {
        Ok((exchange, Posted::One(envelope))) => match quota::excess(&exchange, &envelope) {
            None => one(exchange, envelope, seen).await,
            Some(refused) => release::refusal(&refused, envelope.id(), envelope.era),
        },
        Ok((exchange, Posted::Batch(all))) => batch(exchange, &all, &seen).await,
        Err(refused) => release::refusal(&refused, None, Era::Modern),
    }
}

/// One message, by what it asks for.
async fn one(exchange: Exchange, envelope: Envelope, seen: InForce) -> Response<Body> {
    match (envelope.shape, envelope.method) {
        (Shape::Request, Method::ToolsCall) => {
            let span = traced::started(&exchange, &envelope);
            let received = span.as_ref().map(|span| span.child(names::RECEIVE));
            let seen = bind::first_use(&exchange, &envelope, seen).await;
            drop(received);
            match seen.tool(envelope.name.as_deref()) {
                Bound::Tool(bond) => {
                    let call = Call::new(exchange, envelope, bond, span);
                    called(call).await
                }
                Bound::Hidden => {
                    exchange.lane.gate().metrics.exchange(Verdict::Refused);
                    let name = envelope.name.as_deref().unwrap_or_default().to_owned();
                    let why = Refusal::UnknownTool(name);
                    let refused = report::refused(&exchange.lane, why, Executed::No);
                    release::refusal(&refused, envelope.id(), envelope.era)
                }
                Bound::Free => {
                    exchange.lane.gate().metrics.exchange(Verdict::Passed);
                    relay::message(exchange, Some(&envelope), false).await
                }
            }
        }
        (Shape::Request, Method::TasksResult | Method::TasksGet) => {
            match rounds::promised(&exchange, &envelope) {
                Some(bond) => called(Call::fetching(exchange, envelope, bond)).await,
                None => relay::message(exchange, Some(&envelope), true).await,
            }
        }
        (Shape::Request, Method::ToolsList) => {
            let seen = bind::first_use(&exchange, &envelope, seen).await;
            listing::list(exchange, &envelope, &seen).await
        }
        (Shape::Request, Method::Initialize) => opening::initialize(exchange, &envelope).await,
        _ => relay::message(exchange, Some(&envelope), true).await,
    }
}

/// A batch (2025-03-26) passes, unless an element of it is the contract's business: nothing gets by
/// inside an array.
async fn batch(exchange: Exchange, all: &[Envelope], seen: &InForce) -> Response<Body> {
    let lists = seen.binding.as_ref().is_some_and(|binding| binding.promised_list.is_some());
    let concerned = all.iter().any(|envelope| match envelope.method {
        Method::ToolsCall => !matches!(seen.tool(envelope.name.as_deref()), Bound::Free),
        Method::ToolsList => lists,
        Method::TasksResult | Method::TasksGet => envelope.task.is_some(),
        Method::Initialize | Method::Discover | Method::Listen | Method::Other => false,
    });
    if concerned {
        let why = "a batch may not hold requests under contract; send them one by one".to_owned();
        let why = Refusal::NotAMessage(why);
        let refused = report::refused(&exchange.lane, why, Executed::No);
        return release::refusal(&refused, None, Era::Legacy);
    }
    match quota::batch_excess(&exchange, all) {
        None => relay::message(exchange, None, false).await,
        Some(refused) => release::unread(&refused),
    }
}

/// A call under contract, to its end.
async fn called(mut call: Call) -> Response<Body> {
    loop {
        let (head, text, permit) = match attempt(&mut call).await {
            Ok(Raw::Whole { head, text, permit }) => (head, text, permit),
            Ok(Raw::Stream { head, events }) => {
                let (sender, body) = Body::channel(1);
                tokio::spawn(streamed(call, events, sender));
                return Response::from_parts(head, body);
            }
            Ok(Raw::Http(response)) => return response,
            Ok(Raw::Stale(text)) => return release::own(text),
            Err(refused) => return release::refusal(&refused, Some(call.id()), call.envelope.era),
        };
        match settled(&mut call, &text, Some(head.status)).await {
            Outcome::AsCame => return release::kept(head, text, permit),
            Outcome::Altered(text) => return release::altered(head, text, permit),
            Outcome::Refused(refused) => {
                return release::refused_reply(head, withheld(&call, &text, &refused));
            }
            Outcome::Again => {}
        }
    }
}

/// One attempt under one generation.
async fn attempt(call: &mut Call) -> Result<Raw, Refused> {
    if call.fetched.is_some() {
        crowd::call(call, Executed::Yes).await?;
        let outgoing = mend::as_it_came(call);
        return ask::ask(call, &outgoing).await.map_err(|failed| refuse_for(call, failed));
    }
    degrade::ready(call).await?;
    rounds::rejoin(call);
    let step = call.step(names::TRANSFORM_MCP);
    let ready =
        mend::sized(call).and_then(|()| mend::mirrored(call)).and_then(|()| mend::request(call));
    drop(step);
    let outgoing = ready.map_err(|why| refuse(call, why, Executed::No, Vec::new()))?;
    resilience::ask(call, outgoing).await
}

/// Judges a message and decides what leaves. `status` is that of a body of its own.
async fn settled(call: &mut Call, text: &Bytes, status: Option<StatusCode>) -> Outcome {
    let mut judged = judged(call, text).await;
    resilience::ended(call, judged.fault);
    if let Some(status) = status {
        if rejects(status) && !matches!(judged.finding, Finding::Rejected(_)) {
            passed(call, status);
            return Outcome::AsCame;
        }
        if let Finding::Interim { .. } = judged.finding {
            let why = "the body holds a message that is no reply".to_owned();
            judged.finding = Finding::Malformed(why);
        }
    }
    degrade::decide(call, text, judged).await
}

/// Large replies are judged where they hold up nobody.
async fn judged(call: &Call, text: &Bytes) -> Judged {
    let _step = call.step(names::VALIDATE);
    let settings = call.lane.settings();
    let judged = if text.len() <= settings.offload_bytes {
        surviving(|| judge(&call.bond, call.id(), text, call.manner()))
    } else {
        let (bond, id, text) = (call.bond.clone(), call.id().to_owned(), text.clone());
        let manner = call.manner();
        let judging = move || surviving(|| judge(&bond, &id, &text, manner));
        let judged = tokio::task::spawn_blocking(judging).await;
        let failed = |_| Judged::plain(Finding::Undecided("its judge was not run".into()));
        judged.unwrap_or_else(failed)
    };
    if let Some(state) = &judged.next_round {
        rounds::remember(call, state);
    }
    if let Some(task) = &judged.task {
        rounds::begun(call, task);
    }
    judged
}

/// A call whose answer comes as an event stream. Ends when the agent leaves, and the peer's stream
/// with it.
async fn streamed(call: Call, events: Events, sender: BodySender) {
    tokio::select! {
        () = relayed(call, events, &sender) => {}
        () = sender.closed() => {}
    }
}

async fn relayed(mut call: Call, mut events: Events, sender: &BodySender) {
    let mut done = false;
    loop {
        let next = tokio::select! {
            next = resilience::next(&call, &mut events) => next,
            () = call.lane.gateway().cutting.cancelled() => Err(Stopped::Leaving),
        };
        let event = match next {
            Ok(event) => event,
            Err(_) if done => return,
            Err(stopped) => return unanswered(&mut call, &events, &stopped, sender).await,
        };
        let Some(data) = &event.data else {
            if sender.send(event.raw).await.is_err() {
                return;
            }
            continue;
        };
        if data.is_empty() {
            // A priming event.
            if sender.send(event.raw).await.is_err() {
                return;
            }
            continue;
        }
        let bytes = match frame(&mut call, &event, data, &mut done).await {
            Frame::Send(bytes) => bytes,
            Frame::Drop => continue,
            Frame::Again => match again(&mut call, &event).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(next)) => {
                    (events, done) = (next, false);
                    continue;
                }
                Err(()) => return,
            },
        };
        if sender.send(bytes).await.is_err() {
            return;
        }
    }
}

/// What becomes of one event.
enum Frame {
    Send(Bytes),
    Drop,
    Again,
}

async fn frame(call: &mut Call, event: &Event, data: &Bytes, done: &mut bool) -> Frame {
    let judged = judged(call, data).await;
    if let Finding::Interim { list_changed } = judged.finding {
        if list_changed {
            report::ordinary(&call.lane, call.bond.generation, ObservationKind::ListChanged);
        }
        return Frame::Send(event.raw.clone());
    }
    if *done {
        // A second reply to one request: the first one counts.
        return Frame::Drop;
    }
    *done = true;
    answered(call);
    resilience::ended(call, judged.fault);
    match degrade::decide(call, data, judged).await {
        Outcome::AsCame => Frame::Send(event.raw.clone()),
        Outcome::Altered(text) => Frame::Send(replace_data(event, &text)),
        Outcome::Refused(refused) => {
            Frame::Send(replace_data(event, &withheld(call, data, &refused)))
        }
        Outcome::Again => Frame::Again,
    }
}

/// Asks once more in the middle of a stream: bytes to send, or the stream that goes on.
async fn again(call: &mut Call, event: &Event) -> Result<Result<Bytes, Events>, ()> {
    let text = match attempt(call).await {
        Ok(Raw::Stream { events, .. }) => return Ok(Err(events)),
        Ok(Raw::Whole { head, text, .. }) => match settled(call, &text, Some(head.status)).await {
            Outcome::AsCame => text,
            Outcome::Altered(text) => text,
            Outcome::Refused(refused) => return Ok(Ok(refusal_event(call, event, &refused))),
            // A call is repeated once.
            Outcome::Again => return Err(()),
        },
        Ok(Raw::Stale(text)) => text,
        Ok(Raw::Http(response)) => {
            let why = Refusal::Unreachable(format!("it answered HTTP {}", response.status()));
            let refused = call.refused(why, Executed::Unknown);
            return Ok(Ok(refusal_event(call, event, &refused)));
        }
        Err(refused) => return Ok(Ok(refusal_event(call, event, &refused))),
    };
    Ok(Ok(replace_data(event, &text)))
}

/// What is told in the place of a reply that came: the whole message, or what stands in its task.
fn withheld(call: &Call, text: &Bytes, refused: &Refused) -> Vec<u8> {
    let body = refused.body(Some(call.id()), call.envelope.era);
    if call.fetched != Some(Fetched::Inside) {
        return body;
    }
    with_result_of(text, &body, call.lane.settings().document).unwrap_or(body)
}

fn refusal_event(call: &Call, event: &Event, refused: &Refused) -> Bytes {
    replace_data(event, &refused.body(Some(call.id()), call.envelope.era))
}

/// A stream that stopped before its reply. Some clients wait for ever on one, so it ends with an
/// error; one that its reader can resume ends as it did.
async fn unanswered(call: &mut Call, events: &Events, stopped: &Stopped, sender: &BodySender) {
    let ends = matches!(stopped, Stopped::Ended | Stopped::Broken | Stopped::Leaving);
    let resumed = events.resumable && ends;
    if resumed {
        return resilience::ended(call, None);
    }
    let (why, fault) = resilience::stopped(call, stopped);
    answered(call);
    resilience::ended(call, fault);
    let refused = refuse_for(call, Failed { why, executed: Executed::Unknown, fault });
    let body = refused.body(Some(call.id()), call.envelope.era);
    // Whether the agent still reads it changes nothing.
    let _ = sender.send(encode(Some("message"), None, None, &body)).await;
}
