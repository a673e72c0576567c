//! Reads a file and the flags over it, and finds every fault.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::check;
use super::fault::{ConfigError, Fault, Place};
use super::raw::{Peer, Raw, Seal};
use super::secret::{Secret, SecretFile};
use super::settings::Settings;
use super::tree::{Node, Spot, Tree};
use crate::live::Mode;

/// What `stipula run` was told by flags; each overrides the file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--peer`.
    pub peers: Vec<PeerFlag>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
    /// `--mode`, for every peer: `observe`, `warn` or `enforce`.
    pub mode: Option<String>,
    /// `--seal`, for every peer: `first-use` or `manual`.
    pub seal: Option<String>,
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--signing-key`.
    pub signing_key: Option<PathBuf>,
}

/// `--peer [NAME=]URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerFlag {
    /// Its name, where one was given.
    pub name: Option<String>,
    /// Its URL.
    pub url: String,
}

impl PeerFlag {
    /// Reads the flag's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        // A query may hold `=`, a name never holds `/`.
        match text.split_once('=').filter(|(name, _)| !name.contains('/')) {
            Some((name, url)) => Self { name: Some(name.to_owned()), url: url.to_owned() },
            None => Self { name: None, url: text.to_owned() },
        }
    }
}

/// The settings of every room, from a file, from flags, or from both.
///
/// # Errors
/// All that is wrong, each with its place.
pub fn load(flags: &Flags) -> Result<Settings, ConfigError> {
    let source = flags.config.as_deref().map(Source::read).transpose()?;
    let mut raw = source.as_ref().map_or_else(|| Ok(Raw::default()), Source::raw)?;
    let overridden = overlay(&mut raw, flags)?;
    Settings::build(&raw).map_err(|faults| {
        let placed = faults.into_iter().map(|(keys, what)| {
            let place = flag_of(&keys, &overridden)
                .map_or_else(|| place_of(source.as_ref(), &keys), Place::Flag);
            Fault { place, what }
        });
        ConfigError::Faults(placed.collect())
    })
}

/// The JSON Schema of the file, as it is published.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Raw).to_value()
}

/// A file with its places.
struct Source {
    file: String,
    text: String,
    tree: Tree,
}

impl Source {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: file.clone(), source })?;
        Self::parse(file, text)
    }

    fn parse(file: String, text: String) -> Result<Self, ConfigError> {
        match serde_saphyr::from_str::<Option<Tree>>(&text) {
            Ok(tree) => {
                let empty = Tree { at: Spot { line: 0, column: 0 }, node: Node::Map(Vec::new()) };
                let tree = tree.filter(|tree| !matches!(tree.node, Node::Scalar(Value::Null)));
                Ok(Self { file, text, tree: tree.unwrap_or(empty) })
            }
            Err(error) => {
                let spot = error.location().map_or(Spot { line: 0, column: 0 }, Spot::from);
                let what = format!("this is not YAML: {}", message_of(error.without_snippet()));
                Err(ConfigError::Faults(vec![placed(&file, &text, spot, what)]))
            }
        }
    }

    fn raw(&self) -> Result<Raw, ConfigError> {
        let faults = check(&self.tree, &schema());
        if !faults.is_empty() {
            let placed = faults.into_iter().map(|(spot, what)| self.fault(spot, what));
            return Err(ConfigError::Faults(placed.collect()));
        }
        serde_json::from_value(self.tree.value())
            .map_err(|error| ConfigError::Faults(vec![self.fault(self.tree.at, error.to_string())]))
    }

    fn fault(&self, spot: Spot, what: String) -> Fault {
        placed(&self.file, &self.text, spot, what)
    }
}

/// The parser's message without the place that is told beside it.
fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn placed(file: &str, text: &str, spot: Spot, what: String) -> Fault {
    let line = text.lines().nth(spot.line.saturating_sub(1)).unwrap_or_default().to_owned();
    let place =
        Place::File { file: file.to_owned(), line: spot.line, column: spot.column, text: line };
    Fault { place, what }
}

fn place_of(source: Option<&Source>, keys: &[String]) -> Place {
    let Some(source) = source else { return Place::Flag("--peer") };
    let path: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut place = source.fault(source.tree.spot(&path), String::new()).place;
    if let (Place::File { text, .. }, Some("key" | "signing_key")) =
        (&mut place, path.last().copied())
    {
        // Somebody may have written the secret itself there.
        "…".clone_into(text);
    }
    place
}

/// Lays the flags over the file; tells which keys they set.
fn overlay(raw: &mut Raw, flags: &Flags) -> Result<Vec<Overridden>, ConfigError> {
    let mode: Option<Mode> = word_of("--mode", flags.mode.as_deref())?;
    let seal: Option<Seal> = word_of("--seal", flags.seal.as_deref())?;
    let mut set = Vec::new();
    let mut mark = |keys: &[&str], flag| {
        set.push((keys.iter().map(|key| (*key).to_owned()).collect(), flag));
    };
    if let Some(listen) = &flags.listen {
        raw.proxy.listen.clone_from(listen);
        mark(&["proxy", "listen"], "--listen");
    }
    if let Some(admin) = &flags.admin {
        raw.admin.listen.clone_from(admin);
        mark(&["admin", "listen"], "--admin");
    }
    if let Some(state) = &flags.state {
        raw.state.dir.clone_from(state);
    }
    if let Some(file) = &flags.signing_key {
        raw.seal.signing_key = Some(Secret::File(SecretFile { file: file.clone() }));
        mark(&["seal", "signing_key"], "--signing-key");
    }
    let unnamed = flags.peers.iter().filter(|peer| peer.name.is_none()).count();
    let mut number = 0;
    for peer in &flags.peers {
        let name = peer.name.clone().unwrap_or_else(|| {
            number += 1;
            if unnamed == 1 { "peer".to_owned() } else { format!("peer-{number}") }
        });
        mark(&["peers", &name], "--peer");
        raw.peers.insert(name, Peer::at(peer.url.clone()));
    }
    for peer in raw.peers.values_mut() {
        peer.mode = mode.or(peer.mode);
        peer.seal = seal.unwrap_or(peer.seal);
    }
    Ok(set)
}

/// A key that a flag set, and the flag.
type Overridden = (Vec<String>, &'static str);

/// One word of a closed set, as the file would write it.
fn word_of<T: DeserializeOwned>(
    flag: &'static str,
    word: Option<&str>,
) -> Result<Option<T>, ConfigError> {
    word.map(|word| serde_json::from_value(Value::from(word))).transpose().map_err(|error| {
        ConfigError::Faults(vec![Fault { place: Place::Flag(flag), what: error.to_string() }])
    })
}

fn flag_of(keys: &[String], set: &[Overridden]) -> Option<&'static str> {
    set.iter().find(|(prefix, _)| keys.starts_with(prefix)).map(|(_, flag)| *flag)
}

/// Checks a text as if it were a file; for tests of the messages.
#[cfg(test)]
pub(super) fn parse(file: &str, text: &str) -> Result<(Raw, Settings), ConfigError> {
    let source = Source::parse(file.to_owned(), text.to_owned())?;
    let raw = source.raw()?;
    let settings = Settings::build(&raw).map_err(|faults| {
        let placed = faults
            .into_iter()
            .map(|(keys, what)| Fault { place: place_of(Some(&source), &keys), what });
        ConfigError::Faults(placed.collect())
    })?;
    Ok((raw, settings))
}
