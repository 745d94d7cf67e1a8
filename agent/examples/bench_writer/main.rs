//! Writes one small change after another to a federation, or to an etcd beside it, and prints the
//! time of each acknowledgement: what somebody sees who writes while a leader dies.
//!
//! It never waits for anything but the answers. To the federation it speaks as the provider does,
//! with the client's own patience and pauses; to etcd with the raw call, a deadline of 200 ms and
//! the next member at once, so that a member's slowness costs etcd no more than that.

mod etcd;
mod federation;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Writes until it is killed; each line is the time of an acknowledgement, in ms since 1970.
#[derive(Parser)]
struct Arguments {
    /// host:port, separated by commas.
    #[arg(long, value_delimiter = ',')]
    endpoints: Vec<String>,
    #[command(subcommand)]
    whom: Whom,
}

#[derive(Subcommand)]
enum Whom {
    /// A federation.
    Federation {
        /// A PEM bundle.
        #[arg(long)]
        credentials: PathBuf,
    },
    /// An etcd.
    Etcd,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let write = async {
        match arguments.whom {
            Whom::Federation { credentials } => {
                federation::write(&arguments.endpoints, &credentials).await
            }
            Whom::Etcd => etcd::write(&arguments.endpoints).await,
        }
    };
    let ended = tokio::runtime::Runtime::new()
        .context("unable to start")
        .and_then(|runtime| runtime.block_on(write));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the times are what this program is for"
)]
fn acknowledged() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    println!("{}", now.map_or(0, |since| since.as_millis()));
}
