//! What a protected resource says of who gives access to it, and to what (RFC 9728).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The hosts and scopes of a protected resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Hosts of `authorization_servers`.
    pub hosts: BTreeSet<String>,
    /// `scopes_supported`.
    pub scopes: BTreeSet<String>,
}

/// What differs between two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantsChange {
    /// `oauth_hosts_changed` or `oauth_scopes_changed`.
    pub kind: &'static str,
    /// What is new.
    pub added: BTreeSet<String>,
    /// What is gone.
    pub removed: BTreeSet<String>,
}

impl Grants {
    /// What changed from these to `now`; nothing where they are equal.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<GrantsChange> {
        let pairs = [
            ("oauth_hosts_changed", &self.hosts, &now.hosts),
            ("oauth_scopes_changed", &self.scopes, &now.scopes),
        ];
        let differs = |(kind, before, after): (_, &BTreeSet<String>, &BTreeSet<String>)| {
            (before != after).then(|| GrantsChange {
                kind,
                added: after.difference(before).cloned().collect(),
                removed: before.difference(after).cloned().collect(),
            })
        };
        pairs.into_iter().filter_map(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_what_went_is_told_apart() {
        let of = |hosts: &[&str], scopes: &[&str]| Grants {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
        };
        let before = of(&["auth.example"], &["read", "write"]);
        assert_eq!(before.changes(&before), []);
        let changes = before.changes(&of(&["auth.example"], &["read", "admin"]));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].kind, "oauth_scopes_changed");
        assert!(changes[0].added.contains("admin") && changes[0].removed.contains("write"));
        assert_eq!(
            before.changes(&of(&["evil.example"], &["read", "write"]))[0].kind,
            "oauth_hosts_changed"
        );
    }
}
