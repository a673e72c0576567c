//! What a peer may declare that it can do, and the methods that it answers for where it does (MCP,
//! `ServerCapabilities`).

use serde_json::Value;

/// Something that a peer declares or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// It lists and runs tools.
    Tools,
    /// It lists and reads resources.
    Resources,
    /// It tells when a resource changes.
    Subscribe,
    /// It lists and gives prompts.
    Prompts,
    /// It completes arguments.
    Completions,
    /// It lets its log be set louder.
    Logging,
}

impl Capability {
    /// The word in events: where the declaration stands, joined by dots.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Subscribe => "resources.subscribe",
            Self::Prompts => "prompts",
            Self::Completions => "completions",
            Self::Logging => "logging",
        }
    }

    /// The capability of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        METHODS.iter().map(|(_, capability)| *capability).find(|it| it.word() == word)
    }

    /// What a peer that declares all this says of this one; `None` where it does not declare it.
    #[must_use]
    pub fn declared_in(self, capabilities: &Value) -> Option<&Value> {
        let said = self.word().split('.').try_fold(capabilities, |place, name| place.get(name))?;
        match self {
            Self::Subscribe => (said == &Value::Bool(true)).then_some(said),
            _ => said.is_object().then_some(said),
        }
    }
}

/// Every method that a peer answers for only where it declares what it belongs to. `tools/call` is not
/// among them: what that is answered is the business of the tool's contract.
const METHODS: [(&str, Capability); 10] = [
    ("tools/list", Capability::Tools),
    ("resources/list", Capability::Resources),
    ("resources/read", Capability::Resources),
    ("resources/templates/list", Capability::Resources),
    ("resources/subscribe", Capability::Subscribe),
    ("resources/unsubscribe", Capability::Subscribe),
    ("prompts/list", Capability::Prompts),
    ("prompts/get", Capability::Prompts),
    ("completion/complete", Capability::Completions),
    ("logging/setLevel", Capability::Logging),
];

/// A method that belongs to a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapabilityMethod(u8);

impl CapabilityMethod {
    /// The method of this name, where it belongs to a capability.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let at = METHODS.iter().position(|(method, _)| *method == name)?;
        u8::try_from(at).ok().map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        METHODS[usize::from(self.0)].0
    }

    /// What it belongs to.
    #[must_use]
    pub fn capability(self) -> Capability {
        METHODS[usize::from(self.0)].1
    }
}

/// Some of these methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilityMethods(u16);

impl CapabilityMethods {
    /// Whether this one is among them.
    #[must_use]
    pub const fn contains(self, method: CapabilityMethod) -> bool {
        self.0 & (1 << method.0) != 0
    }

    /// One more; false where it was among them.
    pub const fn insert(&mut self, method: CapabilityMethod) -> bool {
        let before = self.0;
        self.0 |= 1 << method.0;
        self.0 != before
    }

    /// One less.
    pub const fn remove(&mut self, method: CapabilityMethod) {
        self.0 &= !(1 << method.0);
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_method_answers_for_what_is_declared_and_for_nothing_else() {
        let said = json!({ "resources": { "subscribe": false }, "prompts": {}, "logging": true });
        for (method, declared) in [
            ("resources/read", true),
            ("resources/subscribe", false),
            ("prompts/get", true),
            ("completion/complete", false),
            ("logging/setLevel", false),
        ] {
            let method = CapabilityMethod::of(method).unwrap();
            assert_eq!(method.capability().declared_in(&said).is_some(), declared, "{method:?}");
            assert_eq!(Capability::of(method.capability().word()), Some(method.capability()));
        }
        let more = json!({ "resources": { "subscribe": true } });
        assert!(Capability::Subscribe.declared_in(&more).is_some());
        assert_eq!(CapabilityMethod::of("tools/call"), None);
        assert_eq!(CapabilityMethod::of("ping"), None);
    }

    #[test]
    fn methods_come_and_go_one_by_one() {
        let all: Vec<_> =
            METHODS.iter().map(|(name, _)| CapabilityMethod::of(name).unwrap()).collect();
        let mut some = CapabilityMethods::default();
        for method in &all {
            assert!(some.insert(*method) && !some.insert(*method));
            assert!(some.contains(*method) && !some.is_empty());
            some.remove(*method);
            assert!(some.is_empty(), "{method:?}");
        }
        assert!(!some.contains(all[0]));
    }
}
