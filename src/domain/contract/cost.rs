//! What judging by a schema may cost, settled before it is compiled: once it runs, no timeout
//! can stop it.

use serde_json::{Map, Value};

use super::applied::{Applied, LooksAt, graph, held};
use super::refused::SchemaRefused;

/// Bytes of the schema's text.
const BYTES: usize = 256 << 10;
/// Values inside one another.
const DEPTH: usize = 64;
/// Values and keys.
const NODES: usize = 10_000;
/// Subschemas once every `$ref` is unfolded.
const UNFOLDED: u64 = 100_000;
/// Subschemas inside one another once every `$ref` is unfolded.
const NESTED: u32 = 192;
/// Subschemas inside one another that look at the same value.
const IN_PLACE: u32 = 48;
/// `unevaluatedProperties` and `unevaluatedItems` inside one another: each doubles the work.
const UNEVALUATED: u32 = 3;
/// `patternProperties` of one object.
const PATTERN_PROPERTIES: usize = 64;
/// Expressions in all; each may take a megabyte.
const PATTERNS: usize = 256;
/// Values of one `enum`.
const ENUM: usize = 2_000;

/// The dialects that are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `http://json-schema.org/draft-07/schema`
    Draft7,
    /// `https://json-schema.org/draft/2020-12/schema`
    Draft202012,
}

/// What the gate learned of a schema that may be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) dialect: Dialect,
    /// Subschemas inside one another, `$ref` unfolded, a cycle once.
    pub(super) nested: u32,
    /// Those of them that look at one value, at most.
    pub(super) in_place: u32,
    /// Whether it refers to itself: then a value may be judged as deep as it goes.
    pub(super) recursive: bool,
}

/// Lets a schema pass, or tells where and why not.
///
/// # Errors
/// The first limit that it passes, or what cannot be weighed.
pub(super) fn gate(source: &Value) -> Result<Cost, SchemaRefused> {
    size(source)?;
    let dialect = dialect(source)?;
    let mut patterns = 0;
    local_limits(source, "", &mut patterns)?;
    let graph = graph(source)?;
    let mut scales = Scales { weighed: vec![Weighed::No; graph.len()], recursive: false, graph };
    let in_place = scales.in_place()?;
    let whole = scales.weigh(0, 1)?;
    Ok(Cost { dialect, nested: whole.nested, in_place, recursive: scales.recursive })
}

fn refused(pointer: &str, what: impl Into<String>) -> SchemaRefused {
    SchemaRefused { pointer: pointer.to_owned(), what: what.into() }
}

/// Depth, nodes and bytes, without recursion: the source may be nested as deep as it likes.
fn size(source: &Value) -> Result<(), SchemaRefused> {
    let (mut nodes, mut bytes) = (0_usize, 0_usize);
    let mut open = vec![(source, 1_usize)];
    while let Some((value, depth)) = open.pop() {
        nodes += 1;
        bytes += match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => items.len() + 1,
            Value::Object(members) => members.keys().map(|key| key.len() + 4).sum::<usize>() + 1,
            _ => 4,
        };
        if depth > DEPTH {
            return Err(refused("", format!("nested deeper than {DEPTH} levels")));
        }
        if nodes + open.len() > NODES {
            return Err(refused("", format!("more than {NODES} values")));
        }
        if bytes > BYTES {
            return Err(refused("", format!("longer than {BYTES} bytes")));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                nodes += members.len();
                open.extend(members.values().map(|member| (member, depth + 1)));
            }
            _ => {}
        }
    }
    Ok(())
}

fn dialect(source: &Value) -> Result<Dialect, SchemaRefused> {
    let Some(named) = source.get("$schema") else { return Ok(Dialect::Draft202012) };
    let name = named.as_str().unwrap_or_default();
    let bare = name.trim_end_matches('#');
    match bare.split_once("://").map_or(bare, |(_, rest)| rest) {
        "json-schema.org/draft-07/schema" => Ok(Dialect::Draft7),
        "json-schema.org/draft/2020-12/schema" => Ok(Dialect::Draft202012),
        _ => Err(refused(
            "/$schema",
            format!("dialect {named} is not judged: use draft-07 or 2020-12, or leave it out"),
        )),
    }
}

/// The limits that one schema object passes or keeps by itself.
fn local_limits(schema: &Value, pointer: &str, patterns: &mut usize) -> Result<(), SchemaRefused> {
    let Value::Object(members) = schema else { return Ok(()) };
    let entries = |keyword: &str| entries(members, keyword);
    if entries("enum") > ENUM {
        return Err(refused(pointer, format!("more than {ENUM} values in one enum")));
    }
    if entries("patternProperties") > PATTERN_PROPERTIES {
        let what = format!("more than {PATTERN_PROPERTIES} patternProperties in one object");
        return Err(refused(pointer, what));
    }
    *patterns += entries("patternProperties") + usize::from(members.contains_key("pattern"));
    if *patterns > PATTERNS {
        return Err(refused(pointer, format!("more than {PATTERNS} patterns in one schema")));
    }
    if !pointer.is_empty() && members.contains_key("$schema") {
        return Err(refused(pointer, "a dialect can be named at the root only"));
    }
    held(members, pointer).try_for_each(|(place, inner, _)| local_limits(inner, &place, patterns))
}

fn entries(schema: &Map<String, Value>, keyword: &str) -> usize {
    match schema.get(keyword) {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(named)) => named.len(),
        _ => 0,
    }
}

/// A subschema with all that it applies.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    unfolded: u64,
    nested: u32,
    unevaluated: u32,
}

#[derive(Clone, Copy, Debug)]
enum Weighed {
    No,
    /// On the way to itself.
    Open,
    Done(Weight),
}

#[derive(Debug)]
struct Scales {
    graph: Vec<Applied>,
    weighed: Vec<Weighed>,
    recursive: bool,
}

impl Scales {
    /// Weighs a subschema once; met again it costs a look-up, met inside itself it counts one.
    fn weigh(&mut self, at: usize, level: u32) -> Result<Weight, SchemaRefused> {
        match self.weighed[at] {
            Weighed::Done(weight) => return Ok(weight),
            Weighed::Open => {
                self.recursive = true;
                return Ok(Weight { unfolded: 1, nested: 1, unevaluated: 0 });
            }
            Weighed::No if level > NESTED => return Err(self.too_nested(at)),
            Weighed::No => self.weighed[at] = Weighed::Open,
        }
        let mut sum = Weight { unfolded: 1, nested: 1, unevaluated: 0 };
        for next in 0..self.graph[at].applies.len() {
            let inner = self.weigh(self.graph[at].applies[next].0, level + 1)?;
            sum.unfolded = sum.unfolded.saturating_add(inner.unfolded);
            sum.nested = sum.nested.max(inner.nested + 1);
            sum.unevaluated = sum.unevaluated.max(inner.unevaluated);
        }
        sum.unevaluated += u32::from(self.graph[at].unevaluated);
        if sum.nested > NESTED {
            return Err(self.too_nested(at));
        }
        let pointer = &self.graph[at].pointer;
        if sum.unfolded > UNFOLDED {
            let what = format!("more than {UNFOLDED} subschemas once every $ref is unfolded");
            return Err(refused(pointer, what));
        }
        if sum.unevaluated > UNEVALUATED {
            let what = format!("more than {UNEVALUATED} unevaluated keywords inside one another");
            return Err(refused(pointer, what));
        }
        self.weighed[at] = Weighed::Done(sum);
        Ok(sum)
    }

    fn too_nested(&self, at: usize) -> SchemaRefused {
        let what = format!("more than {NESTED} subschemas inside one another");
        refused(&self.graph[at].pointer, what)
    }

    /// How many subschemas inside one another look at one value, at most; none in a circle.
    fn in_place(&self) -> Result<u32, SchemaRefused> {
        let mut heights = vec![Height::No; self.graph.len()];
        (0..self.graph.len())
            .try_fold(0, |most, at| Ok(most.max(self.height(at, 1, &mut heights)?)))
    }

    fn height(&self, at: usize, level: u32, heights: &mut [Height]) -> Result<u32, SchemaRefused> {
        let pointer = &self.graph[at].pointer;
        match heights[at] {
            Height::Done(height) => return Ok(height),
            Height::Open => {
                return Err(refused(pointer, "applies itself to the same value for ever"));
            }
            Height::No => heights[at] = Height::Open,
        }
        let mut height = 1;
        // The level keeps this recursion short; the height is what counts, on whatever way.
        if level <= IN_PLACE {
            for (next, looks_at) in &self.graph[at].applies {
                if *looks_at == LooksAt::Same {
                    height = height.max(1 + self.height(*next, level + 1, heights)?);
                }
            }
        }
        if level > IN_PLACE || height > IN_PLACE {
            let what = format!("more than {IN_PLACE} subschemas inside one another at one value");
            return Err(refused(pointer, what));
        }
        heights[at] = Height::Done(height);
        Ok(height)
    }
}

#[derive(Clone, Copy, Debug)]
enum Height {
    No,
    Open,
    Done(u32),
}
