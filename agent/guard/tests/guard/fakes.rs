//! The guard of a scenario, among seams that go by files in its folder and note what is asked of them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hanse_core::dr::choose::SyncSet;
use hanse_guard::{
    Addresses, Clock, Config, Federation, Observation, Renewal, RenewalError, Seams, Service,
    ServiceAddress, SystemClock, Unanswered, Watch, Watchdog,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub(crate) fn guard(folder: &Path, stage: &[&str]) -> ExitCode {
    let config = Config {
        folder: folder.join("guard"),
        keeper: words(&["/proc/self/exe", "keeper"]),
        stage: words(if stage.is_empty() {
            &["/proc/self/exe", "stage"]
        } else {
            stage
        }),
    };
    let files = Files(folder.to_owned());
    let seams = Seams {
        federation: Arc::new(files.clone()),
        watch: Box::new(files.clone()),
        addresses: Arc::new(files.clone()),
        watchdog: Arc::new(files.clone()),
        clock: Arc::new(files),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut asked = signal(SignalKind::terminate()).unwrap();
        let stops = stop.clone();
        tokio::spawn(async move {
            asked.recv().await;
            stops.cancel();
        });
        Service::open(config, seams)?.run(stop).await
    });
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            fs::write(folder.join("error"), error.sentence()).unwrap();
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Every process of the workload of a folder: they find its name in their environment.
pub(crate) fn alive(folder: &Path) -> Vec<u32> {
    let mark = format!("FOLDER={}", folder.display());
    processes(|pid| {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| {
            text.split(|byte| *byte == 0)
                .any(|word| word == mark.as_bytes())
        })
    })
}

/// Every process that is as asked.
pub(crate) fn processes(is_such: impl Fn(u32) -> bool) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_such(*pid))
        .collect()
}

pub(crate) fn note(folder: &Path, line: &str) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(folder.join("events"))
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[derive(Clone)]
struct Files(PathBuf);

impl Files {
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

#[async_trait]
impl Federation for Files {
    async fn renew(&self, renewal: Renewal) -> Result<Duration, RenewalError> {
        let epoch = renewal.epoch;
        let now = SystemClock.boot().as_millis();
        let text = self.text("federation");
        let rule = text.lines().find_map(|line| {
            let (known, rule) = line.split_once(' ')?;
            (known == "*" || known == epoch.to_string()).then_some(rule)
        });
        note(&self.0, &format!("renew {epoch} at {now}"));
        match rule {
            Some("no plan") => Err(RenewalError::NoPlan),
            Some("lost") => Err(RenewalError::Lost),
            Some("silent") | None => std::future::pending().await,
            Some(rule) => {
                let (ttl_ms, after_ms) = rule.split_once(" after ").unwrap_or((rule, "0"));
                let milliseconds = |text: &str| Duration::from_millis(text.parse().unwrap());
                tokio::time::sleep(milliseconds(after_ms)).await;
                Ok(milliseconds(ttl_ms))
            }
        }
    }

    async fn give_back(&self, epoch: u64) -> Result<(), RenewalError> {
        let alive = alive(&self.0).len();
        note(&self.0, &format!("give back {epoch} alive {alive}"));
        if self.text("deaf").is_empty() {
            Ok(())
        } else {
            Err(RenewalError::Unanswered("it is deaf".to_owned()))
        }
    }
}

#[async_trait]
impl Watch for Files {
    async fn observe(&mut self) -> Result<Observation, Unanswered> {
        let text = self.text("server");
        if text.is_empty() {
            return Err(Unanswered::Silent);
        }
        Ok(Observation {
            writes: text == "writes",
            receives: false,
            offset_bytes: 1,
            set: SyncSet::default(),
        })
    }
}

#[async_trait]
impl Addresses for Files {
    async fn add(&self, service: &ServiceAddress) -> Result<(), String> {
        note(&self.0, &format!("add {}", service.address));
        Ok(())
    }

    async fn remove(&self, service: &ServiceAddress) -> Result<(), String> {
        // It takes its time, so that a workload that is ended without waiting for it is dead by then.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let alive = alive(&self.0).len().min(1);
        note(
            &self.0,
            &format!("remove {} alive {alive}", service.address),
        );
        if !self.text("stuck").is_empty() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl Clock for Files {
    fn boot(&self) -> Duration {
        SystemClock.boot()
    }

    fn wall(&self) -> Duration {
        let ahead: u64 = self.text("ahead").parse().unwrap_or_default();
        SystemClock.wall() + Duration::from_secs(ahead)
    }
}

/// A file that takes what a watchdog is fed with; without it, there is none.
impl Watchdog for Files {
    fn open(&self, timeout_s: Option<u64>) -> Result<File, String> {
        let opened = File::options().append(true).open(self.0.join("watchdog"));
        let opened = opened.map_err(|_| "there is no watchdog".to_owned())?;
        note(&self.0, &format!("watchdog {}", timeout_s.unwrap_or(0)));
        Ok(opened)
    }
}
