//! The guest's kernel and the programs that a guest is made with: what must be here before one is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::binaries;
use crate::laboratory::check_programs;

/// The emulator.
pub(super) const EMULATOR: &str = "qemu-system-x86_64";

/// Everything is emulated: the processor has every feature that can be, a source of random numbers among
/// them.
pub(super) const EMULATED: [&str; 4] = ["-accel", "tcg", "-cpu", "max"];

/// Programs that make and run a guest, and the Debian package of each.
const PROGRAMS: [(&str, &str); 5] = [
    (EMULATOR, "qemu-system-x86"),
    ("cpio", "cpio"),
    ("ldd", "libc-bin"),
    ("setpriv", "util-linux"),
    ("strip", "binutils"),
];

/// A kernel that was unpacked, never installed.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What a boot loader loads.
    pub(super) image: PathBuf,
    /// The folder of its modules.
    pub(super) modules: PathBuf,
    /// What `uname -r` says.
    pub(super) release: String,
}

impl Kernel {
    /// The kernel that `scripts/tools` fetched.
    pub(super) fn find() -> Result<Self> {
        if !cfg!(target_arch = "x86_64") {
            bail!("the guest's programs are this machine's, and only x86-64 is emulated");
        }
        check_programs("a guest", &PROGRAMS)?;
        let folder = binaries::cache()?.join("tools/guest-kernel");
        let missing = || {
            format!(
                "the guest's kernel is missing at {}: run `scripts/test --long`",
                folder.display()
            )
        };
        let modules = only_entry(&folder.join("lib/modules")).with_context(missing)?;
        let release = modules.file_name().unwrap_or_default().to_string_lossy();
        let release = release.into_owned();
        let image = folder.join("boot").join(format!("vmlinuz-{release}"));
        if !image.is_file() {
            bail!(missing());
        }
        Ok(Self {
            image,
            modules,
            release,
        })
    }
}

/// How the emulator runs a machine on which time matters: by this machine's own processor where that can
/// and the caller may, else as for all guests. A device /dev/kvm that exists need not work.
pub(super) fn accelerator() -> [&'static str; 4] {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let can = |feature| processor.split_whitespace().any(|word| word == feature);
    let may = || File::options().read(true).write(true).open("/dev/kvm");
    if (can("vmx") || can("svm")) && may().is_ok() {
        ["-accel", "kvm", "-cpu", "host"]
    } else {
        EMULATED
    }
}

fn only_entry(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder)?
        .next()
        .context("the folder is empty")?;
    Ok(entry?.path())
}
