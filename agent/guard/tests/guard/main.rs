//! Real guards, keepers and workloads, killed and frozen.
//!
//! Each scenario runs in a PID and a mount namespace of its own, in a process of its own. This program
//! is the runner, the scenario, the guard, its keeper and its stage, by its first argument.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is a test, without the harness by which clippy knows one"
)]

mod fakes;
mod fences;
mod hostile;
mod orders;
mod watchdog;
mod world;

use std::process::{Command, ExitCode};

type Scenario = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["keeper", ..] => hanse_guard::run_keeper(&arguments[1..]),
        ["stage", ..] => hanse_guard::run_stage(),
        ["guard", folder, stage @ ..] => fakes::guard(folder.as_ref(), stage),
        ["scenario", name] => {
            let (_, scenario) = all().find(|(known, _)| known == name).unwrap();
            scenario();
            ExitCode::SUCCESS
        }
        filters => run_all(filters),
    }
}

fn all() -> impl Iterator<Item = Scenario> {
    fences::ALL
        .iter()
        .chain(orders::ALL)
        .chain(hostile::ALL)
        .chain(watchdog::ALL)
        .copied()
}

/// As the ordinary harness does: names that contain a filter run, one after another.
fn run_all(filters: &[&str]) -> ExitCode {
    assert!(
        rustix::process::geteuid().is_root(),
        "a guard runs as root, and so do its tests: run them with sudo"
    );
    let filters: Vec<_> = filters
        .iter()
        .filter(|filter| !filter.starts_with('-'))
        .collect();
    let (mut passed, mut failed) = (0, 0);
    for (name, _) in all() {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(**filter)) {
            continue;
        }
        let status = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(std::env::current_exe().unwrap())
            .args(["scenario", name])
            .status()
            .unwrap();
        let is_well = status.success();
        println!("test {name} ... {}", if is_well { "ok" } else { "FAILED" });
        passed += usize::from(is_well);
        failed += usize::from(!is_well);
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored");
    ExitCode::from(u8::from(failed > 0))
}
