//! The guest's root file system: programs of this machine, at the same paths, with what they load.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;

/// Where programs of Debian's packages lie; one of the same name elsewhere is not what is meant.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/bin"];

/// The laboratory asks for it; in a guest nothing may need it.
const NO_DAEMON: &str = "#!/bin/sh\necho 'there is no wireguard-go in this guest' >&2\nexit 1\n";

/// The folder of the programs under test, and the program that the guest is for.
const BINARIES: &str = "guest/bin";

/// A folder that becomes the guest's root.
#[derive(Debug)]
pub(super) struct Image {
    root: PathBuf,
    packed: PathBuf,
    /// Whatever may load libraries.
    loaders: Vec<PathBuf>,
}

impl Image {
    /// One in a folder of `folder` with nothing but its first process, the script `init`.
    pub(super) fn new(folder: &Path, init: &str) -> Result<Self> {
        let image = Self {
            root: folder.join("root"),
            packed: folder.join("root.cpio"),
            loaders: Vec::new(),
        };
        for folder in [
            "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var",
        ] {
            image.make_folder(Path::new(folder))?;
        }
        for (target, link) in [
            ("usr/bin", "bin"),
            ("usr/sbin", "sbin"),
            ("usr/lib", "lib"),
            ("usr/lib64", "lib64"),
            ("/run", "var/run"),
        ] {
            symlink(target, image.root.join(link))
                .with_context(|| format!("unable to make the guest's link {link}"))?;
        }
        image.add_script("init", init)?;
        image.add_script("usr/bin/wireguard-go", NO_DAEMON)?;
        Ok(image)
    }

    /// Packs it as the kernel unpacks it, with all libraries that it needs.
    pub(super) fn pack(self) -> Result<PathBuf> {
        for library in libraries_of(&self.loaders)? {
            self.copy(&library)?;
        }
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
        Ok(self.packed)
    }

    /// Adds the modules in these folders of the kernel's.
    pub(super) fn add_modules(&self, kernel: &Kernel, folders: &[&str]) -> Result<()> {
        let target = self.root.join("usr/lib/modules").join(&kernel.release);
        for folder in folders {
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

    /// Adds programs of Debian's packages.
    pub(super) fn add_programs(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            let mut places = PROGRAM_FOLDERS
                .map(|folder| Path::new(folder).join(name))
                .into_iter();
            let path = places.find(|path| path.is_file()).with_context(|| {
                format!("{name} is missing in {}", PROGRAM_FOLDERS.join(" and "))
            })?;
            self.add_file(&path)?;
        }
        Ok(())
    }

    /// Adds a program under test. Names and line numbers are most of a debug build, and would be read
    /// into memory twice.
    pub(super) fn add_binary(&mut self, path: &Path, name: &str) -> Result<()> {
        self.make_folder(Path::new(BINARIES))?;
        let target = self.root.join(BINARIES).join(name);
        run(Command::new("strip").arg("-o").arg(&target).arg(path))?;
        self.loaders.push(path.to_owned());
        Ok(())
    }

    /// Adds a file of this machine at the same path, past the links that lead to its folder.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<()> {
        self.copy(path)?;
        self.loaders.push(path.to_owned());
        Ok(())
    }

    /// Adds a file of this machine at another path.
    pub(super) fn add_file_as(&mut self, path: &Path, target: &str) -> Result<()> {
        copy_file(path, &self.root.join(target))?;
        self.loaders.push(path.to_owned());
        Ok(())
    }

    /// Adds a folder of this machine at the same path, with those of its files that are `wanted`.
    pub(super) fn add_folder(&mut self, folder: &Path, wanted: fn(&Path) -> bool) -> Result<()> {
        let unable = || format!("unable to copy the folder {}", folder.display());
        for entry in fs::read_dir(folder).with_context(unable)? {
            let path = entry.with_context(unable)?.path();
            if path.is_dir() {
                self.add_folder(&path, wanted)?;
            } else if wanted(&path) {
                self.add_file(&path)?;
            }
        }
        Ok(())
    }

    /// Writes a program.
    pub(super) fn add_script(&self, path: &str, script: &str) -> Result<()> {
        self.write(path, script, 0o755)
    }

    /// Writes a file that everybody may read.
    pub(super) fn add_text(&self, path: &str, text: &str) -> Result<()> {
        self.write(path, text, 0o644)
    }

    fn write(&self, path: &str, text: &str, mode: u32) -> Result<()> {
        let unable = || format!("unable to write the guest's {path}");
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(unable)?;
        }
        fs::write(&path, text).with_context(unable)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).with_context(unable)
    }

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
pub(super) fn run(command: &mut Command) -> Result<String> {
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
