//! Tables for people, JSON for scripts.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts: one JSON value on standard output.
    Json,
}

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Prints in one format.
    pub fn new(format: Format) -> Self {
        Self { format }
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints a result: the value as JSON, or `human` for people.
    pub fn show<T: Serialize + ?Sized>(
        &self,
        value: &T,
        human: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table => human(),
            Format::Json => serde_json::to_string_pretty(value)
                .map_err(|error| CliError::failed(format!("cannot print: {error}")))?,
        };
        print(text.trim_end())
    }

    /// Prints one of many results as they come: a JSON value per line.
    pub fn stream<T: Serialize + ?Sized>(
        &self,
        value: &T,
        human: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table => human(),
            Format::Json => serde_json::to_string(value)
                .map_err(|error| CliError::failed(format!("cannot print: {error}")))?,
        };
        print(&text)
    }

    /// Says something on the side; never part of a result.
    pub fn note(&self, text: &str) {
        if self.format == Format::Table {
            eprintln!("note: {text}");
        }
    }

    /// Says how far it is.
    pub fn progress(&self, text: &str) {
        if self.format == Format::Table {
            eprintln!("{text}");
        }
    }
}

/// How often it is looked whether anyone still reads.
const LOOK: Duration = Duration::from_millis(250);

/// Returns when nobody reads standard output any more, as after `tonle block follow | head`: what
/// prints rarely would not notice by itself.
pub async fn reader_gone() {
    loop {
        let stdout = io::stdout();
        let mut out = [PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty())];
        // Errors are always reported; a pipe without a reader is one.
        let polled = poll(&mut out, Some(&Timespec::default()));
        if polled.is_ok() && out.iter().any(|fd| fd.revents().contains(PollFlags::ERR)) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // Whoever read has seen enough, as in `tonle block follow | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(Into::into),
    }
}

/// Lines up rows under headings. A heading that starts with `>` has its column right-aligned, as
/// numbers want it.
pub fn table<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.map(|heading| heading.trim_start_matches('>')));
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            let left = if index == 0 { 0 } else { 1 };
            column.set_padding((left, 1));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Names and values of one thing, one a line.
pub fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, value)| format!("{name:<width$}  {}", printable(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// What a node or a file says must not drive the terminal, nor turn the order of its letters
/// around: what is signed is read first.
pub fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let safe = |c: char| match c.is_control() || turns(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(safe).collect()
}

/// A hash or key short enough for a table.
pub fn short(value: &impl ToString) -> String {
    let text = value.to_string();
    let digits = text.strip_prefix("ed0120").unwrap_or(&text);
    match digits.get(..12) {
        Some(head) => format!("{head}…"),
        None => digits.to_string(),
    }
}

/// The word for one or many.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_aligned_under_their_heading() {
        let rows = vec![["khr#nbc".into(), "20000".into()], ["usd#nbc".into(), "5".into()]];
        let text = table(["ASSET", ">AVAILABLE"], rows);
        assert_eq!(text, "ASSET    AVAILABLE\nkhr#nbc      20000\nusd#nbc          5");
    }

    #[test]
    fn what_a_node_sends_cannot_drive_the_terminal() {
        let text = table(["MEMO"], vec![["\u{1b}[31mred".into()]]);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(!fields(&[("memo", "\u{1b}[2J".into())]).contains('\u{1b}'));
        assert!(!fields(&[("memo", "\u{202e}005".into())]).contains('\u{202e}'));
    }
}
