//! What an answer's head says of access: advertised rate limits, and the challenge of a refusal.
//!
//! Never here: a request because of what is read here. A peer's `resource_metadata` is compared, and
//! never fetched.

use http::HeaderMap;
use http::header::{HeaderName, WWW_AUTHENTICATE};

use crate::domain::policy::{Advertised, Challenge};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const CURRENT: HeaderName = HeaderName::from_static("ratelimit");
const LIMITS: [HeaderName; 2] =
    [HeaderName::from_static("ratelimit-limit"), HeaderName::from_static("x-ratelimit-limit")];
/// Longest text of a challenge that is kept.
const LONGEST: usize = 256;

/// The tightest limit that an answer advertises: `RateLimit-Policy` of the IETF draft in its forms
/// (`"default";q=100;w=60`, `100;w=60`), else `RateLimit: limit=100`, else `RateLimit-Limit` or
/// `X-RateLimit-Limit`. What does not parse is not there.
#[must_use]
pub fn advertised(headers: &HeaderMap) -> Option<Advertised> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(policy) = text(&POLICY) {
        return tightest(policy.split(',').filter_map(of_policy));
    }
    if let Some(current) = text(&CURRENT)
        && let Some(limit) = member(current, ',', "limit").and_then(|limit| limit.parse().ok())
    {
        return Some(Advertised { quota: limit, window_s: 0 });
    }
    let limit = LIMITS.iter().find_map(text)?;
    // Some servers append the policy: `100, 100;w=60`.
    let with_window = limit.split(',').skip(1).filter_map(of_policy);
    let bare = limit.split(',').next().and_then(of_policy);
    tightest(with_window).or(bare)
}

fn tightest(all: impl Iterator<Item = Advertised>) -> Option<Advertised> {
    all.reduce(|best, next| if next.is_tighter_than(best) { next } else { best })
}

/// `"name";q=100;w=60`, or `100;w=60`.
fn of_policy(item: &str) -> Option<Advertised> {
    let number = |name: &str| member(item, ';', name).and_then(|value| value.parse().ok());
    let bare = || item.split(';').next().and_then(|first| first.trim().parse().ok());
    let quota = number("q").or_else(bare)?;
    Some(Advertised { quota, window_s: number("w").unwrap_or(0) })
}

/// `name=value` among members that a character separates.
fn member<'t>(text: &'t str, between: char, name: &str) -> Option<&'t str> {
    text.split(between).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The challenge of a 401 or 403, as far as it says where access is given and for what (RFC 9728,
/// RFC 6750): scheme, host of `resource_metadata`, `scope`, `error`.
#[must_use]
pub fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let text = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let kept = |text: String| -> String {
        text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LONGEST).collect()
    };
    let said = |name: &str| parameter(rest, name).map(kept);
    let metadata = said("resource_metadata")
        .and_then(|url| url.parse::<http::Uri>().ok())
        .and_then(|url| url.authority().map(|host| host.as_str().to_ascii_lowercase()));
    Some(Challenge {
        scheme: kept(scheme.to_ascii_lowercase()),
        metadata_host: metadata,
        scope: said("scope"),
        error: said("error"),
    })
}

/// The value of an auth-param, quoted or not.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        let (key, after) = rest.split_once('=')?;
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn limits_are_read_in_every_form_that_is_in_use() {
        let policy = "ratelimit-policy";
        let of = |quota, window_s| Some(Advertised { quota, window_s });
        let rows: [(&str, &str, Option<Advertised>); 8] = [
            (policy, "\"default\";q=100;w=60", of(100, 60)),
            (policy, "\"burst\";q=10;w=1, \"day\";q=100;w=86400", of(100, 86_400)),
            (policy, "100;w=60", of(100, 60)),
            ("ratelimit", "limit=100, remaining=50, reset=5", of(100, 0)),
            ("ratelimit", "\"default\";r=50;t=30", None),
            ("ratelimit-limit", "100, 100;w=60", of(100, 60)),
            ("x-ratelimit-limit", "5000", of(5_000, 0)),
            ("x-ratelimit-limit", "unlimited", None),
        ];
        let read = |headers: &[(&'static str, &'static str)]| advertised(&head(headers));
        for (name, value, expected) in rows {
            assert_eq!(read(&[(name, value)]), expected, "{name}: {value}");
        }
        assert_eq!(read(&[("x-ratelimit-limit", "7"), (policy, "100;w=60")]), of(100, 60));
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_challenge_tells_where_access_is_given_and_for_what() {
        let text = "Bearer realm=\"x, scope=no\", resource_metadata=\"https://Auth.example/.well-known/x\", scope=\"a b\", error=insufficient_scope";
        let read = challenge(&head(&[("www-authenticate", text)])).unwrap();
        assert_eq!(read.scheme, "bearer");
        assert_eq!(read.metadata_host.as_deref(), Some("auth.example"));
        assert_eq!(read.scope.as_deref(), Some("a b"));
        assert_eq!(read.error.as_deref(), Some("insufficient_scope"));
        let basic = challenge(&head(&[("www-authenticate", "Basic")])).unwrap();
        assert_eq!((basic.scheme.as_str(), basic.scope), ("basic", None));
    }
}
