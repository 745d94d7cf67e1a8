//! Measures what many followers cost one voter: `hanse agent` as it is shipped, on this machine,
//! and simulated followers in this process, each with an identity and a TLS connection of its own.
//!
//! A follower here does what an agent does but has no data plane: it takes plans and differences,
//! checks their digests, reports at the federation's interval and, as an agent does, 100 ms after it
//! has a newer plan. Each change gives a site another route, so that every plan but that site's own
//! changes. A change counts from the moment when it is asked for (its commit is part of it) to the
//! answer to the last follower's report of its revision. It measures and judges nothing.

mod chart;
mod federation;
mod figures;
mod process;
mod simulator;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use federation::{Federation, Shape};
use figures::Figures;
use process::Look;
use simulator::Crowd;

/// How many changes come before those that count.
const CHANGES_WARM: u32 = 3;
/// Between a change's last acknowledgement and the next change.
const PAUSE: Duration = Duration::from_millis(300);

/// What many followers cost one voter, as a Markdown table.
#[derive(Parser)]
struct Arguments {
    /// The program `hanse`.
    #[arg(long)]
    hanse: PathBuf,
    /// How many followers, one run each.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    followers: Vec<usize>,
    /// The mesh between them, one run each.
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "hub-spoke,full"
    )]
    shapes: Vec<Shape>,
    /// How many changes.
    #[arg(long, default_value_t = 25)]
    changes: u32,
    /// How long to look at idle followers.
    #[arg(long, default_value_t = 60)]
    idle_s: u64,
    /// How long to wait before that, until what the start caused is over.
    #[arg(long, default_value_t = 15)]
    settle_s: u64,
    /// Where to draw the curves.
    #[arg(long)]
    chart: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(text: &str) {
    print!("{text}");
}

fn measure(arguments: &Arguments) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut rows = Vec::new();
    for shape in &arguments.shapes {
        for followers in &arguments.followers {
            eprintln!("{followers} followers, {shape}");
            let row = runtime.block_on(run(arguments, *shape, *followers));
            rows.push(row.with_context(|| format!("{followers} followers, {shape}"))?);
        }
    }
    if let Some(path) = &arguments.chart {
        std::fs::write(path, chart::draw(&rows)).context("unable to write the chart")?;
    }
    Ok(table::table(&rows, arguments.changes, arguments.idle_s))
}

async fn run(arguments: &Arguments, shape: Shape, followers: usize) -> anyhow::Result<Figures> {
    let mut federation = Federation::start(&arguments.hanse).await?;
    let bare = Look::at(federation.process_id())?;
    let identities = federation.enroll(shape, followers).await?;
    federation.declare(shape, &identities).await?;
    let mut crowd = Crowd::gather(federation.endpoint(), identities).await?;
    for number in 0..CHANGES_WARM {
        crowd.acknowledge(federation.change(number).await?).await?;
    }
    tokio::time::sleep(Duration::from_secs(arguments.settle_s)).await;
    let (idle, idle_own) = (Look::at(federation.process_id())?, Look::at_self()?);
    tokio::time::sleep(Duration::from_secs(arguments.idle_s)).await;
    let (busy, busy_own) = (Look::at(federation.process_id())?, Look::at_self()?);
    let mut changes = Vec::new();
    for number in 0..arguments.changes {
        let change = federation.change(CHANGES_WARM + number).await?;
        changes.push(crowd.acknowledge(change).await?);
        tokio::time::sleep(PAUSE).await;
    }
    let (end, end_own) = (Look::at(federation.process_id())?, Look::at_self()?);
    Ok(Figures {
        shape,
        followers,
        changes,
        bare,
        idle: busy.since(&idle),
        idle_own: busy_own.since(&idle_own),
        busy: end.since(&busy),
        busy_own: end_own.since(&busy_own),
        at_idle: busy,
        at_end: end,
    })
}
