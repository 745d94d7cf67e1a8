//! Measures a provider beside another of the same schema: how long it takes from its start to its
//! schema, what it weighs, and the processor time of a plan of 1,000 objects.
//!
//! Run it as `cargo run --release --example bench_provider -- OURS=PATH PEER=PATH also:NAME=PATH`:
//! it starts the providers in turn, as Terraform would (pinned mutual TLS, a socket of its own for
//! each), and prints a table with ratios. The peer is measured twice: as Terraform runs it, when a
//! provider in Go writes logs that nobody asked for, and with its logs off. It refuses to compare
//! schemas that differ in more than descriptions. A further provider is measured up to its schema
//! only. A provider of protocol 5 is asked by the names that the calls have there.
//!
//! Every program is copied first: how much of a file is mapped at once depends on how it was
//! written, and so all are written alike.

mod connection;
mod figures;
mod plan;
mod plugin;
mod schema;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use connection::Identity;
use figures::{Figure, Figures, table};
use plan::Objects;
use plugin::{Logs, Plugin};
use wire::Schemas;

/// Odd, so that a median is a run that took place.
const RUNS_DEFAULT: usize = 21;

const RUNS_MAX: usize = 1001;

/// A run that has not ended by then hangs.
const TIME_LIMIT: Duration = Duration::from_secs(120);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The name and the path of a program.
type Program = (String, String);

struct Arguments {
    runs: usize,
    compared: [Program; 2],
    further: Vec<Program>,
}

/// One provider under measurement.
struct Candidate {
    name: String,
    path: PathBuf,
    logs: Logs,
    figures: Figures,
    schemas: Schemas,
    /// What is planned; nothing where only the start is measured.
    objects: Option<Objects>,
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
    let Arguments {
        runs,
        compared: [ours, peer],
        further,
    } = arguments()?;
    let folder = tempfile::tempdir()?;
    // Made once: what the client needs is not the providers' to answer for.
    let identity = Identity::new()?;
    let quiet = (format!("{}, logs off", peer.0), peer.1.clone());
    let mut candidates = Vec::new();
    for (program, logs) in [
        (ours, Logs::Default),
        (peer, Logs::Default),
        (quiet, Logs::Off),
    ] {
        let path = folder.path().join(candidates.len().to_string());
        let mut candidate = Candidate::new(program, path, logs)?;
        candidate.prepare(&identity, true).await?;
        candidates.push(candidate);
    }
    if let [ours, peer, ..] = &candidates[..] {
        ours.schemas.same_as(&peer.schemas)?;
    }
    for program in further {
        let path = folder.path().join(candidates.len().to_string());
        let mut candidate = Candidate::new(program, path, Logs::Default)?;
        candidate.prepare(&identity, false).await?;
        candidates.push(candidate);
    }
    for _ in 0..runs {
        for candidate in &mut candidates {
            candidate.run(&identity).await?;
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
    // Ours by the peer, ours by the quiet peer, and each further one by the peer.
    let ratios = [(0, 1), (0, 2)]
        .into_iter()
        .chain((3..columns.len()).map(|further| (further, 1)));
    let mut text = format!("{runs} runs each, in turn; median (first to third quartile).\n\n");
    text += &table(&columns, ratios);
    text.push('\n');
    for candidate in &candidates {
        if candidate.logs == Logs::Off {
            continue;
        }
        text += &format!(
            "- schema of {}: {}\n",
            candidate.name,
            candidate.schemas.size()
        );
    }
    Ok(text)
}

impl Candidate {
    fn new((name, from): Program, path: PathBuf, logs: Logs) -> Result<Self> {
        std::fs::copy(&from, &path).map_err(|error| format!("{from}: {error}"))?;
        Ok(Self {
            name,
            path,
            logs,
            figures: Figures::default(),
            schemas: Schemas::default(),
            objects: None,
        })
    }

    /// A run that doesn't count: it fills the page cache, and makes what is planned later.
    async fn prepare(&mut self, identity: &Identity, is_planned: bool) -> Result<()> {
        let plugin = self
            .in_time(Plugin::start(&self.path, self.logs, identity))
            .await?;
        self.schemas = self.in_time(plugin.provider.schema()).await?;
        if is_planned {
            let prepared = plan::prepare(&plugin.provider, &self.schemas);
            self.objects = Some(self.in_time(prepared).await?);
        }
        plugin.kill().await
    }

    async fn run(&mut self, identity: &Identity) -> Result<()> {
        let mut figures = std::mem::take(&mut self.figures);
        self.in_time(self.measured(identity, &mut figures)).await?;
        self.figures = figures;
        Ok(())
    }

    async fn measured(&self, identity: &Identity, figures: &mut Figures) -> Result<()> {
        let plugin = Plugin::start(&self.path, self.logs, identity).await?;
        plugin.provider.schema().await?;
        figures.add(Figure::Schema, plugin.age().as_secs_f64() * 1e3);
        figures.add(Figure::Handshake, plugin.handshake.as_secs_f64() * 1e3);
        figures.add(Figure::StartTime, plugin.threads_time_ms()?);
        let memory = plugin.memory()?;
        figures.add(Figure::Resident, memory.resident);
        figures.add(Figure::Proportional, memory.proportional);
        figures.add(Figure::Anonymous, memory.anonymous);
        if let Some(objects) = &self.objects {
            plan::configure(&plugin.provider).await?;
            let before = plugin.threads_time_ms()?;
            plan::plan_new(&plugin.provider, objects).await?;
            let between = plugin.threads_time_ms()?;
            plan::plan_existing(&plugin.provider, objects).await?;
            let after = plugin.threads_time_ms()?;
            figures.add(Figure::PlanNew, between - before);
            figures.add(Figure::PlanExisting, after - between);
            let memory = plugin.memory()?;
            figures.add(Figure::ResidentAfter, memory.resident);
            figures.add(Figure::ProportionalAfter, memory.proportional);
            figures.add(Figure::AnonymousAfter, memory.anonymous);
        }
        plugin.kill().await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::time::timeout(TIME_LIMIT, work).await;
        done.map_err(|_| format!("no end within {} s", TIME_LIMIT.as_secs()).into())
            .and_then(|done| done)
            .map_err(|error| format!("{}: {error}", self.name).into())
    }
}

fn arguments() -> Result<Arguments> {
    let mut runs = RUNS_DEFAULT;
    let (mut compared, mut further) = (Vec::new(), Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--runs" {
            runs = words.next().ok_or("--runs needs a number")?.parse()?;
            continue;
        }
        let (programs, word) = match word.strip_prefix("also:") {
            Some(word) => (&mut further, word),
            None => (&mut compared, word.as_str()),
        };
        let (name, path) = word.split_once('=').ok_or("each provider is NAME=PATH")?;
        programs.push((name.to_owned(), path.to_owned()));
    }
    match <[Program; 2]>::try_from(compared) {
        Ok(compared) if (1..=RUNS_MAX).contains(&runs) => Ok(Arguments {
            runs,
            compared,
            further,
        }),
        _ => Err(format!(
            "usage: bench_provider [--runs 1..{RUNS_MAX}] OURS=PATH PEER=PATH [also:NAME=PATH]..."
        )
        .into()),
    }
}
