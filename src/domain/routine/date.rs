//! Dates from one stated format to another, without loss or not at all. A moment without an offset
//! is read as UTC, a bare date as its midnight.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

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

/// 2001-02-23T13:45:56Z: no two of its fields are equal.
const SAMPLE_SECONDS: i64 = 982_935_956;

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
        let sample = Timestamp::from_second(SAMPLE_SECONDS).map_err(|_| refused())?;
        let back =
            written(name, sample).and_then(|text| moment(name, &text)).ok_or_else(refused)?;
        // To the second, to the minute, or the day: anything else was misread.
        let sound = [SAMPLE_SECONDS, 982_935_900, 982_886_400].contains(&back.as_second());
        sound.then(|| Self::Pattern(name.to_owned())).ok_or_else(refused)
    }

    /// The moment that a value tells.
    pub(super) fn read(&self, node: &Node<'_>) -> Result<Timestamp, String> {
        let unix = |unit: &str, make: fn(i64) -> Option<Timestamp>| {
            let whole = node.decimal().and_then(|number| number.integer_text());
            whole
                .and_then(|text| make(text.parse().ok()?))
                .ok_or_else(|| format!("expected whole {unit} since 1970 as a number"))
        };
        let expected = |what: &str| format!("expected a date written as {what}");
        let text = node.text();
        match self {
            Self::UnixSeconds => unix("seconds", |s| Timestamp::from_second(s).ok()),
            Self::UnixMillis => unix("milliseconds", |ms| Timestamp::from_millisecond(ms).ok()),
            Self::Rfc3339 => text
                // A leap second has no instant of its own: reading it would lose it.
                .filter(|text| text.get(16..19) != Some(":60") && !text.contains('['))
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| expected("RFC 3339")),
            Self::Date => text
                .filter(|text| text.len() == 10)
                .and_then(|text| midnight(text.parse().ok()?))
                .ok_or_else(|| expected("YYYY-MM-DD")),
            Self::Pattern(pattern) => {
                text.and_then(|text| moment(pattern, &text)).ok_or_else(|| expected(pattern))
            }
        }
    }

    /// The value that tells a moment; fails where the format cannot tell all of it.
    pub(super) fn write(&self, at: Timestamp) -> Result<Node<'static>, String> {
        let node = match self {
            Self::Rfc3339 => Node::string(&at.to_string()),
            Self::Date => Node::string(&at.to_zoned(TimeZone::UTC).date().to_string()),
            Self::UnixSeconds => Node::number(at.as_second().to_string()),
            Self::UnixMillis => Node::number(at.as_millisecond().to_string()),
            Self::Pattern(pattern) => Node::string(&written(pattern, at).unwrap_or_default()),
        };
        match self.read(&node) {
            Ok(back) if back == at => Ok(node),
            _ => Err("the format it should leave in cannot tell all of the moment".to_owned()),
        }
    }
}

fn midnight(date: Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}

fn written(pattern: &str, at: Timestamp) -> Option<String> {
    strtime::format(pattern, &at.to_zoned(TimeZone::UTC)).ok()
}

fn moment(pattern: &str, text: &str) -> Option<Timestamp> {
    let parsed = strtime::parse(pattern, text).ok()?;
    if parsed.offset().is_some() || parsed.timestamp().is_some() {
        return parsed.to_timestamp().ok();
    }
    match parsed.hour() {
        Some(_) => TimeZone::UTC.to_timestamp(parsed.to_datetime().ok()?).ok(),
        None => midnight(parsed.to_date().ok()?),
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
