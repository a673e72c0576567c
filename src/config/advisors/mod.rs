//! From the section `advisors` to what the control plane asks with.

pub(super) mod raw;

use std::collections::BTreeSet;
use std::time::Duration;

use super::raw::Timeouts;
use super::secret::Secret;
use super::settings::{Named, keys, url_fault};
use crate::control::advisor::{self, BudgetSettings, Prices};
use crate::domain::health::BreakerRules;
use crate::domain::message::Millis;
use crate::wire::protocol::advisor::{Constraint, Kind, Settings as Provider};
use crate::wire::transport::upstream;

/// A model is far away: longer than a peer may take to be reached.
const CONNECT: Duration = Duration::from_secs(5);

/// The advisors as they are configured.
#[derive(Clone, Debug, Default)]
pub struct Advisors {
    /// How negotiations go.
    pub settings: advisor::Settings,
    /// Who is asked, in order; nobody where this is empty.
    pub order: Vec<Configured>,
}

/// One advisor as it is configured.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The operator's name for it.
    pub name: String,
    /// Its base URL.
    pub url: String,
    /// The provider's word, for people.
    pub kind: &'static str,
    /// How it is asked.
    pub provider: Provider,
    /// What it costs.
    pub prices: Prices,
    /// How it is dialled.
    pub upstream: upstream::Settings,
}

/// Builds the section; all that is wrong is told by its keys.
pub(super) fn build(raw: &raw::Advisors, timeouts: &Timeouts, faults: &mut Vec<Named>) -> Advisors {
    if raw.total_ms < raw.round_ms {
        let what = format!("expected at least `round_ms` ({}), got {}", raw.round_ms, raw.total_ms);
        faults.push((keys(&["advisors", "total_ms"]), what));
    }
    let mut names = BTreeSet::new();
    let mut order = Vec::new();
    for (at, one) in raw.order.iter().enumerate() {
        let at = at.to_string();
        let mut fault = |key: &str, what: String| {
            faults.push((keys(&["advisors", "order", &at, key]), what));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if one.name.is_empty() || one.name.len() > 64 || !one.name.chars().all(plain) {
            let what = format!(
                "expected a name of at most 64 letters, digits, `-`, `_` or `.`, got `{}`",
                one.name
            );
            fault("name", what);
        } else if !names.insert(one.name.as_str()) {
            fault("name", format!("expected a name of its own, got `{}` twice", one.name));
        }
        order.extend(configured(one, timeouts, &mut fault));
    }
    let micros = |money: Option<f64>| money.map(|money| (money * 1e6).ceil() as u64);
    let settings = advisor::Settings {
        rounds: raw.rounds,
        round: Millis(raw.round_ms),
        total: Millis(raw.total_ms),
        descriptions: raw.descriptions,
        budget: BudgetSettings {
            calls_per_hour: raw.budget.calls_per_hour,
            tokens_per_hour: raw.budget.tokens_per_hour,
            tokens_per_day: raw.budget.tokens_per_day,
            cost_micros_per_hour: micros(raw.budget.cost_per_hour),
            cost_micros_per_day: micros(raw.budget.cost_per_day),
        },
        // A model is asked rarely and never on a call's path, so its rests need not grow.
        breaker: BreakerRules {
            failures: raw.breaker.failures,
            open: Millis(raw.breaker.open_ms),
            longest: Millis(raw.breaker.open_ms),
        },
    };
    Advisors { settings, order }
}

fn configured(
    one: &raw::Advisor,
    timeouts: &Timeouts,
    fault: &mut impl FnMut(&str, String),
) -> Option<Configured> {
    let (kind, word, own) = match one.provider {
        raw::Provider::Anthropic => {
            (Kind::Anthropic, "anthropic", Some("https://api.anthropic.com"))
        }
        raw::Provider::Openai => (Kind::OpenAi, "openai", Some("https://api.openai.com/v1")),
        raw::Provider::AzureOpenai => (Kind::AzureOpenAi, "azure_openai", None),
        raw::Provider::OpenaiCompatible => (Kind::OpenAiCompatible, "openai_compatible", None),
    };
    let Some(url) = one.url.clone().or_else(|| own.map(str::to_owned)) else {
        fault("url", format!("expected the base URL of this {word} server, got none"));
        return None;
    };
    if let Some(what) = url_fault(&url) {
        fault("url", what);
        return None;
    }
    let key = match one.key.as_ref().map(Secret::line).transpose() {
        Ok(key) => key,
        Err(what) => {
            fault("key", what);
            return None;
        }
    };
    if key.is_none() && kind != Kind::OpenAiCompatible && one.url.is_none() {
        fault("key", format!("expected the key for {url}, got none"));
    }
    if key.is_some() && !is_private(&url) {
        let what = "expected https, or http to loopback: a key would travel in clear text";
        fault("url", what.to_owned());
    }
    if one.api_version.is_some() && kind != Kind::AzureOpenAi {
        fault("api_version", "expected none: only `azure_openai` has versions".to_owned());
    }
    let constraint = match one.constraint {
        None | Some(raw::Constraint::Schema) => Constraint::Schema,
        Some(raw::Constraint::Words) => Constraint::Words,
        Some(raw::Constraint::Tool) if kind == Kind::Anthropic => Constraint::Tool,
        Some(raw::Constraint::Tool) => {
            fault("constraint", "expected `schema` or `words`: only `anthropic` has `tool`".into());
            Constraint::Schema
        }
    };
    Some(Configured {
        name: one.name.clone(),
        url,
        kind: word,
        provider: Provider {
            kind,
            model: one.model.clone(),
            key,
            api_version: one.api_version.clone(),
            constraint,
            max_tokens: one.max_tokens,
            reply_bytes: one.reply_bytes,
        },
        prices: Prices { input: one.prices.input, output: one.prices.output },
        upstream: upstream::Settings {
            connect: CONNECT,
            handshake: Duration::from_millis(timeouts.handshake_ms),
            authorities: one.roots.clone(),
            ..upstream::Settings::default()
        },
    })
}

/// Whether nobody on the way can read what is sent to a URL.
pub(super) fn is_private(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    uri.scheme_str() == Some("https") || loopback
}

#[cfg(test)]
mod tests;
