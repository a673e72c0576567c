//! Ways in which the meaning of a reply changes while its shape stays.

use serde_json::{Value, json};

use super::worlds::World;

/// One kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Numbers a hundred times as large.
    Hundred,
    /// A thousand times.
    Thousand,
    /// The other sign.
    Sign,
    /// Another unit of the same quantity.
    Unit,
    /// Another time zone, and the text says so.
    ZoneTold,
    /// Another time zone, and nothing says so.
    ZoneSilent,
    /// Choices numbered anew.
    Renumbered,
    /// Two fields exchanged.
    Swapped,
    /// Texts cut short.
    Truncated,
    /// Nothing in it any more.
    Emptied,
    /// Always the same value.
    Constant,
    /// Numbers or dates as another country writes them.
    Locale,
    /// Fewer decimals.
    Precision,
    /// Null for every value.
    Nulled,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Hundred,
        Self::Thousand,
        Self::Sign,
        Self::Unit,
        Self::ZoneTold,
        Self::ZoneSilent,
        Self::Renumbered,
        Self::Swapped,
        Self::Truncated,
        Self::Emptied,
        Self::Constant,
        Self::Locale,
        Self::Precision,
        Self::Nulled,
    ];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hundred => "x100",
            Self::Thousand => "x1000",
            Self::Sign => "sign",
            Self::Unit => "unit",
            Self::ZoneTold => "time zone, told",
            Self::ZoneSilent => "time zone, silent",
            Self::Renumbered => "enum renumbered",
            Self::Swapped => "swapped fields",
            Self::Truncated => "truncated text",
            Self::Emptied => "always empty",
            Self::Constant => "constant",
            Self::Locale => "locale",
            Self::Precision => "precision",
            Self::Nulled => "null",
        }
    }

    /// What it is done to in a world.
    #[must_use]
    pub fn targets(self, world: World) -> &'static [&'static str] {
        let row = TARGETS.iter().find(|(kinds, of, _)| *of == world && kinds.contains(&self));
        row.map_or(&[], |(.., targets)| targets)
    }

    /// Changes a reply.
    pub fn apply(self, reply: &mut Value, target: &str) {
        match reply {
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item, target)),
            Value::Object(members) => {
                if let Some((one, other)) = target.split_once(',')
                    && members.contains_key(one)
                    && members.contains_key(other)
                {
                    let held = members.get(one).cloned().unwrap_or_default();
                    let exchanged = members.insert(other.to_owned(), held).unwrap_or_default();
                    members.insert(one.to_owned(), exchanged);
                    return;
                }
                let name = target.split('*').next().unwrap_or_default();
                for (key, value) in members {
                    if key == name {
                        *value = self.changed(value, target);
                    } else {
                        self.apply(value, target);
                    }
                }
            }
            _ => {}
        }
    }

    /// The changed value; `target` says into which unit.
    pub(super) fn changed(self, value: &Value, target: &str) -> Value {
        let number = value.as_f64();
        let scaled =
            |factor: f64| number.map_or_else(|| value.clone(), |it| like(value, it * factor));
        match (self, value) {
            (Self::Hundred, _) => scaled(100.0),
            (Self::Thousand, _) => scaled(1_000.0),
            (Self::Sign, _) => scaled(-1.0),
            (Self::Unit, _) => converted(value, target),
            (Self::ZoneTold, Value::String(text)) => json!(zone(text, true)),
            (Self::ZoneSilent, Value::String(text)) => json!(zone(text, false)),
            // Counted from another one on.
            (Self::Renumbered, Value::Number(_)) => {
                number.map_or(Value::Null, |it| like(value, it + 1.0))
            }
            (Self::Truncated, Value::String(text)) => {
                json!(text.chars().take(20).collect::<String>())
            }
            (Self::Emptied, Value::Array(_)) => json!([]),
            (Self::Emptied, Value::String(_)) => json!(""),
            (Self::Constant, Value::Number(_)) => like(value, number.map_or(0.0, |_| 42.0)),
            (Self::Constant, Value::String(text)) if text.starts_with("20") => {
                json!("2026-01-01T00:00:00Z")
            }
            (Self::Constant, _) => json!("not available"),
            (Self::Locale, Value::String(text)) => json!(localised(text)),
            (Self::Precision, Value::Number(_)) => {
                number.map_or(Value::Null, |it| json!(it.round()))
            }
            (Self::Nulled, _) => Value::Null,
            _ => value.clone(),
        }
    }
}

/// What each change is done to: every entry of the last column is a case of its own. Of two names the
/// first is exchanged with the second.
const TARGETS: &[(&[Kind], World, &[&str])] = &[
    (&[Kind::Hundred, Kind::Thousand], World::Flights, &["price", "duration_minutes"]),
    (&[Kind::Hundred, Kind::Thousand], World::Invoices, &["total", "unit_price"]),
    (&[Kind::Hundred, Kind::Thousand], World::Weather, &["pressure", "wind_speed"]),
    (&[Kind::Hundred, Kind::Thousand], World::Issues, &["id"]),
    (&[Kind::Hundred, Kind::Thousand], World::Inventory, &["price", "quantity"]),
    (&[Kind::Hundred, Kind::Thousand], World::Telemetry, &["power_kw", "at"]),
    (&[Kind::Hundred, Kind::Thousand], World::Payments, &["value", "fee"]),
    (&[Kind::Sign], World::Flights, &["price"]),
    (&[Kind::Sign], World::Invoices, &["total"]),
    (&[Kind::Sign], World::Weather, &["longitude", "temperature"]),
    (&[Kind::Sign], World::Inventory, &["quantity"]),
    (&[Kind::Sign], World::Telemetry, &["torque", "power_kw"]),
    (&[Kind::Sign], World::Payments, &["value"]),
    (&[Kind::Unit], World::Flights, &["distance_km*0.621371", "duration_minutes*0.0166667"]),
    (&[Kind::Unit], World::Invoices, &["tax_rate*100"]),
    (
        &[Kind::Unit],
        World::Weather,
        &["temperature*1.8+32", "wind_speed*3.6", "visibility_m*0.001", "pressure*0.02953"],
    ),
    (&[Kind::Unit], World::Inventory, &["weight_kg*2.20462", "length*0.393701"]),
    (
        &[Kind::Unit],
        World::Telemetry,
        &["spindle_temperature_c*1.8+32", "pressure_bar*14.5038", "power_kw*1.341"],
    ),
    (&[Kind::ZoneTold, Kind::ZoneSilent], World::Flights, &["departure"]),
    (&[Kind::ZoneTold, Kind::ZoneSilent], World::Invoices, &["issued"]),
    (&[Kind::ZoneTold, Kind::ZoneSilent], World::Weather, &["observed_at"]),
    (&[Kind::ZoneTold, Kind::ZoneSilent], World::Issues, &["created_at", "updated_at"]),
    (&[Kind::ZoneTold, Kind::ZoneSilent], World::Inventory, &["counted_at"]),
    (&[Kind::Renumbered], World::Invoices, &["status"]),
    (&[Kind::Renumbered], World::Weather, &["condition"]),
    (&[Kind::Renumbered], World::Issues, &["priority"]),
    (&[Kind::Renumbered], World::Inventory, &["category"]),
    (&[Kind::Renumbered], World::Telemetry, &["mode"]),
    (&[Kind::Renumbered], World::Payments, &["channel"]),
    (&[Kind::Swapped], World::Flights, &["departure,arrival", "duration_minutes,distance_km"]),
    (&[Kind::Swapped], World::Invoices, &["net,total", "issued,due"]),
    (&[Kind::Swapped], World::Weather, &["latitude,longitude", "temperature_min,temperature_max"]),
    (&[Kind::Swapped], World::Issues, &["title,body", "number,comments"]),
    (&[Kind::Swapped], World::Inventory, &["unit_cost,price", "quantity,reserved"]),
    (&[Kind::Swapped], World::Telemetry, &["power_kw,pressure_bar"]),
    (&[Kind::Swapped], World::Payments, &["purpose,counterparty"]),
    (&[Kind::Truncated], World::Invoices, &["note"]),
    (&[Kind::Truncated], World::Weather, &["summary"]),
    (&[Kind::Truncated], World::Issues, &["body", "title"]),
    (&[Kind::Truncated], World::Payments, &["purpose"]),
    (&[Kind::Emptied], World::Flights, &["offers"]),
    (&[Kind::Emptied], World::Invoices, &["lines"]),
    (&[Kind::Emptied], World::Weather, &["summary"]),
    (&[Kind::Emptied], World::Issues, &["body", "issues"]),
    (&[Kind::Emptied], World::Inventory, &["items", "name"]),
    (&[Kind::Emptied], World::Telemetry, &["errors"]),
    (&[Kind::Emptied], World::Payments, &["purpose", "transactions"]),
    (&[Kind::Constant], World::Flights, &["price"]),
    (&[Kind::Constant], World::Invoices, &["total"]),
    (&[Kind::Constant], World::Weather, &["temperature", "pressure"]),
    (&[Kind::Constant], World::Issues, &["title", "created_at"]),
    (&[Kind::Constant], World::Inventory, &["quantity"]),
    (&[Kind::Constant], World::Telemetry, &["spindle_temperature_c", "torque"]),
    (&[Kind::Constant], World::Payments, &["value", "purpose"]),
    (&[Kind::Locale], World::Flights, &["departure"]),
    (&[Kind::Locale], World::Invoices, &["note"]),
    (&[Kind::Locale], World::Weather, &["summary"]),
    (&[Kind::Locale], World::Issues, &["created_at"]),
    (&[Kind::Locale], World::Inventory, &["counted_at"]),
    (&[Kind::Locale], World::Payments, &["amount", "booked_on"]),
    (&[Kind::Precision], World::Flights, &["price"]),
    (&[Kind::Precision], World::Invoices, &["total"]),
    (&[Kind::Precision], World::Weather, &["temperature"]),
    (&[Kind::Precision], World::Inventory, &["weight_kg"]),
    (&[Kind::Precision], World::Telemetry, &["vibration_mm_s", "pressure_bar"]),
    (&[Kind::Precision], World::Payments, &["fee"]),
    (&[Kind::Nulled], World::Flights, &["price"]),
    (&[Kind::Nulled], World::Invoices, &["due"]),
    (&[Kind::Nulled], World::Weather, &["humidity"]),
    (&[Kind::Nulled], World::Issues, &["author"]),
    (&[Kind::Nulled], World::Inventory, &["supplier"]),
    (&[Kind::Nulled], World::Telemetry, &["power_kw"]),
    (&[Kind::Nulled], World::Payments, &["balance"]),
];

/// A whole number stays one.
fn like(value: &Value, number: f64) -> Value {
    if value.is_f64() { json!((number * 1e6).round() / 1e6) } else { json!(number as i64) }
}

fn converted(value: &Value, target: &str) -> Value {
    let Some(number) = value.as_f64() else { return value.clone() };
    let Some((_, rule)) = target.split_once('*') else { return value.clone() };
    let (factor, offset) = rule.split_once('+').unwrap_or((rule, "0"));
    let of = |text: &str| text.parse::<f64>().unwrap_or(1.0);
    let now = number * of(factor) + of(offset);
    json!((now * 100.0).round() / 100.0)
}

/// Five hours later on the clock, as it is in Karachi; `told`: with its offset.
fn zone(text: &str, told: bool) -> String {
    const HOURS: f64 = 5.0;
    let (Some(day), Some(clock)) = (text.get(..10), text.get(11..19)) else {
        return text.to_owned();
    };
    let part =
        |text: &str, at: usize| text.get(at..at + 2).and_then(|it| it.parse().ok()).unwrap_or(0.0);
    let (hour, minute, second): (f64, f64, f64) = (part(clock, 0), part(clock, 3), part(clock, 6));
    let days = days_of(day);
    let millis = ((days * 24.0 + hour + HOURS) * 60.0 + minute) * 60_000.0 + second * 1_000.0;
    let suffix = match text.get(19..).unwrap_or_default() {
        "+01:00" if told => "+06:00",
        _ if told => "+05:00",
        kept => kept,
    };
    let bare = super::worlds::moment(millis, "");
    format!("{bare}{suffix}")
}

fn days_of(day: &str) -> f64 {
    let part = |from, to| day.get(from..to).and_then(|it| it.parse::<i64>().ok()).unwrap_or(1);
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468) as f64
}

/// Dates and numbers as they are written in Germany, and its language.
fn localised(text: &str) -> String {
    if let (Some(day), true) = (text.get(..10), text.starts_with("20")) {
        let rest = text.get(11..16).map(|clock| format!(" {clock}")).unwrap_or_default();
        return format!("{}.{}.{}{rest}", &day[8..10], &day[5..7], &day[..4]);
    }
    if text.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.')) {
        let other = |c| match c {
            ',' => '.',
            '.' => ',',
            c => c,
        };
        return text.chars().map(other).collect();
    }
    let words = [
        ("the", "der"),
        ("is", "ist"),
        ("and", "und"),
        ("of", "von"),
        ("on", "auf"),
        ("with", "mit"),
        ("after", "nach"),
        ("to", "zu"),
        ("large", "gro\u{df}e"),
        ("fails", "schl\u{e4}gt"),
        ("in", "im"),
        ("be", "sein"),
    ];
    let word = |word: &str| {
        words.iter().find(|(from, _)| *from == word).map_or(word, |(_, to)| *to).to_owned()
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
