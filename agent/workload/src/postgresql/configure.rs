//! What a server is told by files: its settings, who may come in, certificate and password.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::name::ClusterName;

use super::ROLE;
use super::adopt::read;
use super::backup::archiving;
use super::certificate::certificate;
use super::command::run;
use super::files::{Configuration, Written, read_whole};
use super::hba;
use super::layout::Server;
use super::listen::Wanted;
use super::memory::Lineage;
use super::names;
use super::provide::password;
use super::session::Session;
use super::settings::{self, Setting};
use super::source::{connection, show_lineage};
use crate::file;
use crate::space::Space;
use crate::trouble::Trouble;

/// How long a copy's connection to its primary may be silent before it is given up. A server that stops in
/// good order waits for each copy that is connected, and a planned move for the server, 30 s at most.
const LINK_SILENCE_MAX: &str = "10s";
/// Slots and senders: one for each copy, one more for a base backup of each.
const SENDERS_MIN: u64 = 10;
/// A dead standby keeps no more of the log than this share of the disk, unless the server's own
/// configuration says how much.
const SLOT_SHARE: u64 = 4;
const SLOT_KEEP_MIN_MB: u64 = 1024;
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// What a server is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Aim {
    /// Who must have each commit.
    pub(crate) set: SyncSet,
    /// The lease under which it writes.
    pub(crate) epoch: u64,
    /// Which lease began each timeline.
    pub(crate) lineage: Lineage,
    /// From where it receives; none: from nowhere.
    pub(crate) source: Option<IpAddr>,
}

/// What a server's own configuration says, as the server itself reads it.
#[derive(Debug, Default)]
pub(crate) struct Own {
    of: String,
    values: BTreeMap<&'static str, String>,
}

impl Own {
    pub(crate) async fn get(
        &mut self,
        server: &Server,
        name: &'static str,
    ) -> Result<String, Trouble> {
        let plain = server.plain_configuration()?;
        let automatic = server.data.join("postgresql.auto.conf");
        let automatic = fs::read_to_string(automatic).unwrap_or_default();
        let text = read(&plain)? + &automatic;
        if self.of != text {
            *self = Self {
                of: text,
                values: BTreeMap::new(),
            };
        }
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let mut command = server.program("postgres");
        command
            .arg("-D")
            .arg(&server.data)
            .arg("-c")
            .arg(format!("config_file={}", plain.display()))
            .args(["-C", name]);
        let text = run("read the server's configuration", &mut command).await?;
        let value = text.trim().to_owned();
        self.values.insert(name, value.clone());
        Ok(value)
    }
}

impl Server {
    /// Works out all files. Nothing is changed but what nothing reads yet.
    pub(crate) async fn configuration_for(
        &self,
        plan: &CopyPlan,
        aim: &Aim,
        own: &mut Own,
    ) -> Result<Configuration, Trouble> {
        let folder = self.folder()?.to_owned();
        let passwords = self.passwords()?;
        let mut list = self.settings(plan, aim, own, &passwords).await?;
        let archiving = archiving(self, plan, own).await?;
        list.extend(archiving.settings);
        self.check_automatic(&list)?;
        let settings_path = folder.join("hanse.conf");
        let main = self.configuration()?;
        let hba = PathBuf::from(own.get(self, "hba_file").await?);
        let (main_theirs, hba_theirs) = (read_whole(&main)?, read_whole(&hba)?);
        let others: Vec<IpAddr> = others(plan).filter_map(|(_, address)| address).collect();
        let hba_text = hba::with_block(&hba_theirs, &self.user.name, &others);
        let main_text = settings::with_block(&main_theirs, &self.setup.seal, &settings_path);
        let digest = {
            let mut hasher = DefaultHasher::new();
            (&list, &hba_text).hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        };
        list.push(("hanse.settings", digest.clone()));
        let settings_text = settings::file(&list);
        let mut ours = archiving.files;
        ours.push((settings_path, settings_text));
        let ours = ours.into_iter().map(|(path, text)| Written {
            path,
            owner: self.own(),
            content: text.into_bytes(),
            before: None,
        });
        let mut files: Vec<_> = ours.collect();
        files.push(Written::over(hba, hba_theirs, hba_text)?);
        files.push(Written::over(main, main_theirs, main_text)?);
        let listens = own.get(self, "listen_addresses").await?;
        Ok(Configuration {
            files,
            stale: archiving.stale,
            digest,
            listens_elsewhere: Wanted::of(plan).elsewhere(&listens),
            archive_trouble: archiving.trouble,
        })
    }

    async fn settings(
        &self,
        plan: &CopyPlan,
        aim: &Aim,
        own: &mut Own,
        passwords: &Path,
    ) -> Result<Vec<Setting>, Trouble> {
        let mut list: Vec<Setting> = vec![
            ("port", self.port.to_string()),
            (
                "listen_addresses",
                Wanted::of(plan).listen(&own.get(self, "listen_addresses").await?),
            ),
            (
                "wal_level",
                match own.get(self, "wal_level").await?.as_str() {
                    "logical" => "logical".to_owned(),
                    _ => "replica".to_owned(),
                },
            ),
            ("hot_standby", "on".to_owned()),
            ("wal_log_hints", "on".to_owned()),
            ("wal_retrieve_retry_interval", "1s".to_owned()),
            ("wal_sender_timeout", LINK_SILENCE_MAX.to_owned()),
            ("wal_receiver_timeout", LINK_SILENCE_MAX.to_owned()),
            (
                "max_slot_wal_keep_size",
                format!("{}MB", self.slot_keep_mb(own).await?),
            ),
            ("recovery_target_timeline", "latest".to_owned()),
            ("synchronous_standby_names", names::show_set(&aim.set)),
            ("hanse.epoch", aim.epoch.to_string()),
            ("hanse.lineage", show_lineage(&aim.lineage)),
        ];
        for name in ["max_wal_senders", "max_replication_slots"] {
            let here: u64 = own.get(self, name).await?.parse().unwrap_or(0);
            let needed = SENDERS_MIN.max(2 * plan.places.len() as u64);
            list.push((name, here.max(needed).to_string()));
        }
        if own.get(self, "ssl").await? != "on" {
            let own = certificate(self, self.folder()?)?;
            list.push(("ssl", "on".to_owned()));
            list.push(("ssl_cert_file", own.certificate.display().to_string()));
            list.push(("ssl_key_file", own.key.display().to_string()));
        }
        if let Some(sockets) = &self.setup.sockets {
            list.push(("unix_socket_directories", sockets.display().to_string()));
        }
        let (conninfo, slot) = match aim.source {
            None => (String::new(), String::new()),
            Some(address) => (
                format!(
                    "{} application_name={}",
                    connection(address, self.port, passwords),
                    names::application(&plan.cluster)
                ),
                names::slot(&plan.cluster),
            ),
        };
        list.push(("primary_conninfo", conninfo));
        list.push(("primary_slot_name", slot));
        Ok(list)
    }

    /// The file with what copies show to one another.
    pub(crate) fn passwords(&self) -> Result<PathBuf, Trouble> {
        Ok(self.folder()?.join("passwords"))
    }

    pub(crate) fn write_passwords(&self, plan: &CopyPlan) -> Result<(), Trouble> {
        let Some(key) = &plan.key else {
            return Err(Trouble("the plan's key is not here yet".to_owned()));
        };
        let path = self.passwords()?;
        let text = format!("*:*:*:{ROLE}:{}\n", password(key));
        file::write_changed(&path, self.own(), text.as_bytes())
            .map(|_| ())
            .map_err(|error| Trouble::io("write", &path, &error))
    }

    async fn slot_keep_mb(&self, own: &mut Own) -> Result<u64, Trouble> {
        // By itself there is no limit, which is -1.
        if let Ok(own_mb) = own.get(self, "max_slot_wal_keep_size").await?.parse() {
            return Ok(own_mb);
        }
        let disk_mb = Space::of(&self.data)?.total_bytes >> 20;
        let keep_mb = (disk_mb / SLOT_SHARE).max(SLOT_KEEP_MIN_MB);
        // A disk may be as large as its neighbours let it be (ZFS): the settings don't follow each change.
        Ok(1 << keep_mb.ilog2())
    }

    /// What `ALTER SYSTEM` wrote comes after ours.
    fn check_automatic(&self, list: &[Setting]) -> Result<(), Trouble> {
        let path = self.data.join("postgresql.auto.conf");
        let text = fs::read_to_string(&path).unwrap_or_default();
        match settings::overridden(&text, list).first() {
            None => Ok(()),
            Some(name) => Err(Trouble(format!(
                "{} sets {name}, which the federation must: run `ALTER SYSTEM RESET {name}`, or \
                 remove that line while the server is stopped",
                path.display()
            ))),
        }
    }
}

/// Has a running server read its files again, and says what is wrong with them.
pub(crate) async fn reload(session: &mut Session) -> Result<(), Trouble> {
    session.ask("select pg_reload_conf()", ANSWER_MAX).await?;
    let question = "
        select sourcefile || ' line ' || sourceline || ': ' || error from pg_file_settings
          where error is not null and error not like '%cannot be changed without restarting%'
        union all
        select 'pg_hba.conf line ' || line_number || ': ' || error from pg_hba_file_rules
          where error is not null";
    let rows = session.ask(question, ANSWER_MAX).await?;
    match rows.first().and_then(|row| row.get(0)) {
        None => Ok(()),
        Some(wrong) => Err(Trouble(format!(
            "the server does not take its configuration: {wrong}: mend that line"
        ))),
    }
}

/// The other copies of a plan.
pub(crate) fn others(plan: &CopyPlan) -> impl Iterator<Item = (&ClusterName, Option<IpAddr>)> {
    let others = plan
        .places
        .values()
        .filter(|place| place.cluster != plan.cluster);
    others.map(|place| (&place.cluster, place.address))
}

/// Lets the server listen on an address that is not here yet.
pub(crate) fn let_listen_early(address: IpAddr) -> Result<(), Trouble> {
    let path = match address {
        IpAddr::V4(_) => "/proc/sys/net/ipv4/ip_nonlocal_bind",
        IpAddr::V6(_) => "/proc/sys/net/ipv6/ip_nonlocal_bind",
    };
    let path = Path::new(path);
    let is_on = fs::read_to_string(path).is_ok_and(|value| value.trim() == "1");
    let set = match is_on {
        true => Ok(()),
        false => fs::write(path, "1"),
    };
    set.map_err(|error| Trouble::io("write 1 to", path, &error))
}
