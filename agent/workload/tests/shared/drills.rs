//! What tests of drills have in common: an order, and this program as the keeper of a cage.

use std::path::Path;
use std::time::Duration;

use hanse_core::dr::duty::DrillOrder;
use hanse_core::dr::timings::Prediction;
use hanse_workload::{run_cage, run_first};

/// Tells this program that it is to be a cage's keeper, and of which folder.
const KEEPER: &str = "HANSE_TEST_CAGE";

/// No test: this program as a cage's keeper.
#[test]
#[expect(clippy::disallowed_methods, reason = "it is a program of its own here")]
fn a_cage() {
    if std::env::var_os(KEEPER).is_some() {
        let folder = std::env::args().next_back().unwrap();
        let shell = ["sh", "-c", "exec \"$0\" \"$@\"", &me()].map(str::to_owned);
        let test = name("a_first_process");
        let arguments = [&test, "--exact", "--nocapture"].map(str::to_owned);
        let _ = run_cage(Path::new(&folder), &[&shell[..], &arguments].concat());
        std::process::exit(0);
    }
}

/// No test: this program as a cage's first process.
#[test]
#[expect(clippy::disallowed_methods, reason = "it is a program of its own here")]
fn a_first_process() {
    if std::env::var_os(KEEPER).is_some() {
        let _ = run_first();
        std::process::exit(0);
    }
}

/// The command that becomes a cage's keeper. The last word is the folder, which libtest takes for
/// another filter.
pub(crate) fn cage() -> Vec<String> {
    let (own, test) = (format!("{KEEPER}=1"), name("a_cage"));
    let words = ["env", &own, &me(), &test, "--exact", "--nocapture"];
    words.map(str::to_owned).into()
}

/// A drill of the site `b`, without anything of the plan's.
pub(crate) fn order(number: u64, timeout: Duration) -> DrillOrder {
    DrillOrder {
        federation: "baltic".parse().unwrap(),
        node: "b".parse().unwrap(),
        number,
        began_unix_s: 1_795_262_400,
        lag_bytes: None,
        timeout,
        checks: Vec::new(),
        command: Vec::new(),
        predicted: Prediction {
            detection: Duration::from_secs(6),
            fencing: Duration::from_secs(5),
            promotion: Duration::from_secs(2),
            redirect: Duration::from_secs(1),
        },
    }
}

fn name(test: &str) -> String {
    let module = module_path!().split_once("::").unwrap().1;
    format!("{module}::{test}")
}

fn me() -> String {
    std::env::current_exe().unwrap().display().to_string()
}
