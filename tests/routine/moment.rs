//! Dates by the calendar alone: milliseconds and less since 1970, in UTC.

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub(crate) type Moment = i128;

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// Days since 1970-01-01 of a date of the Gregorian calendar; `None` where it has no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i64, month: i64| match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap(year)),
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=length(year, month)).contains(&day) {
        return None;
    }
    let years: i64 = match year >= 1970 {
        true => (1970..year).map(|year| 365 + i64::from(leap(year))).sum(),
        false => -(year..1970).map(|year| 365 + i64::from(leap(year))).sum::<i64>(),
    };
    Some(years + (1..month).map(|month| length(year, month)).sum::<i64>() + day - 1)
}

/// Year, month and day of a number of days since 1970.
fn date(mut left: i64) -> (i64, i64, i64) {
    let mut year = 1970;
    while left < 0 {
        year -= 1;
        left += days(year + 1, 1, 1).unwrap() - days(year, 1, 1).unwrap();
    }
    while left >= days(year + 1, 1, 1).unwrap() - days(year, 1, 1).unwrap() {
        left -= days(year + 1, 1, 1).unwrap() - days(year, 1, 1).unwrap();
        year += 1;
    }
    let first = days(year, 1, 1).unwrap() + left;
    let month = (1..=12).rev().find(|month| days(year, *month, 1).unwrap() <= first).unwrap();
    (year, month, first - days(year, month, 1).unwrap() + 1)
}

/// Digits at a place of a text.
fn number(text: &str, from: usize, to: usize) -> Option<i64> {
    let digits = text.get(from..to)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn literal(text: &str, places: &[(usize, &str)]) -> Option<()> {
    places.iter().all(|(at, is)| text.get(*at..at + is.len()) == Some(is)).then_some(())
}

fn time(hour: i64, minute: i64, second: i64) -> Option<i128> {
    let sound = hour < 24 && minute < 60 && second < 60;
    sound.then_some(i128::from(hour * 3600 + minute * 60 + second) * SECOND)
}

/// `YYYY-MM-DD`.
pub(crate) fn plain_date(text: &str) -> Option<Moment> {
    literal(text, &[(4, "-"), (7, "-")])?;
    let day = days(number(text, 0, 4)?, number(text, 5, 7)?, number(text, 8, 10)?)?;
    (text.len() == 10).then_some(i128::from(day) * DAY)
}

/// `DD.MM.YYYY`.
pub(crate) fn dotted(text: &str) -> Option<Moment> {
    literal(text, &[(2, "."), (5, ".")])?;
    let day = days(number(text, 6, 10)?, number(text, 3, 5)?, number(text, 0, 2)?)?;
    (text.len() == 10).then_some(i128::from(day) * DAY)
}

/// `YYYY-MM-DD HH:MM:SS`, in UTC.
pub(crate) fn spaced(text: &str) -> Option<Moment> {
    literal(text, &[(10, " "), (13, ":"), (16, ":")])?;
    let clock = time(number(text, 11, 13)?, number(text, 14, 16)?, number(text, 17, 19)?)?;
    (text.len() == 19).then_some(plain_date(&text[..10])? + clock)
}

/// RFC 3339 without leap seconds.
pub(crate) fn rfc3339(text: &str) -> Option<Moment> {
    let upper = text.to_ascii_uppercase();
    literal(&upper, &[(10, "T"), (13, ":"), (16, ":")])?;
    let clock = time(number(text, 11, 13)?, number(text, 14, 16)?, number(text, 17, 19)?)?;
    let (fraction, zone) = match upper[19..].strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|char: char| !char.is_ascii_digit())?;
            ((1..=9).contains(&end).then(|| &rest[..end])?, &rest[end..])
        }
        None => ("", &upper[19..]),
    };
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    let offset = match zone {
        "Z" => 0,
        _ => {
            literal(zone, &[(3, ":")])?;
            let offset = time(number(zone, 1, 3)?, number(zone, 4, 6)?, 0)?;
            match (&zone[..1], zone.len()) {
                ("+", 6) => offset,
                ("-", 6) => -offset,
                _ => return None,
            }
        }
    };
    Some(plain_date(&text[..10])? + clock + nanos - offset)
}

/// The text of a moment: `rfc3339`, `date`, or one of the two patterns that the tests use.
pub(crate) fn text(format: &str, at: Moment) -> Option<String> {
    let (day, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = date(i64::try_from(day).ok()?);
    let (seconds, nanos) = (rest / SECOND, rest % SECOND);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match format {
        "rfc3339" => {
            let fraction = format!("{nanos:09}");
            let fraction = fraction.trim_end_matches('0');
            let dot = if fraction.is_empty() { "" } else { "." };
            Some(format!("{year:04}-{month:02}-{day:02}T{clock}{dot}{fraction}Z"))
        }
        "date" => (rest == 0).then(|| format!("{year:04}-{month:02}-{day:02}")),
        "%d.%m.%Y" => (rest == 0).then(|| format!("{day:02}.{month:02}.{year:04}")),
        _ => (nanos == 0).then(|| format!("{year:04}-{month:02}-{day:02} {clock}")),
    }
}
