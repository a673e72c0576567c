//! Recent exchanges of each tool, kept for paired replay: few, small, never of a tool that writes.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::message::{Principal, ToolName};
use crate::live::Sample;

/// Bytes of one sample above which it is not kept.
const SAMPLE_BYTES_MAX: usize = 256 * 1024;

/// The ring of recent samples, tool by tool.
#[derive(Debug, Default)]
pub(super) struct Samples {
    by_tool: BTreeMap<ToolName, VecDeque<Recorded>>,
}

/// A sample with who made it: a replay uses only the samples of the principal it travels as.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) principal: Principal,
    pub(super) sample: Sample,
}

impl Samples {
    /// Keeps a sample; the oldest of the tool goes where there are more than `keep`.
    pub(super) fn keep(
        &mut self,
        tool: &ToolName,
        principal: &Principal,
        sample: Sample,
        keep: usize,
    ) {
        let size = sample.arguments.len() + sample.structured.as_ref().map_or(0, bytes::Bytes::len);
        if size > SAMPLE_BYTES_MAX || keep == 0 {
            return;
        }
        let ring = self.by_tool.entry(tool.clone()).or_default();
        ring.push_back(Recorded { principal: principal.clone(), sample });
        while ring.len() > keep {
            ring.pop_front();
        }
    }

    /// The samples of a tool, oldest first.
    pub(super) fn of(&self, tool: &str) -> impl Iterator<Item = &Recorded> {
        self.by_tool.get(tool).into_iter().flatten()
    }
}
