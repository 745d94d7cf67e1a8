//! Measures what an idle agent takes of its host, beside the WireGuard daemon that it drives.
//!
//! Three hosts with a mesh between them and nothing to do; the figures are the kernel's own, from
//! `/proc`, read before and after each window. It measures and judges nothing: no figure fails it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::{Federation, Host, Laboratory};

/// The first host's agent is the voter, the others' are followers.
const HOSTS: u8 = 3;

/// Prints all that is needed of the one process called `$1`, each line with its source's name.
const SCRIPT: &str = r#"
    pid=$(pgrep -x "$1")
    sed 's/^/status /' "/proc/$pid/status"
    sed 's/^/rollup /' "/proc/$pid/smaps_rollup"
    sed 's/^/stat /' "/proc/$pid/stat"
    echo "ticks $(getconf CLK_TCK)""#;

/// An idle agent's memory and CPU, as a Markdown table.
#[derive(Parser)]
struct Arguments {
    /// How long one window is.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=110))]
    window_s: u64,
    /// How many windows.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    windows: u64,
    /// How long to wait after the apply, until what it caused is over.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(0..=110))]
    settle_s: u64,
}

/// Who is measured, and what was seen.
struct Subject<'l> {
    title: &'static str,
    program: &'static str,
    host: &'l Host,
    windows: Vec<Window>,
}

/// What one window has shown of one process.
struct Window {
    resident_mib: f64,
    proportional_mib: f64,
    cpu_percent: f64,
}

/// One look at a process.
struct Look {
    resident_kib: f64,
    proportional_kib: f64,
    cpu_s: f64,
    at: Instant,
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

fn measure(arguments: &Arguments) -> Result<String> {
    let laboratory = Laboratory::start(HOSTS)?;
    let federation = Federation::raise(&laboratory)?;
    let _terraform = federation.with_mesh()?;
    let (voter, followers) = (laboratory.host(1), [laboratory.host(2), laboratory.host(3)]);
    let mut subjects = vec![Subject::new("voter", "hanse", voter)];
    subjects.extend(followers.map(|host| Subject::new("follower", "hanse", host)));
    // Where the kernel has WireGuard, there is no daemon to stand beside.
    if is_there(voter, "wireguard-go")? {
        let hosts = laboratory.hosts().iter();
        subjects.extend(hosts.map(|host| Subject::new("wireguard-go", "wireguard-go", host)));
    }
    idle(&laboratory, arguments.settle_s)?;
    for _ in 0..arguments.windows {
        let before = subjects
            .iter()
            .map(Subject::look)
            .collect::<Result<Vec<_>>>()?;
        idle(&laboratory, arguments.window_s)?;
        for (subject, before) in subjects.iter_mut().zip(before) {
            let after = subject.look()?;
            subject.record(&before, &after);
        }
    }
    Ok(format!(
        "{} windows of {} s, {HOSTS} hosts, one mesh between them; median (lowest to highest) of \
         all windows and all hosts.\n\n{}",
        arguments.windows,
        arguments.window_s,
        table(&subjects)
    ))
}

/// The window itself is a process that ends by itself; nothing polls meanwhile.
fn idle(laboratory: &Laboratory, seconds: u64) -> Result<()> {
    laboratory
        .exec(["sleep", &seconds.to_string()])?
        .success()?;
    Ok(())
}

fn is_there(host: &Host, program: &str) -> Result<bool> {
    Ok(host.exec(["pgrep", "-x", program])?.succeeded())
}

impl<'l> Subject<'l> {
    fn new(title: &'static str, program: &'static str, host: &'l Host) -> Self {
        Self {
            title,
            program,
            host,
            windows: Vec::new(),
        }
    }

    fn look(&self) -> Result<Look> {
        let script = Invocation::script(SCRIPT).args(["look", self.program]);
        let said = self.host.exec(script)?.success()?;
        Look::parse(&said.stdout)
            .with_context(|| format!("unable to read of {} on {}", self.program, self.host.name()))
    }

    fn record(&mut self, before: &Look, after: &Look) {
        let elapsed: Duration = after.at - before.at;
        self.windows.push(Window {
            resident_mib: after.resident_kib / 1024.0,
            proportional_mib: after.proportional_kib / 1024.0,
            cpu_percent: (after.cpu_s - before.cpu_s) / elapsed.as_secs_f64() * 100.0,
        });
    }
}

impl Look {
    fn parse(said: &str) -> Result<Self> {
        let number = |prefix: &str, index: usize| -> Result<f64> {
            let line = said.lines().find_map(|line| line.strip_prefix(prefix));
            let word = line.and_then(|line| line.split_whitespace().nth(index));
            word.with_context(|| format!("no {prefix} in {said}"))?
                .parse()
                .with_context(|| format!("no number after {prefix}"))
        };
        let ticks_per_s = number("ticks ", 0)?;
        // Fields 14 and 15 of proc_pid_stat(5), user and system time; the names that are measured
        // hold no blank.
        let ticks = number("stat ", 13)? + number("stat ", 14)?;
        Ok(Self {
            resident_kib: number("status VmRSS:", 0)?,
            proportional_kib: number("rollup Pss:", 0)?,
            cpu_s: ticks / ticks_per_s,
            at: Instant::now(),
        })
    }
}

/// One line for each title; what the hosts of one title show is taken together.
fn table(subjects: &[Subject]) -> String {
    let mut text = String::from(
        "| | resident, MiB | proportional share (PSS), MiB | CPU, % of one core | resident : \
         wireguard-go | CPU : wireguard-go |\n|---|--:|--:|--:|--:|--:|\n",
    );
    let gathered = |title: &str, of: fn(&Window) -> f64| {
        let all = subjects.iter().filter(|subject| subject.title == title);
        sorted(all.flat_map(|subject| &subject.windows).map(of).collect())
    };
    let measures: [fn(&Window) -> f64; 3] = [
        |one| one.resident_mib,
        |one| one.proportional_mib,
        |one| one.cpu_percent,
    ];
    for title in ["follower", "voter", "wireguard-go"] {
        let [resident, proportional, cpu] = measures.map(|of| gathered(title, of));
        let [yardstick, _, yardstick_cpu] = measures.map(|of| gathered("wireguard-go", of));
        if resident.is_empty() {
            continue;
        }
        text += &format!(
            "| {title} | {} | {} | {} | {} | {} |\n",
            cell(&resident, 1),
            cell(&proportional, 1),
            cell(&cpu, 3),
            ratio(&resident, &yardstick),
            ratio(&cpu, &yardstick_cpu),
        );
    }
    text
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn cell(sorted: &[f64], digits: usize) -> String {
    let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else {
        return "–".to_owned();
    };
    format!(
        "{:.digits$} ({low:.digits$}–{high:.digits$})",
        median(sorted)
    )
}

fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    let ratio = median(ours) / median(theirs);
    if ratio.is_finite() {
        format!("{ratio:.2}")
    } else {
        "–".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_memory_and_processor_time() {
        let said = "status Name:\thanse\nstatus VmRSS:\t    9876 kB\nrollup Pss:    4321 kB\n\
                    rollup Pss_Anon: 1 kB\nstat 7 (hanse) S 1 7 7 0 -1 0 0 0 0 0 30 20 0 0 20 0\n\
                    ticks 100\n";
        let look = Look::parse(said).unwrap();
        assert_eq!((look.resident_kib, look.proportional_kib), (9876.0, 4321.0));
        assert!((look.cpu_s - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Look::parse("ticks 100\n").is_err());
    }
}
