//! What commands print.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;

/// Prints a value or a table to stdout, with an end of line.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("unable to print"),
    }
}

/// Prints JSON to stdout.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Says on stderr how far the command is.
pub fn progress(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says on stderr why the command failed.
pub fn complain(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some errors repeat their source: once is enough.
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    progress(&format!("Error: {text}"));
}

/// Says on stderr where an old voter's state is now, if there was one.
pub fn tell_set_aside(path: Option<&Path>) {
    if let Some(path) = path {
        progress(&format!(
            "What this node knew as a voter of the old federation is kept in {}; delete it once \
             nobody needs it.",
            path.display()
        ));
    }
}

/// A table with a heading.
#[must_use]
pub fn table(heading: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(
            heading
                .iter()
                .map(|text| Cell::new(text).add_attribute(Attribute::Bold)),
        );
    if !io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table
}

/// A cell that is green when things are as they should be, else red.
#[must_use]
pub fn verdict(text: impl ToString, good: bool) -> Cell {
    Cell::new(text.to_string()).fg(if good { Color::Green } else { Color::Red })
}

/// A time span, roughly.
#[must_use]
pub fn age(age_ms: u64) -> String {
    match age_ms / 1000 {
        0 => "now".to_owned(),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// A moment that others saw, roughly how long ago by this machine's clock; 0: never noted.
#[must_use]
pub fn since(unix_s: u64) -> String {
    if unix_s == 0 {
        return "ever".to_owned();
    }
    let age_s = (crate::clock::wall_ms() / 1000).saturating_sub(unix_s);
    match age_s {
        0 => "now".to_owned(),
        _ => format!("{} ago", age(age_s.saturating_mul(1000))),
    }
}

/// An amount of bytes, roughly.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20)];
    let unit = units.into_iter().find(|(_, shift)| bytes >> shift >= 10);
    let (name, shift) = unit.unwrap_or(("KiB", 10));
    format!("{} {name}", bytes >> shift)
}

/// A table as text, without trailing blanks.
#[must_use]
pub fn lines(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}
