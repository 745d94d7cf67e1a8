//! A laboratory leaves nothing behind, whether it is dropped or its owner is killed.
//!
//! A test run that leaks processes and folders spoils the next one, on a machine that others use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::laboratory::{Invocation, Laboratory};
use hanse_acceptance::wait::{wait_until, wait_until_true};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn nothing_is_left_when_the_laboratory_is_dropped() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let folder = laboratory.folder().to_owned();
    let mark = folder.to_string_lossy().into_owned();
    laboratory
        .host(1)
        .exec(["wireguard-go", "wg0"])?
        .success()?;
    let _lan = laboratory.host(1).add_lan("10.20.0.0/24")?;
    let script = format!("cd {mark} && exec sleep 1000");
    let _process = laboratory
        .host(1)
        .spawn("sleeper", Invocation::script(&script))?;
    laboratory.host(2).freeze()?;
    let inside = network_namespaces_of_processes_in(&folder)?;
    assert!(!inside.is_empty(), "the look finds what is there");

    drop(laboratory);
    assert!(
        network_namespaces_of_processes_in(&folder)?.is_empty(),
        "a process is left"
    );
    assert!(!folder.exists(), "{mark} is left");
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    assert!(
        !mounts.contains(&mark) && !mounts.contains("hansebr0"),
        "a mount is left"
    );
    let links = fs::read_dir("/sys/class/net")?.count();
    assert!(
        links > 0 && !Path::new("/sys/class/net/hansebr0").exists(),
        "a link is left"
    );
    wait_until_true("the network namespaces go", PATIENCE, || {
        let alive = network_namespaces()?;
        Ok(inside.iter().all(|namespace| !alive.contains(namespace)))
    })
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() -> Result<()> {
    let owner = std::process::Command::new(env!("CARGO_BIN_EXE_laboratory"))
        .args(["up", "--hosts", "2"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let mut owner = Reaped(owner);
    let stdout = owner.0.stdout.take().unwrap();
    let folder = std::io::BufRead::lines(std::io::BufReader::new(stdout))
        .map_while(Result::ok)
        .find_map(|line| {
            line.split_whitespace()
                .find(|word| word.starts_with("/tmp/hl-"))
                .map(str::to_owned)
        })
        .unwrap();
    let folder = Path::new(&folder);
    assert!(folder.exists());
    owner.0.kill()?;
    wait_until("the folder goes", PATIENCE, || {
        Ok((!folder.exists()).then_some(()))
    })
}

/// A child that is waited for, whatever happens.
struct Reaped(std::process::Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The network namespaces of every process that works in `folder` or was told of it.
fn network_namespaces_of_processes_in(folder: &Path) -> Result<BTreeSet<String>> {
    let mark = folder.to_string_lossy().into_owned();
    let mut found = BTreeSet::new();
    for process in processes()? {
        let told = fs::read(process.join("cmdline")).unwrap_or_default();
        let works_there =
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        if works_there || String::from_utf8_lossy(&told).contains(&mark) {
            let namespace = fs::read_link(process.join("ns/net")).unwrap_or_default();
            found.insert(namespace.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

fn network_namespaces() -> Result<BTreeSet<String>> {
    Ok(processes()?
        .iter()
        .filter_map(|process| fs::read_link(process.join("ns/net")).ok())
        .map(|namespace| namespace.to_string_lossy().into_owned())
        .collect())
}

fn processes() -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
    Ok(entries
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok())
        })
        .collect())
}
