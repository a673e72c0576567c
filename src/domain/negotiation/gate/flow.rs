//! Where each value comes from and goes to, read off the operations without running them: one flow
//! for each way through the `cases` of a routine.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use crate::domain::routine::{MapEntry, Op};

/// More ways through a routine than this are not decided.
const WAYS_MAX: usize = 64;

/// What stands at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// A value of the document.
    Given {
        /// Where it stood; `*` stands for every item of an array.
        pointer: String,
        /// What was done to it, in order.
        changes: Vec<Change>,
        /// The values it can only have here.
        only: Option<Vec<Value>>,
    },
    /// A constant.
    Constant(Value),
    /// Text composed or cut.
    Composed {
        /// The operation, to be found among derived relations.
        op: Box<Op>,
        /// Where its sources stood.
        from: Vec<String>,
    },
}

/// What was done to one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Cast,
    Map(Vec<MapEntry>),
    Scale { factor: Number, offset: Option<Number> },
    Reshaped,
    Json,
    Date { from: String, to: String },
    Clamp,
    Copied,
}

/// A value that was taken away.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lost {
    pub(super) pointer: String,
    /// The only values that are taken away; `None` for any.
    pub(super) only: Option<Vec<Value>>,
}

/// One way through a list of operations.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// The tool that is called.
    pub(super) call: Option<String>,
    /// What stands where, at the end.
    pub(super) places: BTreeMap<String, Source>,
    /// What was taken away.
    pub(super) lost: Vec<Lost>,
    /// What could not be followed, in words.
    pub(super) undecided: Vec<String>,
    /// Whether some values are refused.
    pub(super) partial: bool,
}

/// Follows all ways through `ops` for a document with these declared members.
pub(super) fn follow(ops: &[Op], declared: &[String], call: Option<&str>) -> Vec<Flow> {
    let given = |pointer: &String| {
        let source = Source::Given { pointer: pointer.clone(), changes: Vec::new(), only: None };
        (pointer.clone(), source)
    };
    let start = Flow {
        call: call.map(str::to_owned),
        places: declared.iter().map(given).collect(),
        ..Flow::default()
    };
    list(ops, "", vec![start])
}

fn list(ops: &[Op], base: &str, mut flows: Vec<Flow>) -> Vec<Flow> {
    for op in ops {
        flows = flows.into_iter().flat_map(|flow| step(op, base, flow)).collect();
        if flows.len() > WAYS_MAX {
            flows.truncate(1);
            flows.iter_mut().for_each(|flow| {
                flow.undecided.push("more ways through the cases than can be followed".to_owned());
            });
        }
    }
    flows
}

fn step(op: &Op, base: &str, mut flow: Flow) -> Vec<Flow> {
    let place = |at: &jsonptr::PointerBuf| format!("{base}{at}");
    match op {
        Op::Cases { at, when, r#else } => {
            return fork(&place(at), when, r#else.as_deref(), base, flow);
        }
        Op::Each { at, ops } => return list(ops, &format!("{}/*", place(at)), vec![flow]),
        Op::Call { tool } => flow.call = Some(tool.clone()),
        Op::Move { from, to, .. } => flow.carry(&place(from), &place(to)),
        Op::Copy { from, to, .. } => flow.copy(&place(from), &place(to)),
        Op::Remove { at } => flow.remove(&place(at), None),
        Op::RemoveIf { at, one_of } => flow.remove(&place(at), Some(one_of)),
        Op::Set { at, value } => flow.constant(&place(at), value),
        Op::Default { at, value } => flow.fill(&place(at), value),
        Op::RefuseIf { at, not_one_of, .. } => flow.refuse(&place(at), not_one_of.as_deref()),
        // Whatever fits goes on as it is.
        Op::RefuseUnless { .. } => flow.partial = true,
        Op::Cast { at, .. } => flow.change(&place(at), Change::Cast),
        Op::Map { at, table } => flow.change(&place(at), Change::Map(table.clone())),
        Op::Scale { at, factor, offset } => {
            let (factor, offset) = (factor.clone(), offset.clone());
            flow.change(&place(at), Change::Scale { factor, offset });
        }
        Op::Wrap { at } => flow.change(&place(at), Change::Reshaped),
        Op::Unwrap { at, member } => {
            flow.partial |= member.is_none();
            flow.change(&place(at), Change::Reshaped);
        }
        Op::Parse { at } | Op::Print { at } => flow.change(&place(at), Change::Json),
        Op::Date { at, from, to } => {
            flow.change(&place(at), Change::Date { from: from.clone(), to: to.clone() });
        }
        Op::Clamp { at, .. } => flow.change(&place(at), Change::Clamp),
        Op::Split { from, to, .. } => {
            let sources = flow.taken(&place(from));
            to.iter().for_each(|to| flow.composed(op, sources.clone(), &place(to)));
        }
        Op::Join { from, to, .. } => {
            let sources = from.iter().flat_map(|from| flow.taken(&place(from))).collect();
            flow.composed(op, sources, &place(to));
        }
        Op::Template { text, to } => {
            let read = pointers(text);
            let sources = read.iter().flat_map(|at| flow.read(&format!("{base}{at}"))).collect();
            flow.composed(op, sources, &place(to));
        }
        Op::Extract { from, to, .. } => {
            let sources = flow.read(&place(from));
            flow.composed(op, sources, &place(to));
        }
    }
    vec![flow]
}

/// The pointers of a template.
pub(super) fn pointers(text: &str) -> Vec<String> {
    let text = text.replace("{{", "");
    let parts = text.split('{').skip(1);
    parts.filter_map(|part| part.split_once('}')).map(|(at, _)| at.to_owned()).collect()
}

fn fork(
    at: &str,
    when: &[crate::domain::routine::CaseArm],
    other: Option<&[Op]>,
    base: &str,
    flow: Flow,
) -> Vec<Flow> {
    let mut flows = Vec::new();
    for arm in when {
        let mut way = flow.clone();
        match &arm.is {
            Some(values) => way.narrow(at, values),
            None => drop(way.places.remove(at)),
        }
        flows.extend(list(&arm.ops, base, vec![way]));
    }
    match other {
        Some(ops) => flows.extend(list(ops, base, vec![flow])),
        None => flows.iter_mut().for_each(|flow| flow.partial = true),
    }
    flows
}

impl Flow {
    /// Makes a member of a followed value a place of its own.
    fn known(&mut self, at: &str) -> bool {
        if self.places.contains_key(at) {
            return true;
        }
        let mut above = at;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            match self.places.get(above) {
                Some(Source::Given { pointer, changes, .. }) if changes.is_empty() => {
                    let pointer = format!("{pointer}{}", &at[above.len()..]);
                    let source = Source::Given { pointer, changes: Vec::new(), only: None };
                    self.places.insert(at.to_owned(), source);
                    return true;
                }
                Some(_) => {
                    self.undecided.push(format!("{at} lies within a value that was changed"));
                    return true;
                }
                None => {}
            }
        }
        if at.is_empty() {
            self.undecided.push("an operation on the whole value cannot be followed".to_owned());
        }
        false
    }

    fn narrow(&mut self, at: &str, values: &[Value]) {
        self.known(at);
        if let Some(Source::Given { only, changes, .. }) = self.places.get_mut(at)
            && changes.is_empty()
        {
            *only = Some(values.to_vec());
        }
    }

    fn carry(&mut self, from: &str, to: &str) {
        if !self.known(from) {
            // Undeclared, so nothing of the promise; what moves is not known.
            self.undecided.push(format!("{from} is not declared"));
            return;
        }
        let moved: Vec<String> =
            self.places.keys().filter(|place| belongs(place, from)).cloned().collect();
        for at in moved {
            if let Some(source) = self.places.remove(&at) {
                self.places.insert(format!("{to}{}", &at[from.len()..]), source);
            }
        }
    }

    fn copy(&mut self, from: &str, to: &str) {
        if !self.known(from) {
            self.undecided.push(format!("{from} is not declared"));
            return;
        }
        if let Some(mut source) = self.places.get(from).cloned() {
            if let Source::Given { changes, .. } = &mut source {
                changes.push(Change::Copied);
            }
            self.places.insert(to.to_owned(), source);
        }
    }

    fn remove(&mut self, at: &str, values: Option<&Vec<Value>>) {
        if !self.known(at) {
            return;
        }
        let Some(Source::Given { pointer, only, .. }) = self.places.get(at) else {
            if values.is_none() {
                self.places.remove(at);
            }
            return;
        };
        let lost = Lost { pointer: pointer.clone(), only: values.or(only.as_ref()).cloned() };
        self.lost.push(lost);
        if values.is_none() {
            self.places.retain(|place, _| !belongs(place, at));
        }
    }

    fn constant(&mut self, at: &str, value: &Value) {
        self.places.insert(at.to_owned(), Source::Constant(value.clone()));
    }

    fn fill(&mut self, at: &str, value: &Value) {
        let shadow = format!("{at}{DEFAULTED}");
        let place = if self.known(at) { shadow } else { at.to_owned() };
        self.places.insert(place, Source::Constant(value.clone()));
    }

    fn refuse(&mut self, at: &str, values: Option<&[Value]>) {
        self.partial = true;
        match values {
            Some(values) if !values.is_empty() => self.narrow(at, values),
            _ => {
                self.places.retain(|place, _| !belongs(place, at));
            }
        }
    }

    fn change(&mut self, at: &str, change: Change) {
        if !self.known(at) {
            return;
        }
        match self.places.get_mut(at) {
            Some(Source::Given { changes, .. }) => changes.push(change),
            Some(_) => self.undecided.push(format!("{at} is made and then changed")),
            None => {}
        }
    }

    /// The pointers that a value at a place comes from.
    fn read(&mut self, at: &str) -> Vec<String> {
        if !self.known(at) {
            return vec![at.to_owned()];
        }
        match self.places.get(at) {
            Some(Source::Given { pointer, .. }) => vec![pointer.clone()],
            Some(Source::Composed { from, .. }) => from.clone(),
            _ => Vec::new(),
        }
    }

    fn taken(&mut self, at: &str) -> Vec<String> {
        let sources = self.read(at);
        self.places.remove(at);
        sources
    }

    fn composed(&mut self, op: &Op, from: Vec<String>, to: &str) {
        self.places.insert(to.to_owned(), Source::Composed { op: Box::new(op.clone()), from });
    }
}

/// Whether a place is `at`, lies within it, or is its default.
fn belongs(place: &str, at: &str) -> bool {
    place
        .strip_prefix(at)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == DEFAULTED)
}

/// Marks the place of a default beside a value that may be absent.
pub(super) const DEFAULTED: &str = "\u{1}default";
