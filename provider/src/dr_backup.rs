//! Backups of a DR plan's workload: what is declared, and how they are. The password is write-only: it
//! goes beside the plan and is in no state.

use hanse_client::proto;
use hanse_core::finding::Path;
use hanse_core::object::dr_backup::{INTERVAL_DEFAULT, Password, RETENTION_DEFAULT};
use terraform_plugin::{Attr, Model};

use crate::declared::non_empty;
use crate::duration::duration;
use crate::unknowns::Unknowns;

/// What a repository that is not known yet stands for in a check.
const REPOSITORY_TO_COME: &str = "/to-come";

/// Backups by pgBackRest, with the log archived as it is written, so that any time can be restored:
/// `hanse dr restore`. The node of the primary makes them, and whoever is promoted goes on. For
/// `postgresql` only. Each node needs pgBackRest (`apt-get install pgbackrest`).
#[derive(Clone, Model)]
pub(crate) struct BackupModel {
    /// Where they are kept: the absolute path of a folder that every node mounts and the server's user
    /// may write to, or `s3:https://HOST/BUCKET/PATH`.
    #[attribute(required)]
    pub(crate) repository: Attr<String>,
    /// How often a backup is made, like `6h`, at least `1m`. What is written in between is archived
    /// within a minute.
    #[attribute(optional, computed, default = INTERVAL_DEFAULT.to_owned(), validate = duration)]
    pub(crate) interval: Attr<String>,
    /// How far back any time can be restored, like `168h`. What is older is removed.
    #[attribute(optional, computed, default = RETENTION_DEFAULT.to_owned(), validate = duration)]
    pub(crate) retention: Attr<String>,
    /// A file on each node with what else the repository asks for, a line `NAME=value` each:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_CA_BUNDLE`.
    #[attribute(optional)]
    pub(crate) environment_file: Attr<String>,
    /// What the repository is encrypted with, 16 bytes or more. It is in no state; the voters can open
    /// it, and give it to the nodes that have a copy. Whoever loses it has no backups.
    #[attribute(optional, write_only, sensitive, validate = password)]
    pub(crate) password_wo: Attr<String>,
    /// Which password that is. Another one needs a new number, and a repository that is empty.
    #[attribute(required)]
    pub(crate) password_wo_version: Attr<u64>,
}

/// How the backups of a plan are. Times are in seconds since 1970.
#[derive(Clone, Model)]
pub(crate) struct BackupStatusModel {
    /// How many there are to restore from.
    #[attribute(computed)]
    pub(crate) count: Attr<u32>,
    /// When the latest ended; null: there is none.
    #[attribute(computed)]
    pub(crate) backed_up_unix_s: Attr<u64>,
    /// The earliest time that can be restored; null: nothing can be yet.
    #[attribute(computed)]
    pub(crate) restorable_from_unix_s: Attr<u64>,
    /// When the latest part of the log was archived; null: none was yet.
    #[attribute(computed)]
    pub(crate) archived_unix_s: Attr<u64>,
    /// How much of the log waits for the repository, in bytes.
    #[attribute(computed)]
    pub(crate) waiting_bytes: Attr<u64>,
    /// What is wrong with them, in one sentence; null: nothing.
    #[attribute(computed)]
    pub(crate) trouble: Attr<String>,
    /// What is under way, in words; null: nothing is.
    #[attribute(computed)]
    pub(crate) progress: Attr<String>,
}

/// Whether a text can be what a repository is encrypted with.
pub(crate) fn password(text: &str) -> Result<(), String> {
    Password::try_new(text.as_bytes())
        .map(drop)
        .map_err(|error| format!("{error}."))
}

impl BackupModel {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Backup {
        let at = |name| Path::of("backup").attribute(name);
        let repository = REPOSITORY_TO_COME.to_owned();
        let (interval, retention) = (INTERVAL_DEFAULT.to_owned(), RETENTION_DEFAULT.to_owned());
        let version = &self.password_wo_version;
        let wire = proto::Backup {
            repository: unknowns.value_or(at("repository"), &self.repository, repository),
            interval: unknowns.with_default(at("interval"), &self.interval, interval),
            retention: unknowns.with_default(at("retention"), &self.retention, retention),
            environment_file: unknowns.value(at("environment_file"), &self.environment_file),
            password_version: unknowns.value_or(at("password_wo_version"), version, 1),
        };
        unknowns.rests_on(at("retention"), &at("interval"));
        unknowns.rests_on(at("environment_file"), &at("repository"));
        wire
    }

    /// The password, if the configuration gives it.
    pub(crate) fn secret(&self) -> Option<proto::PlanSecretValue> {
        let value = self.password_wo.as_known()?.clone().into_bytes();
        let purpose = "backup".to_owned();
        Some(proto::PlanSecretValue { purpose, value })
    }
}

impl From<proto::Backup> for BackupModel {
    fn from(wire: proto::Backup) -> Self {
        Self {
            repository: Attr::Known(wire.repository),
            interval: Attr::Known(wire.interval),
            retention: Attr::Known(wire.retention),
            environment_file: non_empty(wire.environment_file),
            password_wo: Attr::Null,
            password_wo_version: Attr::Known(wire.password_version),
        }
    }
}

impl From<proto::BackupStatus> for BackupStatusModel {
    fn from(status: proto::BackupStatus) -> Self {
        Self {
            count: Attr::Known(status.count),
            backed_up_unix_s: Attr::from(status.backed_up_unix_s),
            restorable_from_unix_s: Attr::from(status.restorable_from_unix_s),
            archived_unix_s: Attr::from(status.archived_unix_s),
            waiting_bytes: Attr::Known(status.waiting_bytes),
            trouble: non_empty(status.trouble),
            progress: non_empty(status.progress),
        }
    }
}
