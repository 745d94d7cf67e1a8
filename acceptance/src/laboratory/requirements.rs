//! What a machine must have before a laboratory can be raised, checked before anything starts.
//!
//! Each lack is an error that ends with the command that mends it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Programs that the laboratory runs, and the Debian package of each.
const PROGRAMS: [(&str, &str); 11] = [
    ("bash", "bash"),
    ("hostname", "hostname"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("ping", "iputils-ping"),
    ("timeout", "coreutils"),
    ("unshare", "util-linux"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
];

/// Folders that an ordinary user's PATH often lacks and that hold `ip` and `nft`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The PATH under which everything in the laboratory runs.
#[must_use]
pub fn search_path() -> OsString {
    let inherited =
        std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut folders: Vec<PathBuf> = std::env::split_paths(&inherited).collect();
    for folder in SYSTEM_FOLDERS.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    // Only a folder with a colon in its name can't be joined, and none came out of the split.
    std::env::join_paths(folders).unwrap_or(inherited)
}

/// Checks programs and devices.
///
/// # Errors
///
/// When something is missing; the message names the command that mends it.
pub(super) fn check() -> Result<()> {
    check_programs("the laboratory", &PROGRAMS)?;
    check_tun(Path::new("/dev/net/tun"))
}

/// Checks that `programs`, each with its Debian package, are on the PATH of the laboratory.
///
/// # Errors
///
/// When one is missing; the message names the command that mends it.
pub(crate) fn check_programs(who: &str, programs: &[(&str, &str)]) -> Result<()> {
    let path = search_path();
    let packages: BTreeSet<&str> = programs
        .iter()
        .filter(|(program, _)| !is_on_path(program, &path))
        .map(|(_, package)| *package)
        .collect();
    if !packages.is_empty() {
        bail!(
            "{who} needs programs that are not installed: run \
             `sudo apt-get install --no-install-recommends {}`",
            Vec::from_iter(packages).join(" ")
        );
    }
    Ok(())
}

/// What to do when user namespaces are refused; part of the error of the anchor that failed.
pub(super) const NAMESPACES_REFUSED: &str = "an ordinary user may be forbidden user namespaces: \
     `sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000` \
     (and on Ubuntu `kernel.apparmor_restrict_unprivileged_userns=0`) allows them, or run as root";

fn is_on_path(program: &str, path: &OsString) -> bool {
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

fn check_tun(device: &Path) -> Result<()> {
    if !device.exists() {
        bail!("{} is missing: run `sudo modprobe tun`", device.display());
    }
    // Opening it makes no interface; that takes an ioctl.
    if let Err(error) = OpenOptions::new().read(true).write(true).open(device) {
        bail!(
            "unable to open {0} ({error}), which wireguard-go needs: run `sudo chmod 0666 {0}`",
            device.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_always_has_the_system_folders() {
        let path = search_path();
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        for folder in SYSTEM_FOLDERS {
            assert!(folders.contains(&PathBuf::from(folder)), "{folder}");
        }
    }

    #[test]
    fn a_missing_device_names_the_command_that_mends_it() {
        let error = check_tun(Path::new("/nonexistent/tun")).unwrap_err();
        assert!(error.to_string().contains("modprobe tun"), "{error}");
    }
}
