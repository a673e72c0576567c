//! What a story came to: the text that is printed, the artifacts behind it, and whether it went as it
//! should.

use serde_json::Value;

/// The account of a story.
#[derive(Clone, Debug, Default)]
pub struct Account {
    text: String,
    artifacts: Vec<(String, Value)>,
    missed: Vec<String>,
}

impl Account {
    /// The text; a line that does not begin with a blank is a heading or a figure.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The artifacts: file name and content.
    #[must_use]
    pub fn artifacts(&self) -> &[(String, Value)] {
        &self.artifacts
    }

    /// What did not go as the story says it should; nothing where all did.
    #[must_use]
    pub fn missed(&self) -> &[String] {
        &self.missed
    }

    /// Adds a line.
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref().trim_end());
        self.text.push('\n');
    }

    /// Adds rows below a heading, their cells aligned.
    pub(super) fn table(&mut self, heading: &str, rows: &[Vec<String>]) {
        self.line(heading);
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("  {cell:width$}"));
            self.line(cells.collect::<String>());
        }
        self.line("");
    }

    /// Adds an artifact.
    pub(super) fn artifact(&mut self, name: &str, content: Value) {
        self.artifacts.push((name.to_owned(), content));
    }

    /// States what must hold.
    pub(super) fn expect(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.missed.push(what.into());
        }
    }
}
