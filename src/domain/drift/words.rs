//! The words that names are made of: identifiers cut up, inflection and common abbreviations undone.
//!
//! The lists are general English and general programming usage; none is fitted to a peer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Abbreviations that stand for one word only, in any domain.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("acct", "account"),
    ("addr", "address"),
    ("amt", "amount"),
    ("app", "application"),
    ("arg", "argument"),
    ("attr", "attribute"),
    ("cfg", "configuration"),
    ("cnt", "count"),
    ("col", "column"),
    ("config", "configuration"),
    ("conf", "configuration"),
    ("db", "database"),
    ("dest", "destination"),
    ("dir", "directory"),
    ("doc", "document"),
    ("dst", "destination"),
    ("env", "environment"),
    ("ext", "extension"),
    ("filename", "file name"),
    ("filepath", "file path"),
    ("freq", "frequency"),
    ("fn", "function"),
    ("href", "url"),
    ("identifier", "id"),
    ("idx", "index"),
    ("img", "image"),
    ("indices", "index"),
    ("info", "information"),
    ("lang", "language"),
    ("lat", "latitude"),
    ("len", "length"),
    ("lib", "library"),
    ("lng", "longitude"),
    ("loc", "location"),
    ("lon", "longitude"),
    ("max", "maximum"),
    ("mgr", "manager"),
    ("min", "minimum"),
    ("msg", "message"),
    ("nb", "number"),
    ("num", "number"),
    ("obj", "object"),
    ("org", "organization"),
    ("organisation", "organization"),
    ("param", "parameter"),
    ("pic", "picture"),
    ("pkg", "package"),
    ("pos", "position"),
    ("prev", "previous"),
    ("prop", "property"),
    ("proj", "project"),
    ("pwd", "password"),
    ("q", "query"),
    ("qty", "quantity"),
    ("regexp", "regex"),
    ("repo", "repository"),
    ("req", "request"),
    ("resp", "response"),
    ("src", "source"),
    ("sz", "size"),
    ("tbl", "table"),
    ("ts", "timestamp"),
    ("txn", "transaction"),
    ("tz", "timezone"),
    ("uri", "url"),
    ("usr", "user"),
    ("val", "value"),
    ("var", "variable"),
    ("ver", "version"),
];

/// Verbs of tools that only look; `get list fetch read show` count as one word elsewhere.
const READING: &[&str] = &[
    "analyze",
    "browse",
    "check",
    "compare",
    "count",
    "describe",
    "download",
    "estimate",
    "explain",
    "export",
    "fetch",
    "find",
    "forecast",
    "geocode",
    "get",
    "inspect",
    "list",
    "load",
    "lookup",
    "peek",
    "preview",
    "query",
    "read",
    "resolve",
    "retrieve",
    "scan",
    "search",
    "select",
    "show",
    "stat",
    "status",
    "summarize",
    "tail",
    "validate",
    "verify",
    "view",
    "watch",
];

/// Verbs of tools that change something, or may.
const CHANGING: &[&str] = &[
    "accept",
    "activate",
    "add",
    "append",
    "apply",
    "approve",
    "archive",
    "assign",
    "attach",
    "book",
    "buy",
    "call",
    "cancel",
    "change",
    "clear",
    "click",
    "clone",
    "close",
    "commit",
    "connect",
    "convert",
    "copy",
    "create",
    "deactivate",
    "delete",
    "deploy",
    "detach",
    "disable",
    "dismiss",
    "drop",
    "edit",
    "enable",
    "execute",
    "fill",
    "fork",
    "format",
    "import",
    "insert",
    "install",
    "invite",
    "invoke",
    "kill",
    "launch",
    "link",
    "lock",
    "mark",
    "merge",
    "modify",
    "move",
    "navigate",
    "notify",
    "open",
    "order",
    "overwrite",
    "patch",
    "pay",
    "pin",
    "post",
    "press",
    "publish",
    "purge",
    "push",
    "put",
    "rebase",
    "register",
    "reject",
    "release",
    "remove",
    "rename",
    "replace",
    "reply",
    "request",
    "rerun",
    "reset",
    "restart",
    "restore",
    "revert",
    "revoke",
    "run",
    "save",
    "schedule",
    "send",
    "set",
    "share",
    "sign",
    "start",
    "stop",
    "submit",
    "subscribe",
    "terminate",
    "toggle",
    "transfer",
    "transition",
    "trigger",
    "type",
    "uninstall",
    "unlink",
    "unlock",
    "update",
    "upload",
    "upsert",
    "write",
];

/// Unit words by quantity: words of one row that differ are different units of one quantity.
const UNITS: &[(&str, &str)] = &[
    ("ns", "nanosecond"),
    ("nanosecond", "nanosecond"),
    ("us", "microsecond"),
    ("microsecond", "microsecond"),
    ("ms", "millisecond"),
    ("msec", "millisecond"),
    ("milli", "millisecond"),
    ("millisecond", "millisecond"),
    ("sec", "second"),
    ("second", "second"),
    ("minute", "minute"),
    ("hour", "hour"),
    ("hr", "hour"),
    ("day", "day"),
    ("week", "week"),
    ("byte", "byte"),
    ("kb", "kilobyte"),
    ("kilobyte", "kilobyte"),
    ("mb", "megabyte"),
    ("megabyte", "megabyte"),
    ("gb", "gigabyte"),
    ("gigabyte", "gigabyte"),
    ("mm", "millimetre"),
    ("cm", "centimetre"),
    ("centimetre", "centimetre"),
    ("centimeter", "centimetre"),
    ("metre", "metre"),
    ("meter", "metre"),
    ("km", "kilometre"),
    ("kilometre", "kilometre"),
    ("kilometer", "kilometre"),
    ("mile", "mile"),
    ("foot", "foot"),
    ("feet", "foot"),
    ("inch", "inch"),
    ("pixel", "pixel"),
    ("px", "pixel"),
    ("celsius", "celsius"),
    ("fahrenheit", "fahrenheit"),
    ("kelvin", "kelvin"),
    ("cent", "cent"),
    ("dollar", "dollar"),
    ("usd", "dollar"),
    ("eur", "euro"),
    ("euro", "euro"),
    ("percent", "percent"),
    ("pct", "percent"),
    ("kg", "kilogram"),
    ("kilogram", "kilogram"),
    ("gram", "gram"),
    ("lb", "pound"),
    ("pound", "pound"),
];

// The lists to look a word up in: every name and every text of a surface is cut into words.
static WRITTEN_OUT: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| ABBREVIATIONS.iter().copied().collect());
static UNIT_OF: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| UNITS.iter().copied().collect());
static READS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| READING.iter().copied().collect());
static CHANGES: LazyLock<BTreeSet<&str>> = LazyLock::new(|| CHANGING.iter().copied().collect());

/// What an identifier refers with; a value of one kind never stands for one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handle {
    /// An opaque id.
    Id,
    /// A position.
    Index,
    /// A number people use.
    Number,
    /// A key.
    Key,
    /// A name.
    Name,
    /// A URL.
    Url,
    /// A path.
    Path,
    /// A place in a listing.
    Cursor,
    /// A hash of content.
    Hash,
}

/// What a tool's words say about its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A reading verb and no changing one.
    Reads,
    /// A changing verb.
    Changes,
    /// Neither.
    Unsaid,
}

/// Cuts an identifier at case changes, digits and separators; lower case.
#[must_use]
pub fn tokens(identifier: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = identifier.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            tokens.push(std::mem::take(&mut word));
            continue;
        }
        let before = at.checked_sub(1).map(|i| chars[i]);
        let follows = chars.get(at + 1);
        let hump = before.is_some_and(|b| {
            c.is_uppercase()
                && (b.is_lowercase()
                    || b.is_numeric()
                    || (b.is_uppercase() && follows.is_some_and(|f| f.is_lowercase())))
        });
        let digits = before.is_some_and(|b| b.is_numeric() != c.is_numeric());
        if hump || digits {
            tokens.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase());
    }
    tokens.push(word);
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// A word without its plural ending.
#[must_use]
pub fn stem(word: &str) -> String {
    if word.len() > 4 && word.ends_with("ies") {
        return format!("{}y", &word[..word.len() - 3]);
    }
    for ending in ["sses", "shes", "ches", "xes", "tuses", "dexes"] {
        if word.len() > ending.len() && word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    let plural = word.len() > 2
        && word.ends_with('s')
        && !["ss", "us", "is", "as", "os", "ms", "ns", "ts"]
            .iter()
            .any(|e| word.ends_with(e) && (word.len() <= 3 || matches!(*e, "ss" | "us" | "is")));
    if plural { word[..word.len() - 1].to_owned() } else { word.to_owned() }
}

/// The words of an identifier: cut up, singular, abbreviations written out.
#[must_use]
pub fn words(identifier: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: String| {
        // A file's path is a path.
        if word == "path" && words.last().is_some_and(|last| last == "file") {
            words.pop();
        }
        words.push(word);
    };
    for token in tokens(identifier) {
        let stemmed = stem(&token);
        match WRITTEN_OUT.get(stemmed.as_str()).or_else(|| WRITTEN_OUT.get(token.as_str())) {
            Some(long) => long.split(' ').map(str::to_owned).for_each(&mut add),
            None => add(stemmed),
        }
    }
    words
}

/// Whether a word says what is done rather than to what.
#[must_use]
pub fn is_verb(word: &str) -> bool {
    READS.contains(word) || CHANGES.contains(word)
}

/// What the words of a name say about its effect.
#[must_use]
pub fn effect(words: &[String]) -> Effect {
    // The first verb names the action; a later word of the list is mostly a noun (`list_runs`).
    let changing = words.iter().any(|word| CHANGES.contains(word.as_str()));
    let reading = words.iter().position(|word| READS.contains(word.as_str()));
    match (reading, changing) {
        (_, true) => Effect::Changes,
        (Some(_), false) => Effect::Reads,
        (None, false) => Effect::Unsaid,
    }
}

/// The units that a text or identifier names.
#[must_use]
pub fn units(text: &str) -> BTreeSet<&'static str> {
    tokens(text)
        .iter()
        .filter_map(|token| {
            let stemmed = stem(token);
            UNIT_OF.get(stemmed.as_str()).or_else(|| UNIT_OF.get(token.as_str())).copied()
        })
        .collect()
}

/// The kind of handle that an identifier names, by its last telling word.
#[must_use]
pub fn handle(identifier: &str) -> Option<Handle> {
    words(identifier).iter().rev().find_map(|word| {
        Some(match word.as_str() {
            "id" | "uuid" | "guid" | "uid" => Handle::Id,
            "index" | "position" | "offset" => Handle::Index,
            "number" => Handle::Number,
            "key" => Handle::Key,
            "name" | "slug" | "title" | "login" | "username" => Handle::Name,
            "url" | "link" => Handle::Url,
            "path" | "file" | "directory" => Handle::Path,
            "cursor" | "page" | "token" => Handle::Cursor,
            "sha" | "hash" | "digest" => Handle::Hash,
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_cut_into_words() {
        let rows: [(&str, &[&str]); 7] = [
            ("issueNumber", &["issue", "number"]),
            ("HTTPServer2", &["http", "server", "2"]),
            ("per_page", &["per", "page"]),
            ("get-orgRepos", &["get", "organization", "repository"]),
            ("query", &["query"]),
            ("timeout_ms", &["timeout", "ms"]),
            ("statuses", &["status"]),
        ];
        for (identifier, expected) in rows {
            assert_eq!(words(identifier), expected, "{identifier}");
        }
    }

    #[test]
    fn names_tell_their_effect() {
        assert_eq!(effect(&words("list_issues")), Effect::Reads);
        assert_eq!(effect(&words("get_or_create_user")), Effect::Changes);
        assert_eq!(effect(&words("weather")), Effect::Unsaid);
    }

    #[test]
    fn handles_and_units_are_told_apart() {
        assert_eq!(handle("cell_id"), Some(Handle::Id));
        assert_eq!(handle("cellIndex"), Some(Handle::Index));
        assert_eq!(handle("city"), None);
        assert_eq!(units("timeout in milliseconds"), BTreeSet::from(["millisecond"]));
        assert!(units("timeoutMs") != units("timeout_seconds"));
    }
}
