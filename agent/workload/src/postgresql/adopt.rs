//! Servers that are made here, that somebody else started, or that ended by force.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::command::run;
use super::holder::Holder;
use super::layout::Server;
use super::settings;
use crate::away::away;
use crate::file::{self, Owner};
use crate::folder;
use crate::trouble::Trouble;

impl Server {
    /// Makes an empty database.
    pub(crate) async fn create(&self) -> Result<(), Trouble> {
        let beside = self.beside("new")?;
        self.clear_beside().await?;
        make_for(self, &beside)?;
        let mut command = self.program("initdb");
        command
            .arg("--pgdata")
            .arg(&beside)
            .args([
                "--data-checksums",
                "--encoding=UTF8",
                "--locale=C",
                "--username",
            ])
            .arg(&self.user.name)
            .args(["--auth-local=peer", "--auth-host=scram-sha-256"]);
        run("make the database", &mut command).await?;
        self.put_in_place(&beside).await
    }

    /// Stops a server that the guard did not start, in good order.
    pub(crate) async fn stop_outsider(&self, outsider: Holder) -> Result<(), Trouble> {
        // The unit of one that an earlier guard let go is the guard's own.
        if let Some(unit) = unit_of(outsider.pid).filter(|_| !outsider.is_sealed) {
            let mut command = Command::new("systemctl");
            command.args(["stop", &unit]).kill_on_drop(true);
            run(&format!("stop {unit}"), &mut command).await?;
        }
        self.stop_holder(outsider).await
    }

    /// Brings a server that ended by force while it wrote to where its log ends in good order. Nothing
    /// can connect to it meanwhile.
    pub(crate) async fn recover(&self) -> Result<(), Trouble> {
        self.check_unheld()?;
        let plain = self.plain_configuration()?;
        let mut command = self.program("postgres");
        command
            .arg("--single")
            .arg("-D")
            .arg(&self.data)
            .arg("-c")
            .arg(format!("config_file={}", plain.display()))
            .arg("template1");
        let what = "bring the server that ended by force in order";
        run(what, &mut command).await.map(|_| ())
    }

    /// The configuration without our block, in a file beside it: programs that only ask are no start
    /// past the guard.
    pub(crate) fn plain_configuration(&self) -> Result<PathBuf, Trouble> {
        let configuration = self.configuration()?;
        let text = read(&configuration)?;
        let path = configuration.with_file_name("postgresql.hanse-plain.conf");
        file::write_changed(&path, self.own(), settings::plain(&text).as_bytes())
            .map_err(|error| Trouble::io("write", &path, &error))?;
        Ok(path)
    }

    /// A folder beside the data directory, on the same file system.
    pub(crate) fn beside(&self, what: &str) -> Result<PathBuf, Trouble> {
        let prefix = self.beside_prefix()?;
        let unlike_any: u64 = rand::random();
        Ok(self
            .data
            .with_file_name(format!("{prefix}{what}-{unlike_any:016x}")))
    }

    fn beside_prefix(&self) -> Result<String, Trouble> {
        let name = self
            .data
            .file_name()
            .ok_or_else(|| Trouble(format!("{} can't hold a database", self.data.display())))?;
        Ok(format!(".{}.hanse-", name.to_string_lossy()))
    }

    /// Removes what earlier attempts left beside the data directory. That may be much, so a thread of
    /// its own does it; what is made from here on is none of it.
    pub(crate) async fn clear_beside(&self) -> Result<(), Trouble> {
        let prefix = self.beside_prefix()?;
        let parent = self.data.parent().unwrap_or(Path::new("/"));
        let entries = fs::read_dir(parent).map_err(|error| Trouble::io("read", parent, &error))?;
        let is_left = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with(&prefix)
        };
        let left = entries.flatten().filter(is_left);
        let left: Vec<PathBuf> = left.map(|entry| entry.path()).collect();
        let remove = move || {
            for path in left {
                match fs::remove_dir_all(&path) {
                    // An attempt that was given up may still be at it.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Trouble::io("remove", &path, &error));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            Ok(())
        };
        away(remove).await
    }

    /// Has what was made beside take the data directory's place, whatever was there.
    pub(crate) async fn put_in_place(&self, made: &Path) -> Result<(), Trouble> {
        let data = &self.data;
        if data.join("PG_VERSION").exists() {
            self.check_unheld()?;
            let old = self.beside("old")?;
            fs::rename(data, &old).map_err(|error| self.not_replaced(&error))?;
        }
        fs::rename(made, data).map_err(|error| self.not_replaced(&error))?;
        file::sync_folder_of(data).map_err(|error| Trouble::io("sync", data, &error))?;
        self.clear_beside().await
    }

    fn not_replaced(&self, error: &std::io::Error) -> Trouble {
        Trouble(format!(
            "unable to replace {} ({error}): if something is mounted there, set data_directory to a \
             folder within it",
            self.data.display()
        ))
    }
}

/// Makes an empty folder that the server's user alone enters.
pub(crate) fn make_for(server: &Server, folder: &Path) -> Result<(), Trouble> {
    let private = Owner {
        mode: 0o700,
        ..server.own()
    };
    folder::make_new(folder, private)
        .map(|_| ())
        .map_err(|error| Trouble::io("make", folder, &error))
}

pub(crate) fn read(path: &Path) -> Result<String, Trouble> {
    let text =
        folder::read(path).and_then(|content| String::from_utf8(content).map_err(io::Error::other));
    text.map_err(|error| Trouble::io("read", path, &error))
}

/// The unit of systemd that a server belongs to.
fn unit_of(pid: u32) -> Option<String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let unit = groups.lines().find_map(|line| line.rsplit('/').next())?;
    unit.ends_with(".service").then(|| unit.to_owned())
}
