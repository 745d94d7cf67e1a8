//! What tests of drills have in common: an order, and this program as the keeper of a cage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hanse_core::dr::duty::DrillOrder;
use hanse_core::dr::timings::Prediction;
use hanse_workload::{run_cage, run_first};

/// Tells this program that it is to be a cage's keeper, and of which folder.
const KEEPER: &str = "HANSE_TEST_CAGE";

/// What comes after it is the cage's, and for libtest some more filters.
const LAST_WORD: &str = "--nocapture";

/// No test: this program as a cage's keeper.
#[test]
#[expect(clippy::disallowed_methods, reason = "it is a program of its own here")]
fn a_cage() {
    if std::env::var_os(KEEPER).is_some() {
        let told: Vec<PathBuf> = std::env::args().map(PathBuf::from).collect();
        let at = told.iter().position(|word| word == Path::new(LAST_WORD));
        let [folder, others @ ..] = &told[at.unwrap() + 1..] else {
            panic!("no folder in {told:?}");
        };
        let shell = ["sh", "-c", "exec \"$0\" \"$@\"", &me()].map(str::to_owned);
        let test = name("a_first_process");
        let arguments = [&test, "--exact", LAST_WORD].map(str::to_owned);
        let first = [&shell[..], &arguments].concat();
        let ended = run_cage(folder, others, false, &first);
        std::process::exit(i32::from(ended != ExitCode::SUCCESS));
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

/// The command that becomes a cage's keeper.
pub(crate) fn cage() -> Vec<String> {
    let (own, test) = (format!("{KEEPER}=1"), name("a_cage"));
    let words = ["env", &own, &me(), &test, "--exact", LAST_WORD];
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
