//! The program `hanse`: reads the command line, runs the command, ends with its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use hanse_agent::command::Arguments;

/// A voter needs twice as much for a moment, when a thousand nodes come at once, as it does from
/// then on. The system's allocator would keep it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong usage ends in here with exit code 2.
    let arguments = Arguments::parse();
    match arguments.run() {
        Ok(code) => code,
        Err(error) => {
            hanse_agent::command::output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
