//! Whatever the gate lets through, seen by running it: each target is filled once, each source is used
//! once, a value goes to its own place and no other, and every constant is one that a schema dictates.
//!
//! The surfaces are made, so it is known which argument became which. The routines are the true
//! mapping with mistakes and malice put into it. What the gate calls automatic is run on values that
//! are each unlike all others, and looked at from outside.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use stipula::domain::contract::Surface;
use stipula::domain::json::{Limits, Tape};
use stipula::domain::negotiation::{
    Answer, Decision, GateEvidence, Proposal, ReplayResult, assess_candidate,
};
use stipula::domain::routine::CompiledRoutine;

const CASES: u64 = 400;

/// Subjects and aspects that names are made of.
const SUBJECTS: &[&str] =
    &["city", "invoice", "carrier", "passport", "channel", "vessel", "tariff"];
const ASPECTS: &[&str] = &["colour", "title", "grade", "owner", "reason", "note", "url", "email"];

/// What one field is called before and after; the same thing on both sides.
#[derive(Clone, Debug)]
struct Pair {
    old: Option<String>,
    new: Option<String>,
    old_schema: Value,
    new_schema: Value,
}

struct World {
    pairs: Vec<Pair>,
    replies: Vec<Pair>,
    reads: bool,
}

fn camel(snake: &str) -> String {
    let mut parts = snake.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| format!("{name}{}{}", part[..1].to_uppercase(), &part[1..]))
}

/// Names of two words, each unlike all others.
fn names(random: &mut StdRng, count: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    while all.len() < count {
        let name =
            format!("{}_{}", SUBJECTS.choose(random).unwrap(), ASPECTS.choose(random).unwrap());
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn pairs(random: &mut StdRng, old: usize, added: usize) -> Vec<Pair> {
    let names = names(random, old * 2 + added);
    let mut pairs = Vec::new();
    for (at, name) in names.iter().take(old).enumerate() {
        let mut schema = json!({ "type": "string" });
        if random.random_bool(0.5) {
            schema["description"] =
                json!(format!("The {} of the {at}th order.", name.replace('_', " ")));
        }
        let new = match random.random_range(0..20) {
            0..8 => Some(name.clone()),
            8..17 => Some(camel(name)),
            17..19 => Some(names[old + at].clone()),
            _ => None,
        };
        let (old_schema, new_schema) = (schema.clone(), schema);
        pairs.push(Pair { old: Some(name.clone()), new, old_schema, new_schema });
    }
    for name in names.iter().skip(old * 2) {
        let new_schema = match random.random_range(0..4) {
            0 => json!({ "type": "string", "default": "plain" }),
            1 => json!({ "type": "string", "enum": ["only"] }),
            _ => json!({ "type": "string" }),
        };
        let old_schema = json!({});
        pairs.push(Pair { old: None, new: Some(name.clone()), old_schema, new_schema });
    }
    pairs
}

impl World {
    fn made(random: &mut StdRng) -> Self {
        let pairs = pairs(random, 3, 2);
        let replies = self::pairs(random, 2, 1);
        Self { pairs, replies, reads: random.random_bool(0.6) }
    }

    fn surface(&self, after: bool) -> Surface {
        let face = |pairs: &[Pair]| {
            let named = pairs.iter().filter_map(|pair| {
                let (name, schema) = if after {
                    (&pair.new, &pair.new_schema)
                } else {
                    (&pair.old, &pair.old_schema)
                };
                name.clone().map(|name| (name, schema.clone()))
            });
            let properties: Map<String, Value> = named.collect();
            json!({ "type": "object", "properties": properties })
        };
        let name = if self.reads { "get_order" } else { "create_order" };
        let tool = json!({
            "name": name,
            "inputSchema": face(&self.pairs),
            "outputSchema": face(&self.replies),
            "annotations": { "readOnlyHint": self.reads },
        });
        Surface::from_json(&json!([tool])).unwrap()
    }

    fn tool(&self) -> &'static str {
        if self.reads { "get_order" } else { "create_order" }
    }

    /// The true mapping: requests from old to new, replies from new to old.
    fn routine(&self) -> (Vec<Value>, Vec<Value>) {
        let moved = |from: &str, to: &str| json!({ "op": "move", "from": format!("/{from}"), "to": format!("/{to}"), "optional": true });
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for pair in &self.pairs {
            match (&pair.old, &pair.new) {
                (Some(old), Some(new)) if old != new => request.push(moved(old, new)),
                (Some(old), None) => request.push(json!({
                    "op": "refuse_if", "at": format!("/{old}"), "reason": "no longer taken" })),
                _ => {}
            }
        }
        for pair in &self.replies {
            if let (Some(old), Some(new)) = (&pair.old, &pair.new)
                && old != new
            {
                reply.push(moved(new, old));
            }
        }
        (request, reply)
    }
}

fn places(pairs: &[Pair]) -> Vec<String> {
    let both = pairs.iter().flat_map(|pair| [pair.old.clone(), pair.new.clone()]);
    both.flatten().map(|name| format!("/{name}")).collect()
}

/// One operation that has nothing to do with the truth.
fn malice(random: &mut StdRng, places: &[String]) -> Value {
    let (from, to) = (places.choose(random).unwrap(), places.choose(random).unwrap());
    let value = ["plain", "only", "x", ""].choose(random).unwrap();
    match random.random_range(0..13) {
        0 | 1 => json!({ "op": "move", "from": from, "to": to, "optional": true }),
        2 | 3 => json!({ "op": "copy", "from": from, "to": to, "optional": true }),
        4 => json!({ "op": "set", "at": to, "value": value }),
        5 => json!({ "op": "default", "at": to, "value": value }),
        6 => json!({ "op": "remove", "at": from }),
        7 => json!({ "op": "template", "text": format!("{{{from}}}"), "to": to }),
        8 => json!({ "op": "extract", "from": from, "to": to, "pattern": "(.*)" }),
        9 => json!({ "op": "join", "from": [from], "separator": "", "to": to }),
        10 => json!({ "op": "remove_if", "at": from, "one_of": [value] }),
        11 => json!({ "op": "map", "at": from, "table": [{ "from": "a", "to": value }] }),
        _ => json!({ "op": "cases", "at": from, "when": [{ "is": [value], "ops": [
            { "op": "copy", "from": from, "to": to, "optional": true }] }], "else": [] }),
    }
}

/// Puts mistakes and malice into a list of operations.
fn spoiled(random: &mut StdRng, ops: &mut Vec<Value>, places: &[String]) {
    for _ in 0..*[0, 0, 1, 1, 2].choose(random).unwrap() {
        match random.random_range(0..4) {
            0 if !ops.is_empty() => {
                let at = random.random_range(0..ops.len());
                ops.remove(at);
            }
            1 if ops.len() > 1 => {
                // Two moves change their targets.
                let (one, two) = (ops[0]["to"].clone(), ops[1]["to"].clone());
                if one.is_string() && two.is_string() {
                    ops[0]["to"] = two;
                    ops[1]["to"] = one;
                }
            }
            2 => ops.insert(random.random_range(0..=ops.len()), malice(random, places)),
            _ => ops.push(malice(random, places)),
        }
    }
}

/// A document with a value of its own for each of these names.
fn marked(names: impl Iterator<Item = String>) -> Map<String, Value> {
    names.enumerate().map(|(at, name)| (name, json!(format!("value-{at}-of-its-own")))).collect()
}

fn run(
    routine: &CompiledRoutine,
    document: &Map<String, Value>,
    reply: bool,
) -> Option<Map<String, Value>> {
    let text = Value::Object(document.clone()).to_string();
    let mut tape = Tape::default();
    let read = tape.read(text.as_bytes(), Limits::default()).unwrap();
    let mut out = Vec::new();
    if reply {
        routine.reply(read.root(), &mut out).ok()?;
    } else {
        routine.request(Some(read.root()), &mut out).ok()?;
    }
    serde_json::from_slice(&out).ok()
}

/// Where a request may go by the truth; `None` where it must be refused.
fn truth(world: &World, given: &Map<String, Value>) -> Option<BTreeMap<String, Value>> {
    given
        .iter()
        .map(|(name, value)| {
            let pair = world.pairs.iter().find(|pair| pair.old.as_ref() == Some(name))?;
            Some((pair.new.clone()?, value.clone()))
        })
        .collect()
}

/// What an honest peer shows when a request with some arguments is asked again.
fn replayed(random: &mut StdRng, world: &World, routine: &CompiledRoutine) -> GateEvidence {
    let mut evidence = GateEvidence::for_same_peer();
    if !world.reads || random.random_bool(0.6) {
        return evidence;
    }
    let all = marked(world.pairs.iter().filter_map(|pair| pair.old.clone()));
    let given: Map<String, Value> = all.into_iter().filter(|_| random.random_bool(0.5)).collect();
    let offered = marked(world.replies.iter().filter_map(|pair| pair.new.clone()));
    let asked = run(routine, &given, false);
    let right = asked.is_some_and(|asked| {
        let extra_is_default = |name: &String, value: &Value| {
            let pair = world.pairs.iter().find(|pair| pair.new.as_ref() == Some(name));
            pair.is_some_and(|pair| pair.new_schema.get("default") == Some(value))
        };
        truth(world, &given).is_some_and(|truth| {
            truth.iter().all(|(name, value)| asked.get(name) == Some(value))
                && asked
                    .iter()
                    .all(|(name, value)| truth.contains_key(name) || extra_is_default(name, value))
        })
    });
    let mended = run(routine, &offered, true).unwrap_or_default();
    let mut replay = ReplayResult { compared: 2, ..ReplayResult::default() };
    for pair in &world.replies {
        let Some(old) = &pair.old else { continue };
        let recorded = pair.new.as_ref().and_then(|new| offered.get(new));
        let same = right && recorded.is_some() && mended.get(old) == recorded;
        let list = if same { &mut replay.equal } else { &mut replay.different };
        list.push(format!("/{old}"));
    }
    evidence.replayed_arguments = given.keys().map(|name| format!("/{name}")).collect();
    evidence.recordings_agree = true;
    evidence.replay_samples_ok = 2;
    evidence.replay = Some(replay);
    evidence
}

/// Looks at a request that went through: nothing lost, nothing twice, nothing elsewhere.
fn look_at_request(world: &World, given: &Map<String, Value>, sent: &Map<String, Value>) {
    let truth = truth(world, given).expect("what has no place is refused");
    for (name, value) in &truth {
        assert_eq!(sent.get(name), Some(value), "{name} does not hold its own value");
    }
    for (name, value) in sent {
        if truth.contains_key(name) {
            continue;
        }
        assert!(!given.values().any(|it| it == value), "{name} holds another's value {value}");
        let pair = world.pairs.iter().find(|pair| pair.new.as_ref() == Some(name));
        let schema = &pair.unwrap_or_else(|| panic!("{name} is not offered")).new_schema;
        let dictated = schema.get("default") == Some(value) || schema["enum"] == json!([value]);
        assert!(dictated, "no schema dictates {value} at {name}");
    }
}

/// Looks at a reply that went through: what stands in a promised place is what stood there before.
fn look_at_reply(world: &World, offered: &Map<String, Value>, mended: &Map<String, Value>) {
    for (name, value) in mended {
        let promised = world.replies.iter().find(|pair| pair.old.as_ref() == Some(name));
        match promised {
            Some(pair) => {
                let own = pair.new.as_ref().and_then(|new| offered.get(new));
                assert_eq!(Some(value), own, "{name} of the reply holds another's value");
            }
            // What nobody promised may pass as it came.
            None => assert_eq!(offered.get(name), Some(value), "{name} of the reply is made up"),
        }
    }
}

fn automatic(seed: u64) -> Option<(World, CompiledRoutine, Proposal)> {
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::made(&mut random);
    let (mut request, mut reply) = world.routine();
    spoiled(&mut random, &mut request, &places(&world.pairs));
    spoiled(&mut random, &mut reply, &places(&world.replies));
    let answer = json!({ "request": request, "reply": reply });
    let candidate = Answer::parse(world.tool(), &answer).ok()?;
    let routine = CompiledRoutine::compile(world.tool(), &candidate.routine).ok()?;
    let evidence = replayed(&mut random, &world, &routine);
    let (promise, offer) = (world.surface(false), world.surface(true));
    let proposal = assess_candidate(&promise, &offer, &candidate, &evidence);
    (proposal.gate == Decision::Auto).then_some((world, routine, proposal))
}

#[test]
fn whatever_goes_live_by_itself_carries_each_value_to_its_own_place() {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let passed: usize = std::thread::scope(|scope| {
        let at_work: Vec<_> = (0..threads)
            .map(|part| {
                scope.spawn(move || {
                    (part..CASES).step_by(threads as usize).filter(|seed| holds(*seed)).count()
                })
            })
            .collect();
        at_work.into_iter().map(|part| part.join().expect("the seed stands above")).sum()
    });
    println!("{passed} of {CASES} went live by themselves");
    assert!(passed as u64 * 40 >= CASES, "only {passed} of {CASES}: that shows little");
}

/// Whether a case went live; what went live is held to the truth.
fn holds(seed: u64) -> bool {
    let Some((world, routine, proposal)) = automatic(seed) else { return false };
    let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let all = marked(world.pairs.iter().filter_map(|pair| pair.old.clone()));
        // All arguments, none, and each alone.
        let mut documents = vec![all.clone(), Map::new()];
        documents.extend(
            all.iter().map(|(name, value)| [(name.clone(), value.clone())].into_iter().collect()),
        );
        for given in &documents {
            if let Some(sent) = run(&routine, given, false) {
                look_at_request(&world, given, &sent);
            }
        }
        let offered = marked(world.replies.iter().filter_map(|pair| pair.new.clone()));
        if let Some(mended) = run(&routine, &offered, true) {
            look_at_reply(&world, &offered, &mended);
        }
    }));
    assert!(looked.is_ok(), "seed {seed} went live and should not: {}", json!(proposal));
    true
}
