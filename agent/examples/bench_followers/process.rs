//! What the kernel says of a process.

use std::time::{Duration, Instant};

use anyhow::Context as _;

/// One look at a process.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) resident_mib: f64,
    pub(crate) resident_max_mib: f64,
    pub(crate) proportional_mib: f64,
    cpu: Duration,
    at: Instant,
}

/// What a process did between two looks.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

impl Look {
    /// At another process.
    pub(crate) fn at(process_id: u32) -> anyhow::Result<Self> {
        Self::read(&process_id.to_string())
    }

    /// At this process.
    pub(crate) fn at_self() -> anyhow::Result<Self> {
        Self::read("self")
    }

    /// What happened since an earlier look.
    pub(crate) fn since(&self, earlier: &Self) -> Span {
        Span {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            wall: self.at - earlier.at,
        }
    }

    fn read(process: &str) -> anyhow::Result<Self> {
        let file = |name: &str| {
            let path = format!("/proc/{process}/{name}");
            std::fs::read_to_string(&path).with_context(|| format!("unable to read {path}"))
        };
        let status = file("status")?;
        Ok(Self {
            resident_mib: kibibytes(&status, "VmRSS:")? / 1024.0,
            resident_max_mib: kibibytes(&status, "VmHWM:")? / 1024.0,
            proportional_mib: kibibytes(&file("smaps_rollup")?, "Pss:")? / 1024.0,
            cpu: cpu_time(&file("stat")?)?,
            at: Instant::now(),
        })
    }
}

impl Span {
    /// Processor time by the wall's, in percent of one core.
    pub(crate) fn cpu_percent(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64() * 100.0
    }
}

fn kibibytes(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.with_context(|| format!("no {name}"))?
        .parse()
        .with_context(|| format!("{name} is no number"))
}

/// The processor time of all threads, in user and in kernel mode.
fn cpu_time(stat: &str) -> anyhow::Result<Duration> {
    // After the name, which may hold blanks: fields 14 and 15 of proc_pid_stat(5).
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("no times in stat")?;
    // Ticks are 100 a second on every Linux that we ship for.
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}
