//! Dates from one stated format to another, without loss or not at all. A moment without an offset
//! is read as UTC, a bare date as its midnight.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};

use super::overlay::Node;

/// How a moment is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 3339, in UTC when written.
    Rfc3339,
    /// `YYYY-MM-DD`.
    Date,
    /// Whole seconds since 1970-01-01T00:00:00Z.
    UnixSeconds,
    /// Whole milliseconds since 1970-01-01T00:00:00Z.
    UnixMillis,
    /// strftime.
    Pattern(String),
}

/// 2001-02-23T13:45:56Z: no two of its fields are equal. Seconds since 1970.
const SAMPLE_SECONDS: i64 = 982_935_956;

/// 1970-01-01T00:00:00Z. Moments are civil times in UTC, so that the last day of the year 9999, which
/// stands for "for ever" in many tools, is one as well.
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl Format {
    /// Reads the name of a format; a pattern must read back what it writes.
    pub(super) fn compile(name: &str) -> Result<Self, String> {
        match name {
            "rfc3339" => return Ok(Self::Rfc3339),
            "date" => return Ok(Self::Date),
            "unix_s" => return Ok(Self::UnixSeconds),
            "unix_ms" => return Ok(Self::UnixMillis),
            _ => {}
        }
        let expected = "expected rfc3339, date, unix_s, unix_ms or a strftime pattern that names \
                        a whole date and reads back what it writes";
        let refused = || format!("{expected}; got {name:?}");
        if !name.contains('%') || name.len() > 64 {
            return Err(refused());
        }
        let sample = after_epoch(SignedDuration::from_secs(SAMPLE_SECONDS)).ok_or_else(refused)?;
        let back =
            written(name, sample).and_then(|text| moment(name, &text)).ok_or_else(refused)?;
        // To the second, to the minute, or the day: anything else was misread.
        let sound = [SAMPLE_SECONDS, 982_935_900, 982_886_400]
            .contains(&back.duration_since(EPOCH).as_secs());
        sound.then(|| Self::Pattern(name.to_owned())).ok_or_else(refused)
    }

    /// The moment that a value tells.
    pub(super) fn read(&self, node: &Node<'_>) -> Result<DateTime, String> {
        let unix = |unit: &str, make: fn(i64) -> SignedDuration| {
            let whole = node.decimal().and_then(|number| number.integer_text());
            whole
                .and_then(|text| after_epoch(make(text.parse().ok()?)))
                .ok_or_else(|| format!("expected whole {unit} since 1970 as a number"))
        };
        let expected = |what: &str| format!("expected a date written as {what}");
        let text = node.text();
        match self {
            Self::UnixSeconds => unix("seconds", SignedDuration::from_secs),
            Self::UnixMillis => unix("milliseconds", SignedDuration::from_millis),
            Self::Rfc3339 => {
                text.and_then(|text| rfc3339(&text)).ok_or_else(|| expected("RFC 3339"))
            }
            Self::Date => text
                .filter(|text| text.len() == 10)
                .and_then(|text| text.parse().ok().map(midnight))
                .ok_or_else(|| expected("YYYY-MM-DD")),
            Self::Pattern(pattern) => {
                text.and_then(|text| moment(pattern, &text)).ok_or_else(|| expected(pattern))
            }
        }
    }

    /// The value that tells a moment; fails where the format cannot tell all of it.
    pub(super) fn write(&self, at: DateTime) -> Result<Node<'static>, String> {
        let since = at.duration_since(EPOCH);
        let node = match self {
            Self::Rfc3339 => Node::string(&format!("{at}Z")),
            Self::Date => Node::string(&at.date().to_string()),
            Self::UnixSeconds => Node::number(since.as_secs().to_string()),
            Self::UnixMillis => Node::number(since.as_millis().to_string()),
            Self::Pattern(pattern) => Node::string(&written(pattern, at).unwrap_or_default()),
        };
        match self.read(&node) {
            Ok(back) if back == at => Ok(node),
            _ => Err("the format it should leave in cannot tell all of the moment".to_owned()),
        }
    }
}

fn after_epoch(duration: SignedDuration) -> Option<DateTime> {
    EPOCH.checked_add(duration).ok()
}

fn midnight(date: Date) -> DateTime {
    date.at(0, 0, 0, 0)
}

/// Reads RFC 3339 and none of the other spellings of ISO 8601.
fn rfc3339(text: &str) -> Option<DateTime> {
    let text = text.to_ascii_uppercase();
    let (local, offset) = match text.strip_suffix('Z') {
        Some(local) => (local, SignedDuration::ZERO),
        None => {
            let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, offset(zone)?)
        }
    };
    let (clock, fraction) = local.split_at_checked(19)?;
    let digit = |byte: u8| byte.is_ascii_digit();
    let shaped = clock.bytes().zip("0000-00-00T00:00:00".bytes()).all(|(is, like)| match like {
        b'0' => digit(is),
        _ => is == like,
    });
    // More digits than nanoseconds have would be lost.
    let fraction = match fraction.strip_prefix('.') {
        Some(digits) => (1..=9).contains(&digits.len()) && digits.bytes().all(digit),
        None => fraction.is_empty(),
    };
    // A leap second has no instant of its own: reading it would lose it.
    if !shaped || !fraction || clock.ends_with("60") {
        return None;
    }
    local.parse::<DateTime>().ok()?.checked_sub(offset).ok()
}

/// `+HH:MM` or `-HH:MM`.
fn offset(zone: &str) -> Option<SignedDuration> {
    let digits = |from: usize| {
        let digits = zone.get(from..from + 2)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let (hours, minutes) = (digits(1)?, digits(4)?);
    let offset = SignedDuration::from_mins(hours * 60 + minutes);
    match (zone.get(..1)?, zone.get(3..4)? == ":" && hours < 24 && minutes < 60) {
        ("+", true) => Some(offset),
        ("-", true) => Some(-offset),
        _ => None,
    }
}

fn written(pattern: &str, at: DateTime) -> Option<String> {
    let zoned = || {
        let at = Offset::UTC.to_timestamp(at).ok()?;
        strtime::format(pattern, &at.to_zoned(TimeZone::UTC)).ok()
    };
    strtime::format(pattern, at).ok().or_else(zoned)
}

fn moment(pattern: &str, text: &str) -> Option<DateTime> {
    let parsed = strtime::parse(pattern, text).ok()?;
    // A leap second was read as the second before it.
    if parsed.second() == Some(59) && text.contains("60") {
        return None;
    }
    if parsed.offset().is_some() || parsed.timestamp().is_some() {
        return Some(Offset::UTC.to_datetime(parsed.to_timestamp().ok()?));
    }
    match parsed.hour() {
        Some(_) => parsed.to_datetime().ok(),
        None => parsed.to_date().ok().map(midnight),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(from: &str, to: &str, value: &str) -> Result<String, String> {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        let moment = Format::compile(from)?.read(&Node::of(&value))?;
        Ok(Format::compile(to)?.write(moment)?.scalar().unwrap_or_default().to_owned())
    }

    #[test]
    fn moments_are_carried_between_formats() {
        for (from, to, value, expected) in [
            ("rfc3339", "unix_s", "\"2001-02-23T13:45:56Z\"", "982935956"),
            ("rfc3339", "unix_s", "\"2001-02-23T15:45:56+02:00\"", "982935956"),
            ("unix_ms", "rfc3339", "982935956500", "\"2001-02-23T13:45:56.5Z\""),
            ("date", "rfc3339", "\"2001-02-23\"", "\"2001-02-23T00:00:00Z\""),
            ("rfc3339", "date", "\"2001-02-23T00:00:00Z\"", "\"2001-02-23\""),
            ("%d.%m.%Y", "date", "\"23.02.2001\"", "\"2001-02-23\""),
            ("date", "%m/%d/%Y", "\"2001-02-23\"", "\"02/23/2001\""),
            ("%Y-%m-%d %H:%M", "rfc3339", "\"2001-02-23 13:45\"", "\"2001-02-23T13:45:00Z\""),
            ("rfc3339", "unix_ms", "\"1969-12-31t23:59:59.5-00:30\"", "1799500"),
            ("date", "rfc3339", "\"9999-12-31\"", "\"9999-12-31T00:00:00Z\""),
            ("date", "unix_s", "\"9999-12-31\"", "253402214400"),
        ] {
            assert_eq!(carried(from, to, value).as_deref(), Ok(expected), "{from} {to} {value}");
        }
    }

    #[test]
    fn what_the_target_cannot_tell_is_not_dropped() {
        for (from, to, value) in [
            ("rfc3339", "date", "\"2001-02-23T13:45:56Z\""),
            ("rfc3339", "unix_s", "\"2001-02-23T13:45:56.5Z\""),
            ("rfc3339", "unix_s", "\"2016-12-31T23:59:60Z\""),
            ("%Y-%m-%dT%H:%M:%SZ", "unix_s", "\"2016-12-31T23:59:60Z\""),
            ("rfc3339", "unix_s", "\"20161231T235960Z\""),
            ("rfc3339", "unix_s", "\"2016-12-31T23:59Z\""),
            ("rfc3339", "unix_s", "\"2016-12-31T23:59:59\""),
            ("rfc3339", "unix_s", "\"2016-12-31T23:59:59.0000000001Z\""),
            ("rfc3339", "unix_s", "\"2016-12-31T23:59:59+2400\""),
            ("unix_s", "rfc3339", "1.5"),
            ("unix_s", "rfc3339", "\"982935956\""),
            ("date", "rfc3339", "\"2001-02-30\""),
            ("rfc3339", "%Y-%m-%d %H:%M", "\"2001-02-23T13:45:56Z\""),
        ] {
            assert!(carried(from, to, value).is_err(), "{from} {to} {value}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_read_back_are_refused() {
        for name in ["", "iso", "%H:%M", "%Y-%m", "%Y-%m-%d %I:%M", "%q"] {
            assert!(Format::compile(name).is_err(), "{name}");
        }
    }
}
