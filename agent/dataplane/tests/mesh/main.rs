//! Real meshes between hosts in network namespaces, carried by real wireguard-go.
//!
//! Each scenario runs in namespaces of its own, in a process of its own. This program is the
//! runner, the scenario, the agent of a host and the starter of its daemon, by its first argument.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is a test, without the harness by which clippy knows one"
)]

mod checks;
mod host;
mod laboratory;
mod plan;
mod scenarios;

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["host", data_dir] => host::run(data_dir.into()),
        [
            "wireguard-daemon",
            "--interface",
            interface,
            "--socket-dir",
            folder,
        ] => {
            let interface = interface.parse().unwrap();
            match hanse_dataplane::run_wireguard_daemon(&interface, Path::new(folder)) {
                Ok(never) => match never {},
                Err(error) => panic!("{}", error.sentence()),
            }
        }
        ["scenario", name] => {
            let (_, scenario) = scenarios::ALL
                .iter()
                .find(|(known, _)| known == name)
                .unwrap();
            scenario();
        }
        filters => return run_all(filters),
    }
    ExitCode::SUCCESS
}

/// As the ordinary harness does: names that contain a filter run, one after another.
fn run_all(filters: &[&str]) -> ExitCode {
    let filters: Vec<_> = filters
        .iter()
        .filter(|filter| !filter.starts_with('-'))
        .collect();
    let mut failed = 0;
    for (name, _) in scenarios::ALL {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(**filter)) {
            continue;
        }
        let status = Command::new("unshare")
            .args([
                "--user",
                "--net",
                "--mount",
                "--map-root-user",
                "--pid",
                "--fork",
            ])
            .args(["--kill-child", "--mount-proc"])
            .arg(std::env::current_exe().unwrap())
            .args(["scenario", name])
            .status()
            .unwrap();
        println!(
            "test {name} ... {}",
            if status.success() { "ok" } else { "FAILED" }
        );
        failed += usize::from(!status.success());
    }
    ExitCode::from(u8::from(failed > 0))
}
