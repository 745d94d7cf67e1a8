//! The host's watchdog: a device of the kernel that resets the host once nobody feeds it.
//!
//! `wdctl` sets its time, since only `unsafe` code could ask the kernel for that here.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hanse_guard::Watchdog;

/// From util-linux, which every distribution has.
const PROGRAM: &str = "wdctl";

/// The device.
pub(super) struct Device(PathBuf);

impl Device {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn set(&self, timeout_s: u64) -> Result<(), String> {
        let shown = self.0.display();
        let set = Command::new(PROGRAM)
            .args(["--settimeout", &timeout_s.to_string()])
            .arg(&self.0)
            .env("LC_ALL", "C")
            .output()
            .map_err(|error| {
                format!(
                    "unable to start {PROGRAM}, which sets the time of the watchdog {shown}: \
                     {error}. Run: apt-get install util-linux"
                )
            })?;
        match takes(&set, timeout_s) {
            true => Ok(()),
            false => Err(format!(
                "the watchdog {shown} can't be told to reset this host after {timeout_s} s: {}. If \
                 it is a device that can't, use the kernel's: modprobe softdog",
                String::from_utf8_lossy(&set.stderr)
                    .trim()
                    .replace('\n', "; ")
            )),
        }
    }
}

impl Watchdog for Device {
    fn open(&self, timeout_s: Option<u64>) -> Result<File, String> {
        let shown = self.0.display();
        let open = || {
            let opened = File::options().write(true).open(&self.0);
            opened.map_err(|error| match error.kind() {
                ErrorKind::NotFound => format!(
                    "this host has no watchdog {shown}, so nothing resets it if the workload can't \
                     be ended. Run: modprobe softdog"
                ),
                ErrorKind::ResourceBusy => format!(
                    "the watchdog {shown} is another program's: another plan's guard, or systemd \
                     (RuntimeWatchdogSec= in /etc/systemd/system.conf)"
                ),
                _ => format!("unable to open the watchdog {shown}: {error}"),
            })
        };
        let mut file = open()?;
        let Some(timeout_s) = timeout_s else {
            return Ok(file);
        };
        // Only one program has it at a time, and `wdctl` is one.
        let closed = file.write_all(b"V");
        drop(file);
        closed.map_err(|error| format!("unable to write to the watchdog {shown}: {error}"))?;
        self.set(timeout_s)?;
        open()
    }
}

/// Whether `wdctl` says that the device has taken just this time.
fn takes(set: &Output, timeout_s: u64) -> bool {
    let said = String::from_utf8_lossy(&set.stdout);
    let expected = format!("set to {timeout_s} second");
    set.status.success() && said.contains(&expected)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn without_a_device_the_command_is_told_that_makes_one() {
        let device = Device::new(Path::new("/nowhere/watchdog"));
        for timeout_s in [None, Some(5)] {
            let said = device.open(timeout_s).unwrap_err();
            assert!(said.ends_with("Run: modprobe softdog"), "{said}");
        }
    }

    #[test]
    fn a_device_that_takes_another_time_is_refused() {
        let said = |stdout: &str, code: i32| Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.into(),
            stderr: Vec::new(),
        };
        let line = "Timeout has been set to 15 seconds.\n";
        assert!(takes(&said(line, 0), 15));
        assert!(!takes(&said(line, 1), 15));
        assert!(!takes(&said(line, 5), 5));
        assert!(!takes(&said("", 0), 15));
    }
}
