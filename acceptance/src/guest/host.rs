//! A host of the laboratory that is a machine of its own: it can be paused, as a hypervisor does it.
//!
//! The emulator runs on the host and its network card lies on the same wire, so that all others see the
//! host's own address and nothing else. While it is paused its clocks stand still, and no process of it
//! can know. Its disk survives the loss of its power; no folder of this machine is seen in it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::contents;
use super::image::run;
use super::kernel::{self, Kernel};
use super::orders::Orders;
use super::qmp::Qmp;
use crate::failover::now_ns;
use crate::laboratory::{Host, Invocation, Process, check_programs};
use crate::wait::wait_until_true;

/// The image is in there twice while it is unpacked.
const MEMORY_MIB: u32 = 1536;
const PROCESSORS: u32 = 2;
/// How large its disk may become: it takes the room that is used.
const DISK: &str = "4G";
/// How long it may take to boot, emulated.
const BOOT_TIMEOUT: Duration = Duration::from_secs(180);
/// What its first process says once it does what it is told.
const READY: &str = "the guest takes orders";
/// What is noted of all that the emulator tells.
const TOLD: [&str; 4] = ["STOP", "RESUME", "RESET", "SHUTDOWN"];
/// What makes a disk, and the Debian package of it.
const PROGRAMS: [(&str, &str); 1] = [("mke2fs", "e2fsprogs")];

/// Something that befell it.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, by the clock that every process of this machine shares.
    pub at_ns: u64,
    /// What, as the emulator names it: `STOP`, `RESUME`, `SHUTDOWN`.
    pub name: String,
    /// Why it was shut down: `guest-reset`, `host-qmp-quit`; empty for all else.
    pub reason: String,
}

/// A host in a guest.
#[derive(Debug)]
pub struct GuestHost<'l> {
    host: &'l Host,
    kernel: Kernel,
    image: PathBuf,
    watchdog: bool,
    power: Option<Power>,
    events: Arc<Mutex<Vec<Event>>>,
}

/// What there is while it has power.
#[derive(Debug)]
struct Power {
    machine: Process,
    orders: Mutex<Orders>,
}

impl<'l> GuestHost<'l> {
    /// Puts a machine in the place of a host on which nothing runs, and boots it; with the kernel's own
    /// `watchdog` if it is to have one. Debian's PostgreSQL is in it, and the program under test.
    ///
    /// # Errors
    ///
    /// When this machine lacks something; the message names the command that mends it.
    pub fn start(host: &'l Host, watchdog: bool) -> Result<Self> {
        let kernel = Kernel::find()?;
        check_programs("a guest with a disk", &PROGRAMS)?;
        let image = contents::of_host(host.data_dir(), &kernel)?.pack()?;
        let disk = disk(host);
        run(Command::new("mke2fs")
            .args(["-q", "-F", "-t", "ext4"])
            .arg(&disk)
            .arg(DISK))?;
        lend_network_card(host)?;
        let mut guest = Self {
            host,
            kernel,
            image,
            watchdog,
            power: None,
            events: Arc::default(),
        };
        guest.power_on()?;
        Ok(guest)
    }

    /// Boots it.
    ///
    /// # Errors
    ///
    /// When it doesn't come up; the message holds what its kernel said.
    pub fn power_on(&mut self) -> Result<()> {
        self.power = None;
        File::create(self.kernel_log()).context("unable to make the file for the kernel's log")?;
        let machine = self.host.spawn("guest", self.invocation())?;
        let booted = wait_until_true("the guest boots", BOOT_TIMEOUT, || {
            Ok(self.kernel_log_text().contains(READY))
        });
        booted.with_context(|| self.story(&machine))?;
        let events = Qmp::connect(&socket(self.host, "events"))?.listens()?;
        let heard = Arc::clone(&self.events);
        std::thread::spawn(move || listen(events, &heard));
        let orders = Orders::connect(&socket(self.host, "orders"))?;
        self.power = Some(Power {
            machine,
            orders: Mutex::new(orders),
        });
        Ok(())
    }

    /// Whether there is a machine, be it paused or not.
    ///
    /// # Errors
    ///
    /// When the system can't say.
    pub fn is_on(&mut self) -> Result<bool> {
        match &mut self.power {
            Some(power) => power.machine.is_running(),
            None => Ok(false),
        }
    }

    /// Waits until there is no machine any more: it was reset, or somebody took its power.
    ///
    /// # Errors
    ///
    /// When it goes on.
    pub fn wait_until_off(&mut self, timeout: Duration) -> Result<()> {
        match &mut self.power {
            Some(power) => power.machine.wait(timeout).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Has it stand still, clocks and all.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub fn pause(&self) -> Result<()> {
        self.ask("stop", "paused")
    }

    /// Lets it go on where it stood.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub fn resume(&self) -> Result<()> {
        self.ask("cont", "running")
    }

    /// Runs a script in it, which ends at the first command that fails; yields all that it said.
    ///
    /// # Errors
    ///
    /// When it fails, or the guest can't answer.
    pub fn run(&self, script: &str) -> Result<String> {
        let power = self.power.as_ref().context("the guest is powered off")?;
        let mut orders = power.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.run(script)
    }

    /// What befell it so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }

    /// What its kernel said since it booted.
    #[must_use]
    pub fn kernel_log_text(&self) -> String {
        let bytes = fs::read(self.kernel_log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where whoever fences it finds the emulator.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        socket(self.host, "control")
    }

    fn ask(&self, command: &str, wanted: &str) -> Result<()> {
        let mut qmp = Qmp::connect(&self.control())?;
        qmp.ask(command)?;
        let status = qmp.ask("query-status")?;
        if status["status"] != wanted {
            bail!("the guest was told to {command}, and is {status}");
        }
        Ok(())
    }

    fn story(&self, machine: &Process) -> String {
        let said = machine.log().unwrap_or_default();
        format!("the guest says:\n{}{said}", self.kernel_log_text())
    }

    fn kernel_log(&self) -> PathBuf {
        self.host.data_dir().join("kernel.log")
    }

    fn invocation(&self) -> Invocation {
        let on = |name: &str| format!("{},server=on,wait=off", socket(self.host, name).display());
        let watchdog = if self.watchdog {
            " GUEST_WATCHDOG=softdog"
        } else {
            ""
        };
        let names = format!(
            "{} GUEST_NAME={} GUEST_IPV4={} GUEST_IPV6={}{watchdog}",
            super::KERNEL_ARGUMENTS,
            self.host.name(),
            self.host.ipv4(),
            self.host.ipv6(),
        );
        // Others on this machine are not to look like faults of the guest. An ordinary user's has to share.
        Invocation::new("nice")
            .args(["-n", "-10", kernel::EMULATOR])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none"])
            .args(kernel::accelerator())
            .args(["-m", &MEMORY_MIB.to_string()])
            .args(["-smp", &PROCESSORS.to_string()])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(&self.image)
            .args(["-append", &names])
            .arg("-serial")
            .arg(format!("file:{}", self.kernel_log().display()))
            .args([
                "-chardev",
                &format!("socket,id=orders,path={}", on("orders")),
            ])
            .args(["-serial", "chardev:orders"])
            .args(["-qmp", &format!("unix:{}", on("control"))])
            .args(["-qmp", &format!("unix:{}", on("events"))])
            .args(["-netdev", "tap,id=wire,ifname=tap0,script=no,downscript=no"])
            .arg("-device")
            .arg(format!(
                "virtio-net-pci,netdev=wire,mac={}",
                self.host.hardware_address()
            ))
            // What was written outlives the emulator, and this machine needs not outlive it.
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio,cache=unsafe",
                disk(self.host).display()
            ))
    }
}

/// Makes the host a mere wire between its link and the guest's card, which takes over its addresses.
fn lend_network_card(host: &Host) -> Result<()> {
    let script = format!(
        "ip addr flush dev eth0
         ip link set eth0 address 02:00:00:01:99:{number:02x}
         ip tuntap add tap0 mode tap
         ip link add wire0 type bridge mcast_snooping 0
         ip link set tap0 master wire0
         ip link set eth0 master wire0
         ip link set tap0 up
         ip link set wire0 up",
        number = host.number(),
    );
    host.exec(Invocation::script(&script))?
        .success()
        .context("unable to lend the host's network card to a guest")?;
    Ok(())
}

/// Notes what the emulator tells until it ends.
fn listen(mut qmp: Qmp, heard: &Mutex<Vec<Event>>) {
    while let Ok(Some(said)) = qmp.next() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&said["event"]);
        if TOLD.contains(&name.as_str()) {
            let event = Event {
                at_ns: now_ns(),
                name,
                reason: text(&said["data"]["reason"]),
            };
            heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(event);
        }
    }
}

fn socket(host: &Host, name: &str) -> PathBuf {
    host.data_dir().join(name)
}

fn disk(host: &Host) -> PathBuf {
    host.data_dir().join("guest.ext4")
}
