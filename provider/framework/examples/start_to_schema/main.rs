//! Measures how long a provider takes from its start to its schema, and what it weighs then.
//!
//! Run it as `cargo run --release --example start_to_schema -- ours=PATH peer=PATH`: it starts the
//! providers in turn, as Terraform would (pinned mutual TLS, a socket of its own for each), and
//! prints a table with the first divided by each of the others. A provider of protocol 5 is asked
//! by the name that the call has there. It configures no provider and keeps nothing.

mod figures;
mod plugin;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use figures::{Figure, Figures, schema_size, table};
use plugin::{Identity, Started};

/// Odd, so that a median is a run that took place.
const RUNS_DEFAULT: usize = 21;

const RUNS_MAX: usize = 1001;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One provider under measurement.
struct Candidate {
    name: String,
    path: PathBuf,
    figures: Figures,
    schema: Vec<u8>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match measure().await {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(text: &str) {
    print!("{text}");
}

async fn measure() -> Result<String> {
    let (runs, mut candidates) = arguments()?;
    // Made once: what the client needs is not the providers' to answer for.
    let identity = Identity::new()?;
    // The first round fills the page cache and does not count.
    for round in 0..=runs {
        for candidate in &mut candidates {
            let started = Started::new(&candidate.path, &identity)
                .await
                .map_err(|error| format!("{}: {error}", candidate.path.display()))?;
            if round == 0 {
                candidate.schema = started.schema;
                continue;
            }
            let figures = &mut candidate.figures;
            figures.add(Figure::Handshake, started.handshake.as_secs_f64() * 1e3);
            figures.add(Figure::Schema, started.answered.as_secs_f64() * 1e3);
            figures.add(Figure::Resident, started.resident_kib / 1024.0);
            figures.add(Figure::Anonymous, started.anonymous_kib / 1024.0);
        }
    }
    for candidate in &mut candidates {
        let bytes = std::fs::metadata(&candidate.path)?.len();
        #[expect(clippy::cast_precision_loss, reason = "a file's size in MiB")]
        candidate
            .figures
            .add(Figure::Binary, bytes as f64 / 1024.0 / 1024.0);
    }
    let columns: Vec<_> = candidates
        .iter()
        .map(|candidate| (candidate.name.as_str(), &candidate.figures))
        .collect();
    let mut text = format!("{runs} starts each, in turn; median (first to third quartile).\n\n");
    text += &table(&columns);
    text.push('\n');
    for candidate in &candidates {
        let size = schema_size(&candidate.schema)?;
        text += &format!("- schema of {}: {size}\n", candidate.name);
    }
    Ok(text)
}

fn arguments() -> Result<(usize, Vec<Candidate>)> {
    let mut runs = RUNS_DEFAULT;
    let mut candidates = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--runs" {
            runs = words.next().ok_or("--runs needs a number")?.parse()?;
            continue;
        }
        let (name, path) = word.split_once('=').ok_or("each provider is NAME=PATH")?;
        candidates.push(Candidate {
            name: name.to_owned(),
            path: path.into(),
            figures: Figures::default(),
            schema: Vec::new(),
        });
    }
    if candidates.is_empty() || !(1..=RUNS_MAX).contains(&runs) {
        return Err(format!("usage: start_to_schema [--runs 1..{RUNS_MAX}] NAME=PATH...").into());
    }
    Ok((runs, candidates))
}
