//! Where a server is: its data, its configuration, its programs, its user.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hanse_core::object::dr_plan::Postgresql;

use super::command::run;
use crate::file::Owner;
use crate::folder;
use crate::setup::Setup;
use crate::trouble::Trouble;
use crate::user::User;

/// Versions that are known to work as this crate thinks.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;
const PROGRAMS: &str = "/usr/lib/postgresql";

/// A server, and where all that belongs to it is.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    pub(crate) bin: PathBuf,
    pub(crate) user: User,
    pub(crate) setup: Setup,
}

impl Server {
    /// Finds it. `version`: of the one that it is to be a copy of, where there is no data yet.
    pub(crate) fn find(
        setup: &Setup,
        postgresql: &Postgresql,
        version: Option<u32>,
    ) -> Result<Self, Trouble> {
        let data = PathBuf::from(&postgresql.data_directory);
        let bin = postgresql.bin_directory.as_ref().map(PathBuf::from);
        let (version, user) = match version_of(&data)? {
            Some(version) => (version, owner_of(&data)?),
            None => {
                check_parent(&data)?;
                let newest = || bin.as_deref().and_then(version_in).or_else(newest);
                let version = version.or_else(newest).ok_or_else(|| {
                    Trouble("PostgreSQL is not installed: run `apt-get install postgresql`".into())
                })?;
                (version, user(&setup.user)?)
            }
        };
        if !VERSIONS.contains(&version) {
            return Err(Trouble(format!(
                "{} is of PostgreSQL {version}, and {} to {} are supported: run pg_upgrade",
                data.display(),
                VERSIONS.start(),
                VERSIONS.end()
            )));
        }
        let bin = bin.unwrap_or_else(|| Path::new(PROGRAMS).join(version.to_string()).join("bin"));
        if !bin.join("postgres").is_file() {
            return Err(Trouble(format!(
                "{} has no program postgres, which the data in {} needs: run `apt-get install \
                 postgresql-{version}`, or set bin_directory",
                bin.display(),
                data.display()
            )));
        }
        if user.id == 0 {
            return Err(Trouble(format!(
                "{} belongs to root, as whom PostgreSQL refuses to run: run `chown -R {} {}`",
                data.display(),
                setup.user,
                data.display()
            )));
        }
        Ok(Self {
            data,
            port: postgresql.port,
            bin,
            user,
            setup: setup.clone(),
        })
    }

    /// Which version the data is of.
    pub(crate) fn version(&self) -> Result<u32, Trouble> {
        let version = version_of(&self.data)?;
        version.ok_or_else(|| Trouble(format!("{} has no database", self.data.display())))
    }

    /// Refuses to copy a server of another version than the programs here.
    pub(crate) async fn check_version(&self, primary: u32) -> Result<(), Trouble> {
        let what = "ask which version the programs here are of";
        let told = run(what, self.program("postgres").arg("--version")).await?;
        match other_version(&self.bin, version_told(&told), primary) {
            None => Ok(()),
            Some(trouble) => Err(trouble),
        }
    }

    /// Whether there is a database.
    pub(crate) fn has_data(&self) -> Result<bool, Trouble> {
        version_of(&self.data).map(|version| version.is_some())
    }

    /// The folder of what is Hanse's and the server reads.
    pub(crate) fn folder(&self) -> Result<&Path, Trouble> {
        let folder = &self.setup.folder;
        let private = Owner {
            mode: 0o700,
            ..self.own()
        };
        folder::make(folder, private).map_err(|error| Trouble::io("make", folder, &error))?;
        Ok(folder)
    }

    /// A file that the server's user alone reads.
    pub(crate) fn own(&self) -> Owner {
        Owner {
            user_id: self.user.id,
            group_id: self.user.group_id,
            mode: 0o600,
        }
    }

    /// The main configuration file: in the data directory, or where the distribution keeps it.
    pub(crate) fn configuration(&self) -> Result<PathBuf, Trouble> {
        let plain = self.data.join("postgresql.conf");
        if plain.is_file() {
            return Ok(plain);
        }
        let options = fs::read_to_string(self.data.join("postmaster.opts")).unwrap_or_default();
        let started_with = configuration_in(&options).filter(|path| path.is_file());
        started_with
            .or_else(|| configured(&self.setup.configurations, &self.data))
            .ok_or_else(|| {
                Trouble(format!(
                    "no postgresql.conf is in {}, and none in {} has it as its data_directory: put \
                     the primary's there",
                    self.data.display(),
                    self.setup.configurations.display()
                ))
            })
    }
}

/// A user by name or number.
pub(super) fn user(who: &str) -> Result<User, Trouble> {
    User::find(who).ok_or_else(|| {
        Trouble(format!(
            "there is no user {who} on this host: run `apt-get install postgresql`"
        ))
    })
}

fn owner_of(data: &Path) -> Result<User, Trouble> {
    let metadata = fs::metadata(data).map_err(|error| Trouble::io("read", data, &error))?;
    user(&metadata.uid().to_string())
}

/// The version of what is in a data directory; none: it is empty, or is not there.
fn version_of(data: &Path) -> Result<Option<u32>, Trouble> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| {
            Trouble(format!(
                "{} says `{}`, which is no version of PostgreSQL that is known",
                path.display(),
                text.trim()
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_dir(data) {
            Ok(entries) => match entries.count() {
                0 => Ok(None),
                _ => Err(Trouble(format!(
                    "{} has something in it that is no database: move it away",
                    data.display()
                ))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::io("read", data, &error)),
        },
        Err(error) => Err(Trouble::io("read", &path, &error)),
    }
}

fn check_parent(data: &Path) -> Result<(), Trouble> {
    match data.parent() {
        Some(parent) if parent.is_dir() => Ok(()),
        Some(parent) => Err(Trouble(format!(
            "{} is to be in {}, which is no folder: make it, or mount what belongs there",
            data.display(),
            parent.display()
        ))),
        None => Err(Trouble(format!("{} can't hold a database", data.display()))),
    }
}

fn newest() -> Option<u32> {
    VERSIONS.rev().find(|version| {
        let bin = Path::new(PROGRAMS).join(version.to_string()).join("bin");
        bin.join("postgres").is_file()
    })
}

/// The version of the programs in a folder, by asking one.
fn version_in(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output();
    version_told(&String::from_utf8_lossy(&output.ok()?.stdout))
}

/// The version in what a program says of it: `postgres (PostgreSQL) 15.18`.
fn version_told(text: &str) -> Option<u32> {
    let number = text.split_once("(PostgreSQL)")?.1.trim_start();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// What is wrong with programs for what is to be copied. `here`: their version; none: they tell none that
/// is known.
fn other_version(bin: &Path, here: Option<u32>, primary: u32) -> Option<Trouble> {
    let here = here.filter(|here| *here != primary)?;
    Some(Trouble(format!(
        "{} has PostgreSQL {here}, and the primary is of {primary}: run `apt-get install \
         postgresql-{primary}`, and set bin_directory to where that is, or leave it out",
        bin.display()
    )))
}

/// The configuration file that a server was started with, in its `postmaster.opts`.
fn configuration_in(options: &str) -> Option<PathBuf> {
    options.split('"').find_map(|word| {
        let path = word.trim().strip_prefix("config_file=")?;
        Some(PathBuf::from(path))
    })
}

/// The configuration whose data directory this is, as Debian keeps it: version, then cluster.
fn configured(configurations: &Path, data: &Path) -> Option<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let clusters = folders(configurations)
        .into_iter()
        .flat_map(|version| folders(&version));
    clusters
        .map(|cluster| cluster.join("postgresql.conf"))
        .find(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            data_directory_in(&text).is_some_and(|named| named == data)
        })
}

/// The last `data_directory` of a configuration file.
fn data_directory_in(text: &str) -> Option<PathBuf> {
    text.lines().rev().find_map(|line| {
        let rest = line
            .trim_start()
            .strip_prefix("data_directory")?
            .trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let (value, _) = rest.strip_prefix('\'')?.split_once('\'')?;
        Some(PathBuf::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_configuration_is_found_by_the_data_directory_that_it_names() {
        let root = tempfile::tempdir().unwrap();
        for (cluster, data) in [("15/main", "/data/main"), ("15/other", "/data/other")] {
            let folder = root.path().join(cluster);
            fs::create_dir_all(&folder).unwrap();
            let text = format!("# data_directory = 'no'\ndata_directory = '{data}'\t# use data\n");
            fs::write(folder.join("postgresql.conf"), text).unwrap();
        }
        let found = configured(root.path(), Path::new("/data/other"));
        assert_eq!(found, Some(root.path().join("15/other/postgresql.conf")));
        assert_eq!(configured(root.path(), Path::new("/data/none")), None);
    }

    #[test]
    fn the_configuration_that_a_server_was_started_with_is_read() {
        let options = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/data\" \"-c\" \
                       \"config_file=/etc/postgresql/15/main/postgresql.conf\"\n";
        let expected = PathBuf::from("/etc/postgresql/15/main/postgresql.conf");
        assert_eq!(configuration_in(options), Some(expected));
        assert_eq!(configuration_in("postgres \"-D\" \"/data\""), None);
    }

    #[test]
    fn a_server_of_another_major_version_is_refused_before_it_is_copied() {
        let page = include_str!("../../../../docs/dr-errors.md");
        let said = |text: &str, primary| {
            let bin = Path::new("/usr/lib/postgresql/16/bin");
            other_version(bin, version_told(text), primary).map(|trouble| trouble.0)
        };
        for (text, primary, refused) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                15,
                false,
            ),
            ("postgres (PostgreSQL) 16.3", 15, true),
            ("postgres (PostgreSQL) 14.2", 15, true),
            ("postgres (PostgreSQL) 16devel", 16, false),
            ("something else", 15, false),
        ] {
            assert_eq!(said(text, primary).is_some(), refused, "{text}");
        }
        let said = said("postgres (PostgreSQL) 16.3", 15).unwrap();
        assert!(page.contains(&format!("| {said} |")), "{said}");
    }

    #[test]
    fn what_is_no_database_is_not_taken_for_an_empty_directory() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(version_of(root.path()), Ok(None));
        assert_eq!(version_of(&root.path().join("none")), Ok(None));
        fs::write(root.path().join("letter.txt"), "dear").unwrap();
        assert!(
            version_of(root.path())
                .unwrap_err()
                .0
                .contains("move it away")
        );
        fs::write(root.path().join("PG_VERSION"), "9.6\n").unwrap();
        assert!(version_of(root.path()).unwrap_err().0.contains("9.6"));
    }
}
