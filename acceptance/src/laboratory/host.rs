//! One host of the laboratory, and what can happen to it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};

use super::anchor::Anchor;
use super::invocation::{Invocation, Output};
use super::lan::Lan;
use super::links::{self, Fault};
use super::process::Process;
use super::{Core, OPERATOR_IPV4, OPERATOR_IPV6, enter_command, lock};

/// The folder of a host's disk.
const DISK: &str = "disk";

/// A host. Its name is `h1`, `h2`, …
#[derive(Debug)]
pub struct Host {
    core: Arc<Core>,
    number: u8,
    name: String,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None while the power is off.
    anchor: Option<Anchor>,
    lans: Vec<Arc<Lan>>,
    /// Those it booted with: ours, and any that this kernel gives to every namespace.
    interfaces: BTreeSet<String>,
}

impl Host {
    pub(super) fn start(core: &Arc<Core>, number: u8) -> Result<Self> {
        let name = format!("h{number}");
        let folder = core.folder.join(&name);
        let disk = folder.join(DISK);
        fs::create_dir_all(&disk)
            .with_context(|| format!("unable to make the folder {}", disk.display()))?;
        let host = Self {
            core: Arc::clone(core),
            number,
            name,
            folder,
            state: Mutex::default(),
        };
        host.power_on()?;
        Ok(host)
    }

    /// `h1` for the first host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// 1 for the first host.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Its address on the wire.
    #[must_use]
    pub fn ipv4(&self) -> String {
        format!("10.99.0.{}", self.number)
    }

    /// Its IPv6 address on the wire.
    #[must_use]
    pub fn ipv6(&self) -> String {
        format!("fd99::{:x}", self.number)
    }

    /// The hardware address of its network card.
    #[must_use]
    pub fn hardware_address(&self) -> String {
        links::hardware_address(self.number)
    }

    /// Its disk: survives restarts, and the path is short enough for unix sockets.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.folder
    }

    /// Where what fills disks belongs: a folder of [`Self::data_dir`], unless
    /// [`Laboratory::limit_disks`](super::Laboratory::limit_disks) made it a file system of its own. What
    /// is on that is seen from within the laboratory alone.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.folder.join(DISK)
    }

    /// Leaves no room on [`Self::disk`], as whoever writes too much does.
    ///
    /// # Errors
    ///
    /// When the disk has no limit, which would be this machine's.
    pub fn fill_disk(&self) -> Result<()> {
        let script = r#"
            mountpoint -q "$1" || { echo "the disk has no limit" >&2; exit 1; }
            ! cat /dev/zero >"$1/filler" 2>/dev/null"#;
        self.on_disk(script)
    }

    /// Gives the room back.
    ///
    /// # Errors
    ///
    /// When it can't be removed.
    pub fn empty_disk(&self) -> Result<()> {
        self.on_disk(r#"rm -f "$1/filler""#)
    }

    fn on_disk(&self, script: &str) -> Result<()> {
        let invocation = Invocation::script(script).arg("disk").arg(self.disk());
        self.core.exec(&invocation)?.success()?;
        Ok(())
    }

    /// Makes the disk one of at most so much, in memory; what was on it is gone from sight. Its power was
    /// off and comes on again.
    pub(super) fn limit_disk(&self, size_mb: u32) -> Result<()> {
        self.power_off()?;
        let options = format!("size={size_mb}m,mode=0755");
        let mount = Invocation::from(["mount", "-t", "tmpfs", "-o", options.as_str(), "disk"]);
        self.core.exec(&mount.arg(self.disk()))?.success()?;
        self.power_on()
    }

    /// Runs a command and waits for its end.
    ///
    /// # Errors
    ///
    /// When it can't be started; how it ended is in the output.
    pub fn exec(&self, invocation: impl Into<Invocation>) -> Result<Output> {
        invocation.into().run(&self.enter()?)
    }

    /// Starts a background process; `name` names its log.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn spawn(&self, name: &str, invocation: impl Into<Invocation>) -> Result<Process> {
        let log = self.core.log_path(&self.name, name);
        Process::start(&invocation.into(), &self.enter()?, log)
    }

    /// From now on nothing leaves the host or arrives there. It sees no carrier loss.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn cut_link(&self) -> Result<()> {
        self.core
            .add_faults(&[Fault::FromHost(self.number), Fault::ToHost(self.number)])
    }

    /// From now on nothing leaves the host; what is sent to it still arrives.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn cut_outgoing(&self) -> Result<()> {
        self.core.add_faults(&[Fault::FromHost(self.number)])
    }

    /// From now on nothing arrives at the host; what it sends still leaves.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn cut_incoming(&self) -> Result<()> {
        self.core.add_faults(&[Fault::ToHost(self.number)])
    }

    /// Mends every cut that has to do with this host.
    ///
    /// # Errors
    ///
    /// When the rules can't be set.
    pub fn heal_link(&self) -> Result<()> {
        self.core
            .change_wire(|wire| wire.faults.retain(|fault| !fault.touches(self.number)))
    }

    /// Takes the power away: the link first, so that no farewell escapes, then every process.
    /// What is in memory (interfaces, `/run`) is lost; [`Self::data_dir`] stays.
    ///
    /// # Errors
    ///
    /// When the host has no power, or the system refuses.
    pub fn power_off(&self) -> Result<()> {
        let mut state = lock(&self.state);
        let Some(anchor) = state.anchor.take() else {
            bail!("{} is powered off already", self.name)
        };
        let port = links::port(self.number);
        self.core
            .exec(&["ip", "link", "set", port.as_str(), "down"].into())?
            .success()
            .with_context(|| format!("unable to unplug {}", self.name))?;
        anchor.kill()?;
        // The kernel removes the dead host's end some time later; a restart can't wait for it.
        self.core
            .exec(&["ip", "link", "delete", port.as_str()].into())?;
        self.core.change_wire(|wire| {
            wire.ports.remove(&self.number);
        })
    }

    /// Gives the power back: the host boots with its disk, its addresses and its LANs.
    ///
    /// # Errors
    ///
    /// When the host has power already, or the system refuses.
    pub fn power_on(&self) -> Result<()> {
        let mut state = lock(&self.state);
        if state.anchor.is_some() {
            bail!("{} is powered on already", self.name);
        }
        let anchor = self.core.raise(&self.name)?;
        self.plug_in(&anchor)
            .with_context(|| format!("unable to plug {} in", self.name))?;
        for lan in &state.lans {
            lan.plug_in(&anchor)?;
        }
        state.interfaces = interfaces(&anchor.enter_arguments())?;
        state.anchor = Some(anchor);
        drop(state);
        self.core.change_wire(|wire| {
            wire.ports.insert(self.number);
        })
    }

    /// Stops every process of the host where it stands; its kernel goes on.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn freeze(&self) -> Result<()> {
        self.signal_all("STOP")
    }

    /// Lets every process of the host go on.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn thaw(&self) -> Result<()> {
        self.signal_all("CONT")
    }

    /// Keeps every process that the host has now, and what they start, to one of the machine's processors,
    /// counted from 0.
    ///
    /// # Errors
    ///
    /// When the machine has no such processor, or the host no power.
    pub fn keep_to_processor(&self, number: usize) -> Result<()> {
        let count = std::thread::available_parallelism()?.get();
        ensure!(number < count, "this machine has {count} processors");
        // Those that ended meanwhile need none.
        let script = format!(
            "for folder in /proc/[0-9]*; do
               taskset --all-tasks --cpu-list --pid {number} \"${{folder#/proc/}}\" >&2 || true
             done"
        );
        self.exec(Invocation::script(&script))?.success()?;
        Ok(())
    }

    /// Gives the host a LAN of its own with the network `cidr` (v4 or v6), and another host on it.
    /// The first address of the network is this host's, the second the other's.
    ///
    /// # Errors
    ///
    /// When `cidr` isn't one, or the host has no power.
    pub fn add_lan(&self, cidr: &str) -> Result<Arc<Lan>> {
        let mut state = lock(&self.state);
        let anchor = state
            .anchor
            .as_ref()
            .context("a LAN needs a host with power")?;
        let lan = Arc::new(Lan::start(&self.core, &self.name, state.lans.len(), cidr)?);
        lan.plug_in(anchor)?;
        state.lans.push(Arc::clone(&lan));
        Ok(lan)
    }

    /// The names of its network interfaces beyond those that it booted with and its LANs.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn added_interfaces(&self) -> Result<Vec<String>> {
        let present = interfaces(&self.enter()?)?;
        let state = lock(&self.state);
        let is_added = |name: &String| !state.interfaces.contains(name) && !name.starts_with("lan");
        Ok(present.into_iter().filter(is_added).collect())
    }

    /// A command line that leads a person into the host.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn enter_command(&self) -> Result<String> {
        Ok(enter_command(&self.enter()?))
    }

    fn enter(&self) -> Result<Vec<OsString>> {
        let state = lock(&self.state);
        let anchor = state.anchor.as_ref();
        Ok(anchor
            .with_context(|| format!("{} is powered off", self.name))?
            .enter_arguments())
    }

    fn signal_all(&self, signal: &str) -> Result<()> {
        // -1 is every process of the host's pid namespace but pid 1 and the one that asks.
        let invocation = Invocation::script(&format!("kill -{signal} -1")).without_time_limit();
        self.exec(invocation)?.success()?;
        Ok(())
    }

    fn plug_in(&self, anchor: &Anchor) -> Result<()> {
        let port = links::port(self.number);
        self.core
            .exec(&Invocation::script(&format!(
                "ip link add {port} type veth peer name eth0 address {} netns {}
                 ip link set {port} master hansebr0 up",
                links::hardware_address(self.number),
                anchor.pid_in_laboratory()?,
            )))?
            .success()?;
        Invocation::script(&format!(
            "ip addr add {}/24 dev eth0
             ip addr add {}/64 dev eth0 nodad
             ip link set eth0 up
             ip route add default via {OPERATOR_IPV4}
             ip -6 route add default via {OPERATOR_IPV6} dev eth0",
            self.ipv4(),
            self.ipv6(),
        ))
        .run(&anchor.enter_arguments())?
        .success()?;
        Ok(())
    }
}

/// From netlink: `/sys` still shows the caller's own.
fn interfaces(enter: &[OsString]) -> Result<BTreeSet<String>> {
    let links = Invocation::from(["ip", "-json", "link", "show"])
        .run(enter)?
        .success()?
        .json()?;
    let names = links
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|link| link["ifname"].as_str());
    Ok(names.map(str::to_owned).collect())
}
