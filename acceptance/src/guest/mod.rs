//! Machines of their own, for what no namespace can show.
//!
//! QEMU boots Debian's kernel for clouds with a root file system in memory. A [`Guest`] has one task: a
//! program of ours runs in it and reports on a serial port, with what the kernel of this machine may
//! lack: WireGuard. A [`GuestHost`] stands in the place of a host of the laboratory and can be paused.
//! What an emulated processor takes in time says nothing about real machines.
//!
//! A guest never sees a file of this machine or a network beyond the laboratory's, and never outlives its
//! test.

pub mod report;

mod console;
mod contents;
mod host;
mod image;
mod kernel;
mod orders;
mod qmp;

pub use console::Console;
pub use host::{Event, GuestHost};
pub use qmp::power_off;
pub use report::Report;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use kernel::Kernel;

/// The image is in there twice while it is unpacked; three hosts and Terraform need the rest.
const MEMORY_MIB: u32 = 3072;

/// Processors of the guest.
const PROCESSORS: u32 = 2;

/// A panic ends the guest, and so does the end of the program, since it is then pid 1 that ends.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 loglevel=4 panic=-1";

/// A guest that runs; it is killed when dropped.
#[derive(Debug)]
pub struct Guest {
    machine: Child,
    folder: TempDir,
}

impl Guest {
    /// Boots a guest whose one task is to run `program`, a binary of this package; what that
    /// prints arrives at the console.
    ///
    /// # Errors
    ///
    /// When this machine lacks something; the message names the command that mends it.
    pub fn boot(program: &Path) -> Result<(Self, Console)> {
        let kernel = Kernel::find()?;
        let folder = tempfile::tempdir().context("unable to make the guest's folder")?;
        let image = contents::of_task(folder.path(), &kernel, program)?.pack()?;
        let kernel_log = File::create(kernel_log(folder.path()))
            .context("unable to make the file for the kernel's log")?;
        drop(kernel_log);
        let mut machine = command(&kernel, &image, folder.path())
            .spawn()
            .context("unable to start the guest")?;
        let output = machine.stdout.take().context("the guest has no output")?;
        let console = Console::new(BufReader::new(output));
        Ok((Self { machine, folder }, console))
    }

    /// What the guest's kernel, and whatever wrote past the report, has said.
    #[must_use]
    pub fn story(&self) -> String {
        let said = |path: PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        format!(
            "{}{}",
            said(kernel_log(self.folder.path())),
            said(machine_log(self.folder.path()))
        )
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}

fn command(kernel: &Kernel, image: &Path, folder: &Path) -> Command {
    // It must not outlive us, however we end.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", kernel::EMULATOR])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-display", "none"])
        .args(kernel::EMULATED)
        .args(["-m", &MEMORY_MIB.to_string()])
        .args(["-smp", &PROCESSORS.to_string()])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(image)
        .args(["-append", KERNEL_ARGUMENTS])
        .arg("-serial")
        .arg(format!("file:{}", kernel_log(folder).display()))
        .args(["-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    match File::create(machine_log(folder)) {
        Ok(log) => command.stderr(log),
        Err(_) => command.stderr(Stdio::inherit()),
    };
    command
}

fn kernel_log(folder: &Path) -> PathBuf {
    folder.join("kernel.log")
}

fn machine_log(folder: &Path) -> PathBuf {
    folder.join("machine.log")
}
