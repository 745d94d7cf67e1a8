//! Measures failovers of PostgreSQL under Hanse's peers: one fault after another, each on a system
//! that is raised anew, under a load that writes down each acknowledged commit.
//!
//! It measures and judges nothing. Progress goes to standard error, the table to standard output.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use hanse_acceptance::failover::observer::{self, Observed};
use hanse_acceptance::failover::{
    Fault, Rehearsal, Replication, Row, System, Trial, Variant, load, peers, report, trial, ways,
};
use hanse_acceptance::guest;

/// RTO, RPO and writers at once, beside the peers.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which systems, in turn; all unless given.
    #[arg(long, value_delimiter = ',')]
    system: Vec<System>,
    /// How they are set up, in turn; as they come unless given.
    #[arg(long, value_delimiter = ',', default_value = "default")]
    variant: Vec<Variant>,
    /// Whether a commit waits for a standby, in turn.
    #[arg(long, value_delimiter = ',', default_value = "default")]
    replication: Vec<Replication>,
    /// What happens, in turn; everything unless given.
    #[arg(long, value_delimiter = ',')]
    fault: Vec<Fault>,
    /// How often.
    #[arg(long, default_value_t = 3)]
    trials: u32,
    /// Also what a person was told, below the table.
    #[arg(long)]
    told: bool,
    /// Adds one row for each trial to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Fetches the peers into the cache.
    Install,
    /// Measures what a drill costs the primary: commits in a second before, during and after it.
    Drill {
        /// How large the database is.
        #[arg(long, default_value_t = 1024)]
        size_mb: u64,
        /// How many drills, each between two times without one.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
    /// Writes to the first endpoint that takes writes, until it is killed (the bench starts it).
    #[command(hide = true)]
    Load {
        /// How many at once.
        #[arg(long)]
        clients: u32,
        /// `address:port` each.
        endpoints: Vec<SocketAddr>,
    },
    /// Asks each server to take a write, until it is killed (the bench starts it).
    #[command(hide = true)]
    Observe {
        /// `NUMBER:PORT:FOLDER` each, or an address in the folder's place.
        servers: Vec<String>,
    },
    /// Notes where its host sends what is for an address, until it is killed (the bench starts it).
    #[command(hide = true)]
    Ways {
        /// The address.
        address: IpAddr,
    },
    /// Takes the power of a guest away and returns once it has none (a plan's fence calls it).
    #[command(hide = true)]
    PowerOff {
        /// Where its emulator takes orders.
        socket: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        None => measure(&arguments),
        Some(Command::Install) => peers::install(progress),
        Some(Command::Drill { size_mb, rounds }) => drill(*size_mb, *rounds),
        Some(Command::Load { clients, endpoints }) => load::run(endpoints, *clients),
        Some(Command::Observe { servers }) => observe(servers),
        Some(Command::Ways { address }) => ways::run(*address),
        Some(Command::PowerOff { socket }) => guest::power_off(socket),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn progress(step: &str) {
    eprintln!("{step}");
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(text: &str) {
    print!("{text}");
}

fn drill(size_mb: u64, rounds: u32) -> Result<()> {
    let measured = Rehearsal::measure(size_mb, rounds, progress)?;
    for row in &measured {
        let record = &row.record;
        say(&format!(
            "size {size_mb} MB, drill {:.1} s: before {:.0}/s, during {:.0}/s, after {:.0}/s: {:.1} % of the \
             throughput without a drill; RTO {} ms (promotion {} ms, measured), RPO {} bytes, {} ms\n",
            row.took.as_secs_f64(),
            row.before,
            row.during,
            row.after,
            row.ratio() * 100.0,
            record["rto_ms"],
            record["measured_promotion_ms"],
            record["lag_bytes"],
            record["lag_ms"],
        ));
    }
    let mut ratios: Vec<f64> = measured.iter().map(Rehearsal::ratio).collect();
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        say(&format!("median: {:.1} %\n", median * 100.0));
    }
    Ok(())
}

fn observe(servers: &[String]) -> Result<()> {
    let read = |server: &String| {
        let mut parts = server.splitn(3, ':');
        Some(Observed {
            server: parts.next()?.parse().ok()?,
            port: parts.next()?.parse().ok()?,
            sockets: parts.next()?.into(),
        })
    };
    let servers: Option<Vec<Observed>> = servers.iter().map(read).collect();
    observer::run(&servers.context("a server is given as NUMBER:PORT:FOLDER")?)
}

fn measure(arguments: &Arguments) -> Result<()> {
    let mut file = match &arguments.json {
        Some(path) => {
            let file = File::options().append(true).create(true).open(path);
            Some(file.with_context(|| format!("unable to open {}", path.display()))?)
        }
        None => None,
    };
    let (mut rows, mut failed) = (Vec::new(), 0);
    for trial in trials(arguments) {
        let name = format!(
            "{:?} {:?} {} {}",
            trial.system,
            trial.variant,
            trial.fault.name(),
            trial.number
        );
        match trial.run(|step| progress(&format!("{name}: {step}"))) {
            Ok(row) => {
                progress(&format!("{name}: {}", outcome(&row)));
                if let Some(file) = &mut file {
                    let line = serde_json::to_string(&row).context("unable to write a row")?;
                    writeln!(file, "{line}").context("unable to write a row")?;
                }
                rows.push(row);
            }
            // The others are measured all the same: a run takes hours.
            Err(error) => {
                failed += 1;
                progress(&format!("{name}: could not be measured: {error:#}"));
            }
        }
    }
    say(&report::table(&rows));
    if arguments.told {
        say(&report::told(&rows));
    }
    ensure!(
        failed == 0,
        "{failed} trials could not be measured, see above"
    );
    Ok(())
}

/// In turn, so that what changes on the machine meanwhile meets all alike.
fn trials(arguments: &Arguments) -> Vec<Trial> {
    let all_or = |given: &[Fault]| match given {
        [] => Fault::value_variants().to_vec(),
        given => given.to_vec(),
    };
    let systems = match arguments.system.as_slice() {
        [] => System::value_variants().to_vec(),
        given => given.to_vec(),
    };
    let mut trials = Vec::new();
    for fault in all_or(&arguments.fault) {
        for number in 1..=arguments.trials {
            for variant in &arguments.variant {
                for replication in &arguments.replication {
                    for system in systems.iter().filter(|system| system.can_suffer(fault)) {
                        trials.push(Trial {
                            system: *system,
                            variant: *variant,
                            replication: *replication,
                            fault,
                            number,
                            seed: trial::seed(),
                        });
                    }
                }
            }
        }
    }
    trials
}

fn outcome(row: &Row) -> String {
    let rto = row
        .rto_ms
        .map_or("never".to_owned(), |ms| format!("{:.2} s", ms / 1e3));
    let lost = row.lost.map_or("?".to_owned(), |lost| lost.to_string());
    format!(
        "RTO {rto}, {lost} of {} commits lost, {} writers at once ({} ms)",
        row.commits, row.writers_max, row.two_writers_ms
    )
}
