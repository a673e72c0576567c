//! Peers as they are in the world: what they answer grows, comes in waves, and hangs together within a
//! session. No two runs are the same, and each is made again by its seed.

use serde_json::{Value, json};

use super::dice::{Dice, own};
use crate::domain::message::UnixMillis;

/// 2026-01-05T06:00:00Z, a Monday.
const START: u64 = 1_767_592_800_000;
const HOUR: f64 = 3_600_000.0;

/// What a peer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum World {
    /// Searches for flights.
    Flights,
    /// One invoice at a time.
    Invoices,
    /// Forecasts by city.
    Weather,
    /// Lists of an issue tracker.
    Issues,
    /// Stock of a shop's warehouse.
    Inventory,
    /// Readings of a machine's sensors.
    Telemetry,
    /// Transactions of an account, as a bank writes them.
    Payments,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Flights,
        Self::Invoices,
        Self::Weather,
        Self::Issues,
        Self::Inventory,
        Self::Telemetry,
        Self::Payments,
    ];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flights => "flights",
            Self::Invoices => "invoices",
            Self::Weather => "weather",
            Self::Issues => "issue tracker",
            Self::Inventory => "inventory",
            Self::Telemetry => "telemetry",
            Self::Payments => "payments",
        }
    }
}

/// A peer at work and the agents that call it.
#[derive(Clone, Debug)]
pub struct Peer {
    world: World,
    dice: Dice,
    at: f64,
    /// Usual milliseconds between two calls.
    pace: f64,
    calls: u64,
    /// What the agents are about just now, and for how many calls more.
    focus: usize,
    left: usize,
}

impl Peer {
    /// A peer that is called every so many milliseconds, on average.
    #[must_use]
    pub fn new(world: World, seed: u64, pace: f64) -> Self {
        Self { world, dice: Dice::new(seed), at: START as f64, pace, calls: 0, focus: 0, left: 0 }
    }

    /// The next call: when, its arguments, and what it is answered.
    pub fn next_call(&mut self) -> (UnixMillis, Value, Value) {
        self.calls += 1;
        // Many calls by day, few by night.
        let busy = 1.0 + 0.8 * self.wave(15.0);
        self.at += -self.pace / busy * self.dice.even().max(1e-9).ln();
        if self.left == 0 {
            self.focus = self.dice.below(1_000);
            self.left = 5 + self.dice.below(40);
        }
        self.left -= 1;
        let (arguments, mut reply) = match self.world {
            World::Flights => self.flights(),
            World::Invoices => self.invoice(),
            World::Weather => self.weather(),
            World::Issues => self.issues(),
            World::Inventory => self.stock(),
            World::Telemetry => self.readings(),
            World::Payments => self.transactions(),
        };
        reply["about"] = self.about();
        (UnixMillis(self.at as u64), arguments, reply)
    }

    /// What lasts and moves on in steps, with every reply: a counter, a release, a state.
    fn about(&self) -> Value {
        let state = if self.calls % 1_500 < 1_400 { "healthy" } else { "degraded" };
        json!({
            "revision": 3 + self.calls / 80,
            "release": format!("4.2.{}", self.calls / 700),
            "state": state,
        })
    }

    /// Between -1 and 1 through the day, highest at this hour.
    fn wave(&self, hour: f64) -> f64 {
        let of_day = (self.at / HOUR).rem_euclid(24.0);
        ((of_day - hour) / 24.0 * std::f64::consts::TAU).cos()
    }

    /// A thing among so many: mostly one near the focus.
    fn thing(&mut self, among: usize) -> usize {
        if self.dice.is(0.6) {
            (self.focus * 7 + self.dice.below(12)) % among
        } else {
            self.dice.below(among)
        }
    }

    fn flights(&mut self) -> (Value, Value) {
        const PLACES: [&str; 14] = [
            "AMS", "LHR", "CDG", "FRA", "MAD", "LIS", "OSL", "ARN", "VIE", "ZRH", "ATH", "IST",
            "JFK", "DXB",
        ];
        let from = self.thing(PLACES.len());
        let to = (from + 1 + self.dice.below(PLACES.len() - 1)) % PLACES.len();
        let ahead = (1.0 + 60.0 * self.dice.even().powi(2)).floor();
        let day = (self.at / 24.0 / HOUR).floor() + ahead;
        let route = from * PLACES.len() + to;
        let distance = 300.0 + 3_000.0 * own(route.min(to * PLACES.len() + from), 1);
        let count = 2 + self.dice.below(4);
        let items: Vec<Value> = (0..count)
            .map(|at| {
                let number = 100 + (route * 9 + at) % 900;
                let hour = 6.0 + 15.0 * own(number, 3) + 0.25 * (at as f64);
                let leaves = (day * 24.0 + hour) * HOUR;
                let takes = (distance / 750.0 + 0.6) * HOUR;
                let near = 1.0 + 0.5 * (-ahead / 10.0).exp();
                let price = (40.0 + distance * 0.09) * near * (0.2 * self.dice.normal()).exp();
                json!({
                    "number": format!("KL{number}"),
                    "price": (price * 100.0).round() / 100.0,
                    "currency": "EUR",
                    "departure": moment(leaves, "Z"),
                    "arrival": moment(leaves + takes, "Z"),
                    "duration_minutes": (takes / 60_000.0).round(),
                    "distance_km": distance.round(),
                    "seats_left": self.dice.below(9) + 1,
                    "cabin": *self.dice.weighted(&[("economy", 0.8), ("business", 0.2)]).unwrap_or(&""),
                })
            })
            .collect();
        let arguments = json!({ "from": PLACES[from], "to": PLACES[to], "days_ahead": ahead });
        (arguments, json!({ "currency": "EUR", "offers": items }))
    }

    fn invoice(&mut self) -> (Value, Value) {
        let newest = 20_000 + (self.calls / 3) as usize;
        let number = if self.dice.is(0.7) {
            newest - self.dice.below(400)
        } else {
            newest - 2_000 - self.thing(4_000)
        };
        let net = (60.0 * (1.1 * (own(number, 1) * 4.0 - 2.0)).exp() * 100.0).round() / 100.0;
        let tax = if own(number, 2) < 0.8 { 0.19 } else { 0.07 };
        let age = (newest - number) as f64;
        let issued = START as f64 + (number as f64 - 20_000.0) * 3.0 * self.pace;
        let status = if age > 200.0 {
            3
        } else if age > 60.0 {
            2
        } else {
            1 + usize::from(own(number, 4) < 0.5)
        };
        let status = if own(number, 5) < 0.05 { 4 } else { status };
        let total = (net * (1.0 + tax) * 100.0).round() / 100.0;
        let balance = if status == 3 { 0.0 } else { total };
        let lines = 1 + (own(number, 6) * 6.0) as usize;
        (
            json!({ "invoice": number }),
            json!({
                "id": number,
                "net": net,
                "tax_rate": tax,
                "total": total,
                "balance_due": balance,
                "currency": if own(number, 7) < 0.85 { "EUR" } else { "USD" },
                "status": status,
                "issued": moment(issued, "+01:00"),
                "due": moment(issued + 14.0 * 24.0 * HOUR, "+01:00"),
                "customer": { "id": number % 700, "name": name(number % 700) },
                "note": if own(number, 8) < 0.6 { sentence(number, 9) } else { String::new() },
                "lines": (0..lines).map(|line| json!({
                    "quantity": 1 + (own(number, 20 + line as u64) * 9.0) as u64,
                    "unit_price": (net / lines as f64 * 100.0).round() / 100.0,
                })).collect::<Vec<_>>(),
            }),
        )
    }

    fn weather(&mut self) -> (Value, Value) {
        let city = self.thing(60);
        let season =
            -4.0 * ((self.at - START as f64) / 24.0 / HOUR / 365.0 * std::f64::consts::TAU).cos();
        let warm = 11.0 + 9.0 * own(city, 1) + season + 4.5 * self.wave(15.0);
        let today = (self.at / 24.0 / HOUR).floor() as usize;
        let air = 4.0 * (own(city * 991 + today, 2) - 0.5);
        let now = warm + air + 0.4 * self.dice.normal();
        let pressure = 1_013.0 + 14.0 * (own(city * 991 + today, 3) - 0.5);
        let rain = (own(city * 37 + today, 4) * 1.6 - 0.8).max(0.0);
        let code = if rain > 0.4 {
            61
        } else if rain > 0.0 {
            3
        } else if own(today, 5) < 0.5 {
            1
        } else {
            0
        };
        let one = |value: f64| (value * 10.0).round() / 10.0;
        (
            json!({ "city": city }),
            json!({
                "observed_at": moment(self.at - 600_000.0 * self.dice.even(), "Z"),
                "latitude": one(36.0 + 24.0 * own(city, 6)),
                "longitude": one(-9.0 + 34.0 * own(city, 7)),
                "temperature": one(now),
                "temperature_min": one(now - 3.0 - 2.0 * own(city + today, 8)),
                "temperature_max": one(now + 2.0 + 2.0 * own(city + today, 9)),
                "humidity": (55.0 + 25.0 * own(city + today, 10) - 10.0 * self.wave(15.0)).round(),
                "pressure": one(pressure),
                "wind_speed": one(1.0 + 9.0 * own(city * 7 + today, 11) * (0.2 * self.dice.normal()).exp()),
                "visibility_m": (4_000.0 + 6_000.0 * own(city * 3 + today, 12)).round(),
                "condition": code,
                "summary": sentence(code * 131 + city, 5),
                "alerts": if own(city + today, 13) < 0.3 { json!([{ "level": 1 + today % 3 }]) } else { json!([]) },
            }),
        )
    }

    fn issues(&mut self) -> (Value, Value) {
        let repository = self.thing(25);
        let newest = 1_000 + repository * 300 + (self.calls / 10) as usize;
        let state = *self.dice.weighted(&[("all", 0.7), ("open", 0.3)]).unwrap_or(&"all");
        let page = self.dice.below(6);
        let items: Vec<Value> = (0..10)
            .map(|at| {
                let number = newest - page * 10 - at;
                let thing = repository * 100_000 + number;
                let open = state == "open" || own(thing, 1) < 0.4;
                let first = 1_000 + repository * 300;
                let made = START as f64 + (number as f64 - first as f64) * 10.0 * self.pace - own(thing, 2) * HOUR;
                let priority = 1 + (own(thing, 3).powi(2) * 4.0) as usize;
                json!({
                    "id": 900_000_000 + thing * 13,
                    "number": number,
                    "title": sentence(thing, 6),
                    "body": if own(thing, 4) < 0.85 { paragraph(thing) } else { String::new() },
                    "state": if open { "open" } else { "closed" },
                    "priority": priority,
                    "comments": (own(thing, 5).powi(3) * 30.0) as u64,
                    "labels": (0..(own(thing, 6) * 3.0) as usize)
                        .map(|label| ["bug", "docs", "feature", "help"][(thing + label) % 4])
                        .collect::<Vec<_>>(),
                    "author": name(thing % 90),
                    "created_at": moment(made, "Z"),
                    "updated_at": moment(made + own(thing, 7) * 9.0 * self.pace, "Z"),
                    "closed_at": if open { Value::Null } else { json!(moment(made + own(thing, 8) * 9.0 * self.pace, "Z")) },
                })
            })
            .collect();
        (
            json!({ "repository": repository, "state": state, "page": page }),
            json!({ "issues": items, "total": newest }),
        )
    }

    fn stock(&mut self) -> (Value, Value) {
        let shelf = self.thing(80);
        let day = (self.at / 24.0 / HOUR).floor() as usize;
        let items: Vec<Value> = (0..6)
            .map(|at| {
                let sku = shelf * 6 + at;
                let cost = (8.0 * (own(sku, 1) * 3.0).exp() * 100.0).round() / 100.0;
                let turn = (own(sku, 2) + day as f64 * 0.13).fract();
                json!({
                    "sku": format!("A-{:05}", sku * 17),
                    "name": name(sku),
                    "quantity": (own(sku, 3) * 300.0 * (1.0 - turn)) as u64,
                    "reserved": (own(sku, 3) * 20.0 * turn) as u64,
                    "unit_cost": cost,
                    "price": (cost * (1.3 + own(sku, 4))  * 100.0).round() / 100.0,
                    "weight_kg": (0.2 * (own(sku, 5) * 4.0).exp() * 1000.0).round() / 1000.0,
                    "category": (own(sku, 6).powi(2) * 6.0) as u64,
                    "active": own(sku, 7) < 0.92,
                    "dimensions_cm": { "length": (5.0 + 60.0 * own(sku, 8)).round(), "width": (4.0 + 40.0 * own(sku, 9)).round() },
                    "counted_at": moment(((day - (day + sku) % 7) as f64 * 24.0 + 7.0 + 9.0 * own(sku, 11)) * HOUR, ""),
                    "supplier": if own(sku, 10) < 0.9 { json!(name(sku % 40)) } else { Value::Null },
                })
            })
            .collect();
        (json!({ "shelf": shelf }), json!({ "items": items, "warehouse": "north" }))
    }

    fn readings(&mut self) -> (Value, Value) {
        let machine = self.thing(8);
        let load = 0.5 + 0.35 * self.wave(14.0) + 0.05 * self.dice.normal();
        let load = load.clamp(0.05, 1.0);
        let hours = 12_000.0 + 900.0 * own(machine, 1) + (self.at - START as f64) / HOUR;
        (
            json!({ "machine": machine }),
            json!({
                "machine": machine,
                "at": (self.at / 1_000.0).floor(),
                "spindle_temperature_c": ((35.0 + 30.0 * load + self.dice.normal()) * 100.0).round() / 100.0,
                "vibration_mm_s": ((0.8 + 3.0 * load * (0.15 * self.dice.normal()).exp()) * 1000.0).round() / 1000.0,
                "power_kw": ((1.0 + 11.0 * load + 0.2 * self.dice.normal()) * 100.0).round() / 100.0,
                "pressure_bar": ((6.0 + 0.2 * self.dice.normal()) * 1000.0).round() / 1000.0,
                "torque": ((load * 60.0 - 12.0 + 9.0 * self.dice.normal()) * 10.0).round() / 10.0,
                "operating_hours": (hours * 10.0).round() / 10.0,
                "cycles": (hours * 41.0) as u64,
                "mode": if load > 0.3 { 2 } else { usize::from(self.dice.is(0.7)) },
                "status": *self.dice.weighted(&[("ok", 0.96), ("warning", 0.04)]).unwrap_or(&"ok"),
                "errors": if self.dice.is(0.35) { json!([format!("E{:02}", self.dice.below(20))]) } else { json!([]) },
                "firmware": "4.2.1",
            }),
        )
    }

    fn transactions(&mut self) -> (Value, Value) {
        let account = self.thing(200);
        let day = (self.at / 24.0 / HOUR).floor();
        let back = self.dice.below(25) as f64;
        let items: Vec<Value> = (0..8)
            .map(|at| {
                let thing = account * 1_000 + (day - back) as usize * 8 + at;
                let amount = 25.0 * (own(thing, 1) * 4.0).exp();
                let debit = own(thing, 2) < 0.75;
                let booked = day - back - (own(thing, 3) * 2.0).floor();
                json!({
                    "id": format!("tx{}", thing * 31),
                    "amount": money(amount),
                    "value": if debit { -((amount * 100.0).round()) } else { (amount * 100.0).round() },
                    "kind": if debit { "debit" } else { "credit" },
                    "booked_on": moment(booked * 24.0 * HOUR, "day"),
                    "fee": (own(thing, 4) * 120.0).round() / 100.0,
                    "channel": (own(thing, 5).powi(2) * 5.0) as u64,
                    "purpose": sentence(thing, 7),
                    "counterparty": name(thing % 500),
                    "iban": format!("DE{:02}{:018}", thing % 97, thing * 7_919),
                })
            })
            .collect();
        let balance = 2_000.0 * (own(account, 6) * 3.0).exp() + (self.calls as f64) * 0.05;
        (
            json!({ "account": account, "days_back": back }),
            json!({ "transactions": items, "balance": money(balance), "currency": "EUR" }),
        )
    }
}

/// `1,234.56`
fn money(amount: f64) -> String {
    let cents = (amount * 100.0).round() as u64;
    let (whole, part) = (cents / 100, cents % 100);
    if whole >= 1_000 {
        format!("{},{:03}.{part:02}", whole / 1_000, whole % 1_000)
    } else {
        format!("{whole}.{part:02}")
    }
}

/// A moment as text: with this suffix; `day`: its date alone.
pub(super) fn moment(millis: f64, suffix: &str) -> String {
    let zone = if suffix == "+01:00" { HOUR } else { 0.0 };
    let seconds = ((millis + zone) / 1_000.0).floor() as i64;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    if suffix == "day" {
        return date;
    }
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}{suffix}")
}

const WORDS: [&str; 24] = [
    "the",
    "parser",
    "fails",
    "on",
    "nested",
    "lists",
    "after",
    "update",
    "of",
    "settings",
    "and",
    "window",
    "is",
    "blank",
    "with",
    "large",
    "files",
    "in",
    "dark",
    "mode",
    "to",
    "be",
    "delivered",
    "tomorrow",
];

fn name(thing: usize) -> String {
    const FIRST: [&str; 10] =
        ["Ada", "Noor", "Jan", "Mila", "Omar", "Lena", "Tom", "Ines", "Kofi", "Yuki"];
    const LAST: [&str; 9] =
        ["Berg", "Okafor", "Silva", "Meyer", "Dubois", "Tanaka", "Novak", "Rossi", "Haddad"];
    format!("{} {} {}", FIRST[thing % 10], LAST[thing / 10 % 9], thing / 90)
}

fn sentence(thing: usize, words: usize) -> String {
    let count = words + (own(thing, 91) * words as f64) as usize;
    let word = |at: usize| WORDS[(own(thing, 100 + at as u64) * 24.0) as usize % 24];
    let text: Vec<&str> = (0..count.max(2)).map(word).collect();
    format!("{}.", text.join(" "))
}

fn paragraph(thing: usize) -> String {
    (0..2 + thing % 5).map(|at| sentence(thing * 7 + at, 9)).collect::<Vec<_>>().join(" ")
}
