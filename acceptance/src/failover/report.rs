//! What came of the trials: a row of JSON for each, and a table of medians and ranges.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cluster::{Befell, Replication, Variant};
use super::fault::Fault;
use super::system::System;
use super::ways::Redirect;

/// One trial.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which system.
    pub system: System,
    /// Its name with versions.
    pub title: String,
    /// How it was set up.
    pub variant: Variant,
    /// Whether commits were told to wait.
    pub replication: Replication,
    /// How clients found the primary.
    pub front: String,
    /// What happened.
    pub fault: Fault,
    /// Which one of many.
    pub trial: u32,
    /// By what the fault's moment was drawn.
    pub seed: u64,
    /// When.
    pub started_unix_s: u64,
    /// The machine's load at the end, which counts what others ran too.
    pub load_average: String,
    /// The host that was primary.
    pub primary_before: u8,
    /// The host that was primary in the end; none if the system named none.
    pub primary_after: Option<u8>,
    /// The host on which it was decided.
    pub decider: u8,
    /// The longest time without an acknowledged commit that ended after the fault.
    pub rto_ms: Option<f64>,
    /// How long there had been none when the trial ended, instead.
    pub outage_lasting_ms: Option<f64>,
    /// How many commits were acknowledged.
    pub commits: usize,
    /// How many of them the last primary lacks; none if there is no primary.
    pub lost: Option<usize>,
    /// How many writes it lacks that the observer was told of by whichever server it asked.
    pub lost_probes: Option<usize>,
    /// How many servers took writes at once, at most.
    pub writers_max: usize,
    /// For how long two or more did.
    pub two_writers_ms: f64,
    /// When the last node led to the new primary.
    pub redirect: Redirect,
    /// From the mending until all copies followed again; none if they didn't.
    pub whole_after_ms: Option<f64>,
    /// What a person who looked before the mending was told.
    pub told: String,
    /// What a person who looked in the end was told, if writes were not acknowledged then or not every copy
    /// followed.
    pub told_in_the_end: Option<String>,
    /// What befell the primary's machine, if it is one of its own.
    pub befell: Vec<Befell>,
}

/// A Markdown table: one line for each system, setting and fault.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut groups: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let key = (row.fault, row.system, row.variant, row.replication);
        groups.entry(key).or_default().push(row);
    }
    let mut text = String::from(
        "| fault | system | set up | trials | RTO, s: median (range) | acknowledged and lost | \
         to the observer alone | writers at once, most | two writers, s | whole again after, s | \
         redirect at the last node, s | after the first node, s |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for ((fault, _, variant, replication), rows) in groups {
        let title = rows.first().map_or("", |row| row.title.as_str());
        let waits = waits(replication);
        let set_up = match variant {
            Variant::Default => "default",
            Variant::Tuned => "tuned",
        };
        let writers = rows.iter().map(|row| row.writers_max).max().unwrap_or(0);
        text += &format!(
            "| {} | {title} | {set_up}{waits} | {} | {} | {} | {} | {writers} | {} | {} | {} | {} |\n",
            fault.name(),
            rows.len(),
            spread_of(&rows, |row| Some(row.rto_ms)),
            each(rows.iter().map(|row| row.lost)),
            each(rows.iter().map(|row| row.lost_probes)),
            spread_of(&rows, |row| Some(Some(row.two_writers_ms))),
            spread_of(&rows, |row| Some(row.whole_after_ms)),
            spread_of(&rows, |row| led(row, |after_write_ms, _| after_write_ms)),
            spread_of(&rows, |row| led(row, |_, after_first_ms| after_first_ms)),
        );
    }
    let fronts: BTreeMap<&str, &str> = rows
        .iter()
        .map(|row| (row.title.as_str(), row.front.as_str()))
        .collect();
    for (title, front) in fronts {
        text += &format!("\n{title}: {front}.");
    }
    for row in rows.iter().filter(|row| !row.befell.is_empty()) {
        let events = row.befell.iter();
        let events = events.map(|it| format!("{} after {} s", it.what, seconds(it.after_ms)));
        let events: Vec<String> = events.collect();
        let (fault, waits) = (row.fault.name(), waits(row.replication));
        text += &format!(
            "\n{fault}{waits}, {}: the machine: {}.",
            row.trial,
            events.join(", ")
        );
    }
    text.push('\n');
    text
}

/// What a person was told near the end of each fault, in Markdown: the first trial's words of each line
/// of the table.
#[must_use]
pub fn told(rows: &[Row]) -> String {
    let mut first: BTreeMap<_, &Row> = BTreeMap::new();
    for row in rows {
        let key = (row.fault, row.system, row.variant, row.replication);
        first.entry(key).or_insert(row);
    }
    let mut text = String::new();
    for ((fault, ..), row) in first {
        text += &format!(
            "\n<details><summary>{}: {}</summary>\n\n```text\n{}\n```\n\n</details>\n",
            row.title,
            fault.name(),
            row.told.trim().replace("```", "'''")
        );
    }
    text
}

fn waits(replication: Replication) -> &'static str {
    match replication {
        Replication::Default => "",
        Replication::Sync => ", sync",
        Replication::Async => ", async",
    }
}

fn each(counts: impl Iterator<Item = Option<usize>>) -> String {
    let texts: Vec<String> = counts
        .map(|count| count.map_or("?".to_owned(), |count| count.to_string()))
        .collect();
    texts.join(", ")
}

/// One of the figures of how nodes were led, of a row that has them.
fn led(row: &Row, figure: fn(f64, f64) -> f64) -> Option<Option<f64>> {
    match row.redirect {
        Redirect::NotNeeded => None,
        Redirect::Late => Some(None),
        Redirect::Done {
            after_write_ms,
            after_first_ms,
        } => Some(Some(figure(after_write_ms, after_first_ms))),
    }
}

/// The median and the range of a figure of those rows that have it.
fn spread_of(rows: &[&Row], figure: impl Fn(&Row) -> Option<Option<f64>>) -> String {
    let times: Vec<Option<f64>> = rows.iter().filter_map(|row| figure(row)).collect();
    spread(&times)
}

/// The median and the range in seconds; what never ended is longer than all that did.
fn spread(times_ms: &[Option<f64>]) -> String {
    let mut sorted: Vec<f64> = times_ms
        .iter()
        .map(|time| time.unwrap_or(f64::INFINITY))
        .collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
        return "–".to_owned();
    };
    let upper = sorted.len() / 2;
    let lower = (sorted.len() - 1) / 2;
    let median = f64::midpoint(sorted[lower], sorted[upper]);
    if sorted.len() == 1 {
        return seconds(median);
    }
    format!(
        "{} ({}–{})",
        seconds(median),
        seconds(*least),
        seconds(*most)
    )
}

fn seconds(time_ms: f64) -> String {
    if time_ms.is_infinite() {
        return "never".to_owned();
    }
    format!("{:.2}", time_ms / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(spread(&[Some(4_000.0), Some(1_000.0)]), "2.50 (1.00–4.00)");
        let odd = [Some(9_000.0), Some(1_000.0), Some(2_000.0)];
        assert_eq!(spread(&odd), "2.00 (1.00–9.00)");
    }

    #[test]
    fn what_never_ended_is_the_longest() {
        assert_eq!(
            spread(&[None, Some(1_000.0), Some(2_000.0)]),
            "2.00 (1.00–never)"
        );
        assert_eq!(spread(&[None, None, Some(2_000.0)]), "never (2.00–never)");
        assert_eq!(spread(&[None]), "never");
        assert_eq!(spread(&[]), "–");
    }
}
