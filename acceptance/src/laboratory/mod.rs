//! A laboratory of hosts that needs no root and leaves nothing behind.
//!
//! Every host is a network, mount, pid, host name and IPC namespace of its own, joined by a bridge
//! inside a user namespace. So a test can do to a host what happens to hosts: cut its link, freeze
//! it, take its power away. Where it stands:
//!
//! ```text
//! operator 10.99.0.254, fd99::fe ── hansebr0 ─┬─ h1 eth0 10.99.0.1, fd99::1
//!                                             ├─ h2 eth0 10.99.0.2, fd99::2
//!                                             └─ …        (add_lan: lan0 ── a LAN host)
//! ```
//!
//! What a laboratory never does: touch the caller's own network, or outlive the caller. When the
//! caller dies, even by SIGKILL, the kernel ends every process in it.

mod anchor;
mod host;
mod invocation;
mod lan;
mod links;
mod process;
mod requirements;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};

use anchor::{Anchor, Users};
use links::Fault;

pub use host::Host;
pub use invocation::{Invocation, Output};
pub use lan::Lan;
pub use process::Process;
pub(crate) use process::last_lines;
pub(crate) use requirements::check_programs;
pub use requirements::search_path;

/// The operator's address: where Terraform and the command line run.
pub const OPERATOR_IPV4: &str = "10.99.0.254";

/// The operator's IPv6 address.
pub const OPERATOR_IPV6: &str = "fd99::fe";

/// Hosts that one laboratory can hold; their numbers are the last byte of their addresses.
pub const HOSTS_MAX: u8 = 200;

/// Set to keep the laboratory's folder (logs, data) for a look afterwards.
const KEEP_FILES_VARIABLE: &str = "HANSE_LABORATORY_KEEP_FILES";

/// Lines of each log that are shown when a test fails.
const LOG_LINES_SHOWN: usize = 40;

/// N hosts on one wire.
#[derive(Debug)]
pub struct Laboratory {
    hosts: Vec<Host>,
    core: Arc<Core>,
}

impl Laboratory {
    /// Raises a laboratory of `count` hosts, all powered on.
    ///
    /// # Errors
    ///
    /// When the machine lacks something; the message names the command that mends it.
    pub fn start(count: u8) -> Result<Self> {
        Self::start_of(count, Users::Caller)
    }

    /// The same with other users than the caller's on its hosts, such as `postgres`. An ordinary
    /// user needs subordinate ids for that.
    ///
    /// # Errors
    ///
    /// As [`Laboratory::start`].
    pub fn start_with_users(count: u8) -> Result<Self> {
        Self::start_of(count, Users::All)
    }

    fn start_of(count: u8, users: Users) -> Result<Self> {
        if count > HOSTS_MAX {
            bail!("a laboratory holds at most {HOSTS_MAX} hosts, not {count}");
        }
        requirements::check()?;
        let core = Arc::new(Core::start(users)?);
        let hosts = (1..=count)
            .map(|number| Host::start(&core, number))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { hosts, core })
    }

    /// Gives every host a disk of at most so much, which is empty. All start anew.
    ///
    /// # Errors
    ///
    /// When it can't be mounted.
    pub fn limit_disks(&self, size_mb: u32) -> Result<()> {
        self.hosts.iter().try_for_each(|host| {
            let limited = host.limit_disk(size_mb);
            limited.with_context(|| format!("unable to limit the disk of {}", host.name()))
        })
    }

    /// The host with this number; the first is 1.
    ///
    /// # Panics
    ///
    /// When there is no such host: a mistake in the test.
    #[must_use]
    pub fn host(&self, number: u8) -> &Host {
        &self.hosts[usize::from(number) - 1]
    }

    /// All hosts in order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Where the operator's own files belong; short enough for unix sockets.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.core.folder
    }

    /// Runs a command as the operator, beside the bridge.
    ///
    /// # Errors
    ///
    /// When it can't be started; how it ended is in the output.
    pub fn exec(&self, invocation: impl Into<Invocation>) -> Result<Output> {
        self.core.exec(&invocation.into())
    }

    /// Runs a command as the operator, in full view: what it says goes to the caller's own output.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn exec_shown(&self, invocation: impl Into<Invocation>) -> Result<ExitStatus> {
        invocation.into().run_shown(&self.core.enter()?)
    }

    /// Starts a background process as the operator; `name` names its log.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn spawn(&self, name: &str, invocation: impl Into<Invocation>) -> Result<Process> {
        let log = self.core.log_path("operator", name);
        Process::start(&invocation.into(), &self.core.enter()?, log)
    }

    /// From now on nothing passes between the two hosts, either way.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn cut_between(&self, first: &Host, second: &Host) -> Result<()> {
        let (first, second) = (first.number(), second.number());
        self.core
            .add_faults(&[Fault::OneWay(first, second), Fault::OneWay(second, first)])
    }

    /// From now on nothing that `from` sends arrives at `to`; the other way stays open.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn cut_one_way(&self, from: &Host, to: &Host) -> Result<()> {
        self.core
            .add_faults(&[Fault::OneWay(from.number(), to.number())])
    }

    /// Mends every cut.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn heal_all(&self) -> Result<()> {
        self.core.change_wire(|wire| wire.faults.clear())
    }

    /// The last lines of every log.
    #[must_use]
    pub fn last_logs(&self) -> String {
        self.core.last_logs()
    }

    /// A command line that leads a person to the operator's place.
    ///
    /// # Errors
    ///
    /// When the laboratory has ended.
    pub fn enter_command(&self) -> Result<String> {
        Ok(enter_command(&self.core.enter()?))
    }
}

/// What the operator's place and all hosts share.
#[derive(Debug)]
struct Core {
    folder: PathBuf,
    anchor: Mutex<Option<Anchor>>,
    wire: Mutex<Wire>,
    logs: AtomicU32,
}

/// The state of the wire.
#[derive(Debug, Default)]
struct Wire {
    faults: BTreeSet<Fault>,
    ports: BTreeSet<u8>,
}

impl Core {
    fn start(users: Users) -> Result<Self> {
        // /tmp and not TMPDIR: the path of a unix socket ends at 108 bytes.
        let folder = tempfile::Builder::new()
            .prefix("hl-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .context("unable to make the laboratory's folder in /tmp")?;
        fs::create_dir(folder.path().join("logs")).context("unable to make the folder of logs")?;
        let keeps_files = std::env::var_os(KEEP_FILES_VARIABLE).is_some();
        let anchor = Anchor::of_laboratory(folder.path(), keeps_files, users)?;
        let core = Self {
            // From here on the anchor removes it, for it also does so when we are killed.
            folder: folder.keep(),
            anchor: Mutex::new(Some(anchor)),
            wire: Mutex::default(),
            logs: AtomicU32::new(0),
        };
        core.exec(&Invocation::script(&format!(
            "ip link set lo up
             ip link add hansebr0 address {} type bridge mcast_snooping 0
             ip addr add {OPERATOR_IPV4}/24 dev hansebr0
             ip addr add {OPERATOR_IPV6}/64 dev hansebr0 nodad
             ip link set hansebr0 up",
            links::hardware_address(254),
        )))?
        .success()
        .context("unable to set up the bridge")?;
        Ok(core)
    }

    fn exec(&self, invocation: &Invocation) -> Result<Output> {
        invocation.run(&self.enter()?)
    }

    fn enter(&self) -> Result<Vec<OsString>> {
        let anchor = lock(&self.anchor);
        Ok(anchor
            .as_ref()
            .context("the laboratory has ended")?
            .enter_arguments())
    }

    /// Holds the namespaces of a host, or of a LAN host, called `name`.
    fn raise(&self, name: &str) -> Result<Anchor> {
        let anchor = lock(&self.anchor);
        Anchor::of_host(anchor.as_ref().context("the laboratory has ended")?, name)
    }

    fn add_faults(&self, faults: &[Fault]) -> Result<()> {
        self.change_wire(|wire| wire.faults.extend(faults))
    }

    fn change_wire(&self, change: impl FnOnce(&mut Wire)) -> Result<()> {
        let mut wire = lock(&self.wire);
        change(&mut wire);
        let rules = links::ruleset(&wire.faults, &wire.ports);
        self.exec(&Invocation::new("nft").args(["-f", "-"]).input(rules))?
            .success()
            .context("unable to change the wire between the hosts")?;
        Ok(())
    }

    /// A log of its own for each process.
    fn log_path(&self, place: &str, name: &str) -> PathBuf {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        self.folder
            .join("logs")
            .join(format!("{number:03}-{place}-{name}.log"))
    }

    /// Ends every process, and with the last one the namespaces; the second time nothing happens.
    fn end(&self) {
        if let Some(anchor) = lock(&self.anchor).take() {
            if std::thread::panicking() {
                eprintln!("{}", self.last_logs());
            }
            let _ = anchor.end();
        }
    }

    fn last_logs(&self) -> String {
        let Ok(entries) = fs::read_dir(self.folder.join("logs")) else {
            return String::new();
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let told = paths.iter().map(|path| {
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            format!("the end of {}:\n  {}", path.display(), shown.join("\n  "))
        });
        told.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.end();
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        // All hosts end at once with the namespace around them, instead of one by one.
        self.core.end();
    }
}

/// A panicking test poisons nothing that the clean-up needs.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enter_command(enter: &[OsString]) -> String {
    let arguments: Vec<_> = enter
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect();
    format!("nsenter {} bash", arguments.join(" "))
}
