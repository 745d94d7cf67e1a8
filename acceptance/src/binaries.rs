//! Where the programs under test and the tools of the test lie.
//!
//! Never on PATH: a program of the same name that happens to be installed is not what is tested.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The folder of the binaries under test.
const BINARIES_VARIABLE: &str = "HANSE_BIN_DIR";

/// The folder in which the scripts keep what they downloaded.
const CACHE_VARIABLE: &str = "HANSE_CACHE";

/// The agent and command line `hanse`.
///
/// # Errors
///
/// When it was not built.
pub fn hanse() -> Result<PathBuf> {
    built("hanse", "hanse")
}

/// `hanse` as the version before this one was, for tests of upgrades.
///
/// # Errors
///
/// When it was not built.
pub fn previous_hanse() -> Result<PathBuf> {
    let path = folder_of_programs()?.join("previous").join("hanse");
    existing(path, "bash -c '. scripts/tools && build_previous'")
}

/// The Terraform provider.
///
/// # Errors
///
/// When it was not built.
pub fn provider() -> Result<PathBuf> {
    built("terraform-provider-hanse", "terraform-provider-hanse")
}

/// The real Terraform that `scripts/tools` installed.
///
/// # Errors
///
/// When it was not installed.
pub fn terraform() -> Result<PathBuf> {
    installed("Terraform", "terraform", "scripts/tools")
}

/// The real OpenTofu that `scripts/test` built.
///
/// # Errors
///
/// When it was not built.
pub fn tofu() -> Result<PathBuf> {
    installed(
        "OpenTofu",
        "tofu",
        "bash -c '. scripts/tools && ensure_tofu'",
    )
}

/// Debian's etcd, which `scripts/bench` unpacked.
///
/// # Errors
///
/// When it was not unpacked.
pub fn etcd() -> Result<PathBuf> {
    let command = "bash -c '. scripts/tools && ensure_etcd'";
    installed("etcd", "etcd/usr/bin/etcd", command)
}

/// An example of one of the project's crates.
///
/// # Errors
///
/// When it was not built.
pub fn example(name: &str, package: &str) -> Result<PathBuf> {
    let path = folder_of_programs()?.join("examples").join(name);
    existing(path, &format!("cargo build -p {package} --example {name}"))
}

fn built(name: &str, package: &str) -> Result<PathBuf> {
    existing(
        folder_of_programs()?.join(name),
        &format!("cargo build -p {package}"),
    )
}

fn installed(name: &str, file: &str, command: &str) -> Result<PathBuf> {
    let path = cache()?.join("tools").join(file);
    if !path.is_file() {
        bail!("{name} is missing at {}: run `{command}`", path.display());
    }
    Ok(path)
}

fn existing(path: PathBuf, command: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!(
            "{} is missing: run `{command}`, or set {BINARIES_VARIABLE} to the folder of the programs",
            path.display()
        );
    }
    path.canonicalize()
        .with_context(|| format!("unable to resolve {}", path.display()))
}

fn folder_of_programs() -> Result<PathBuf> {
    match std::env::var_os(BINARIES_VARIABLE) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => beside_this_program(),
    }
}

/// Tests lie in `deps`, one folder below the binaries of their profile.
fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("unable to find this program")?;
    let folder = program.parent().context("this program lies in no folder")?;
    Ok(if folder.ends_with("deps") {
        folder.join("..")
    } else {
        folder.to_owned()
    })
}

/// The folder in which the scripts keep what they downloaded.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os(CACHE_VARIABLE) {
        return Ok(cache.into());
    }
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("hanse"))
}
