//! The laboratory for people: the demonstration, or bare hosts to try things on.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hanse_acceptance::demonstration;

/// Hosts as network namespaces, without root, that leave nothing behind.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Three hosts, one `terraform apply`, a mesh that is proved, and away again.
    Demo {
        /// The folder of the Terraform configuration.
        #[arg(long, default_value = "examples/terraform/quickstart")]
        example: PathBuf,
        /// Leave the laboratory up and say how to enter each host.
        #[arg(long)]
        keep: bool,
    },
    /// Bare hosts, until Enter or Ctrl-C.
    Up {
        /// How many.
        #[arg(long, default_value_t = 3)]
        hosts: u8,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo { example, keep } => demonstration::run(&example, keep),
        Command::Up { hosts } => demonstration::hold_up(hosts),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
