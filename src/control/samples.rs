//! Recent exchanges of each tool, kept for paired replay: few, small, in memory alone, never of a tool
//! that writes, never one that carries a secret.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::domain::message::{Principal, ToolName, holds_secret};
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
    /// Keeps a sample; the oldest of the tool goes where there are more than `keep`. One that carries a
    /// secret is not kept: with the secret taken out it would be another call.
    pub(super) fn keep(
        &mut self,
        tool: &ToolName,
        principal: &Principal,
        sample: Sample,
        keep: usize,
    ) {
        let size = sample.arguments.len() + sample.structured.as_ref().map_or(0, bytes::Bytes::len);
        if size > SAMPLE_BYTES_MAX || keep == 0 || is_secret(&sample) {
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

/// Whether arguments or reply carry a secret; what cannot be read might.
fn is_secret(sample: &Sample) -> bool {
    let texts = [Some(&sample.arguments), sample.structured.as_ref()];
    texts.into_iter().flatten().any(|text| {
        serde_json::from_slice::<Value>(text).map_or(true, |document| holds_secret(&document))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn few_are_kept_and_none_that_carries_a_secret() {
        let (mut samples, tool) = (Samples::default(), ToolName::from("search"));
        let rows = [
            (r#"{"q":"a"}"#, Some(r#"{"n":1}"#), true),
            (r#"{"q":"b","api_key":"k"}"#, Some(r#"{"n":1}"#), false),
            (r#"{"q":"c"}"#, Some(r#"{"session":{"token":"t"}}"#), false),
            (r#"{"q":"#, None, false),
            (r#"{"q":"d","page_token":"t"}"#, None, true),
            (r#"{"q":"e"}"#, None, true),
        ];
        let mut expected = Vec::new();
        for (arguments, structured, kept) in rows {
            let sample = Sample {
                arguments: Bytes::from_static(arguments.as_bytes()),
                structured: structured.map(|text| Bytes::from_static(text.as_bytes())),
                in_text: false,
            };
            samples.keep(&tool, &Principal::anonymous(), sample, 2);
            if kept {
                expected.push(arguments);
            }
            let found: Vec<_> =
                samples.of("search").map(|it| it.sample.arguments.clone()).collect();
            assert_eq!(found, expected[expected.len().saturating_sub(2)..]);
        }
    }
}
