//! What a DR plan protects, and how that maps to the wire.

use hanse_client::proto::{self, workload};
use hanse_core::finding::Path;
use hanse_core::object::dr_plan::{
    CALL_TIMEOUT_DEFAULT, COMMAND_INTERVAL_DEFAULT, DIRECTORY_INTERVAL_DEFAULT,
    POSTGRESQL_PORT_DEFAULT,
};
use terraform_plugin::{Attr, Model};

use crate::declared::{known_list, non_empty};
use crate::duration::duration;
use crate::unknowns::Unknowns;

/// What a path that is not known yet stands for in a check.
const PATH_TO_COME: &str = "/unknown";

/// What is protected: exactly one kind.
#[derive(Clone, Model)]
pub(crate) struct WorkloadModel {
    /// A PostgreSQL server, the same on each node that has a copy.
    #[attribute(optional)]
    pub(crate) postgresql: Attr<PostgresqlModel>,
    /// A folder, the same on each node that has a copy: the primary puts it into a repository of restic,
    /// and standbys restore it from there. What was written since the last snapshot is lost in a
    /// failover.
    #[attribute(optional)]
    pub(crate) directory: Attr<DirectoryModel>,
    /// Whatever programs of your own replicate and hand over. What is asked of them is written down in
    /// `docs/command-workload.md`.
    #[attribute(optional)]
    pub(crate) command: Attr<CommandsModel>,
}

/// A PostgreSQL server.
#[derive(Clone, Model)]
pub(crate) struct PostgresqlModel {
    /// Where its data is, as an absolute path.
    #[attribute(required)]
    pub(crate) data_directory: Attr<String>,
    /// The TCP port.
    #[attribute(optional, computed, default = u32::from(POSTGRESQL_PORT_DEFAULT))]
    pub(crate) port: Attr<u32>,
    /// Where its programs are, as an absolute path. By default where the distribution has those of
    /// the data's version.
    #[attribute(optional)]
    pub(crate) bin_directory: Attr<String>,
}

/// A folder.
#[derive(Clone, Model)]
pub(crate) struct DirectoryModel {
    /// Where it is, as an absolute path. A standby replaces it as a whole, so nothing may be mounted
    /// there.
    #[attribute(required)]
    pub(crate) path: Attr<String>,
    /// The repository of restic: an absolute path that every node mounts, or one that begins with
    /// `sftp:`, `rest:`, `s3:` and the like.
    #[attribute(required)]
    pub(crate) repository: Attr<String>,
    /// A file on each node with the repository's password, as an absolute path.
    #[attribute(required)]
    pub(crate) password_file: Attr<String>,
    /// A file on each node with what else the repository asks for, a line `NAME=value` each, such as
    /// `AWS_ACCESS_KEY_ID`.
    #[attribute(optional)]
    pub(crate) environment_file: Attr<String>,
    /// How often the primary's folder goes into the repository, and standbys look there.
    #[attribute(optional, computed, default = DIRECTORY_INTERVAL_DEFAULT.to_owned(), validate = duration)]
    pub(crate) interval: Attr<String>,
    /// How many snapshots stay. By default the latest 24.
    #[attribute(optional)]
    pub(crate) keep: Attr<KeepModel>,
    /// What is left out, as patterns of restic's `--exclude`.
    #[attribute(optional, computed, default = Vec::<Attr<String>>::new())]
    pub(crate) exclude: Attr<Vec<Attr<String>>>,
    /// The program that writes to the folder. It runs on the primary alone, under the guard, which
    /// ends it with the lease. Without one, nothing on the node keeps anybody from writing.
    #[attribute(optional)]
    pub(crate) run: Attr<CallModel>,
    /// Whom that program runs as. By default root.
    #[attribute(optional)]
    pub(crate) user: Attr<String>,
}

/// How many snapshots stay.
#[derive(Clone, Model)]
pub(crate) struct KeepModel {
    /// The latest.
    #[attribute(required)]
    pub(crate) last: Attr<u32>,
    /// One for each of so many hours.
    #[attribute(optional, computed, default = 0_u32)]
    pub(crate) hourly: Attr<u32>,
    /// One for each of so many days.
    #[attribute(optional, computed, default = 0_u32)]
    pub(crate) daily: Attr<u32>,
    /// One for each of so many weeks.
    #[attribute(optional, computed, default = 0_u32)]
    pub(crate) weekly: Attr<u32>,
}

/// Programs of your own.
#[derive(Clone, Model)]
pub(crate) struct CommandsModel {
    /// Whom they run as.
    #[attribute(required)]
    pub(crate) user: Attr<String>,
    /// The program that writes. It runs on the primary alone, under the guard, which ends it with the
    /// lease. Without one, nothing on the node keeps anybody from writing.
    #[attribute(optional)]
    pub(crate) run: Attr<CallModel>,
    /// Brings a standby to where the primary is.
    #[attribute(required)]
    pub(crate) replicate: Attr<CallModel>,
    /// Prints how far this copy is: one whole number, on the same scale everywhere, in bytes.
    #[attribute(required)]
    pub(crate) lag: Attr<CallModel>,
    /// Makes this copy one that is written to.
    #[attribute(required)]
    pub(crate) promote: Attr<CallModel>,
    /// Makes it one that is not written to, and that nothing reaches any more.
    #[attribute(required)]
    pub(crate) demote: Attr<CallModel>,
    /// Says whether this copy is whole.
    #[attribute(optional)]
    pub(crate) verify: Attr<CallModel>,
    /// How often a standby replicates, and the primary is asked how far it is.
    #[attribute(optional, computed, default = COMMAND_INTERVAL_DEFAULT.to_owned(), validate = duration)]
    pub(crate) interval: Attr<String>,
}

/// A program and its arguments.
#[derive(Clone, Model)]
pub(crate) struct CallModel {
    /// The program, as an absolute path, and its arguments. No shell reads them.
    #[attribute(required)]
    pub(crate) command: Attr<Vec<Attr<String>>>,
    /// How long it may take until it is killed; of `run`, how long it may take to stop.
    #[attribute(optional, computed, default = CALL_TIMEOUT_DEFAULT.to_owned(), validate = duration)]
    pub(crate) timeout: Attr<String>,
}

/// Checks that no more than one kind is there.
pub(crate) fn one_kind(workload: &WorkloadModel) -> Result<(), String> {
    let WorkloadModel {
        postgresql,
        directory,
        command,
    } = workload;
    let kinds = [
        ("postgresql", postgresql.as_known().is_some()),
        ("directory", directory.as_known().is_some()),
        ("command", command.as_known().is_some()),
    ];
    let there = kinds.iter().filter(|(_, is_there)| *is_there);
    let there: Vec<_> = there.map(|(name, _)| *name).collect();
    match there.len() {
        0 | 1 => Ok(()),
        _ => Err(format!(
            "a plan protects one workload, and here are {}: declare a plan for each",
            there.join(" and ")
        )),
    }
}

impl WorkloadModel {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Workload {
        let path = |kind| Path::of("workload").attribute(kind);
        let postgresql = unknowns.optional(path("postgresql"), &self.postgresql);
        let directory = unknowns.optional(path("directory"), &self.directory);
        let command = unknowns.optional(path("command"), &self.command);
        let kind = match (postgresql, directory, command) {
            (Some(it), _, _) => Some(workload::Kind::Postgresql(it.to_wire(unknowns))),
            (None, Some(it), _) => Some(workload::Kind::Directory(it.to_wire(unknowns))),
            (None, None, Some(it)) => Some(workload::Kind::Command(it.to_wire(unknowns))),
            (None, None, None) => None,
        };
        proto::Workload { kind }
    }
}

impl PostgresqlModel {
    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Postgresql {
        let at = |name| Path::of("workload").attribute("postgresql").attribute(name);
        let to_come = PATH_TO_COME.to_owned();
        proto::Postgresql {
            data_directory: unknowns.value_or(at("data_directory"), &self.data_directory, to_come),
            port: unknowns.with_default(at("port"), &self.port, POSTGRESQL_PORT_DEFAULT.into()),
            bin_directory: unknowns.value(at("bin_directory"), &self.bin_directory),
        }
    }
}

impl DirectoryModel {
    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Directory {
        let at = |name| Path::of("workload").attribute("directory").attribute(name);
        let to_come = || PATH_TO_COME.to_owned();
        let keep = unknowns.optional(at("keep"), &self.keep);
        let keep = keep.map(|keep| keep.to_wire(&at("keep"), unknowns));
        let run = call(&at("run"), &self.run, unknowns);
        let interval = DIRECTORY_INTERVAL_DEFAULT.to_owned();
        proto::Directory {
            path: unknowns.value_or(at("path"), &self.path, to_come()),
            repository: unknowns.value_or(at("repository"), &self.repository, to_come()),
            password_file: unknowns.value_or(at("password_file"), &self.password_file, to_come()),
            environment_file: unknowns.value(at("environment_file"), &self.environment_file),
            interval: unknowns.with_default(at("interval"), &self.interval, interval),
            keep,
            exclude: unknowns.list(at("exclude"), &self.exclude),
            run,
            user: unknowns.value(at("user"), &self.user),
        }
    }
}

impl KeepModel {
    fn to_wire(&self, path: &Path, unknowns: &mut Unknowns) -> proto::Keep {
        let at = |name| path.clone().attribute(name);
        proto::Keep {
            last: unknowns.value_or(at("last"), &self.last, 1),
            hourly: unknowns.value(at("hourly"), &self.hourly),
            daily: unknowns.value(at("daily"), &self.daily),
            weekly: unknowns.value(at("weekly"), &self.weekly),
        }
    }
}

impl CommandsModel {
    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Commands {
        let at = |name| Path::of("workload").attribute("command").attribute(name);
        let interval = COMMAND_INTERVAL_DEFAULT.to_owned();
        proto::Commands {
            user: unknowns.value_or(at("user"), &self.user, "unknown".to_owned()),
            run: call(&at("run"), &self.run, unknowns),
            replicate: call(&at("replicate"), &self.replicate, unknowns),
            lag: call(&at("lag"), &self.lag, unknowns),
            promote: call(&at("promote"), &self.promote, unknowns),
            demote: call(&at("demote"), &self.demote, unknowns),
            verify: call(&at("verify"), &self.verify, unknowns),
            interval: unknowns.with_default(at("interval"), &self.interval, interval),
        }
    }
}

fn call(path: &Path, it: &Attr<CallModel>, unknowns: &mut Unknowns) -> Option<proto::Call> {
    let at = |name| path.clone().attribute(name);
    let it = unknowns.optional(path.clone(), it)?;
    let timeout = CALL_TIMEOUT_DEFAULT.to_owned();
    Some(proto::Call {
        command: unknowns.list(at("command"), &it.command),
        timeout: unknowns.with_default(at("timeout"), &it.timeout, timeout),
    })
}

impl From<proto::Workload> for WorkloadModel {
    fn from(wire: proto::Workload) -> Self {
        let mut model = Self {
            postgresql: Attr::Null,
            directory: Attr::Null,
            command: Attr::Null,
        };
        match wire.kind {
            None => {}
            Some(workload::Kind::Postgresql(it)) => model.postgresql = Attr::Known(it.into()),
            Some(workload::Kind::Directory(it)) => model.directory = Attr::Known(it.into()),
            Some(workload::Kind::Command(it)) => model.command = Attr::Known(it.into()),
        }
        model
    }
}

impl From<proto::Postgresql> for PostgresqlModel {
    fn from(wire: proto::Postgresql) -> Self {
        Self {
            data_directory: Attr::Known(wire.data_directory),
            port: Attr::Known(wire.port),
            bin_directory: non_empty(wire.bin_directory),
        }
    }
}

impl From<proto::Directory> for DirectoryModel {
    fn from(wire: proto::Directory) -> Self {
        Self {
            path: Attr::Known(wire.path),
            repository: Attr::Known(wire.repository),
            password_file: Attr::Known(wire.password_file),
            environment_file: non_empty(wire.environment_file),
            interval: Attr::Known(wire.interval),
            keep: Attr::from(wire.keep.map(KeepModel::from)),
            exclude: known_list(wire.exclude),
            run: Attr::from(wire.run.map(CallModel::from)),
            user: non_empty(wire.user),
        }
    }
}

impl From<proto::Keep> for KeepModel {
    fn from(wire: proto::Keep) -> Self {
        Self {
            last: Attr::Known(wire.last),
            hourly: Attr::Known(wire.hourly),
            daily: Attr::Known(wire.daily),
            weekly: Attr::Known(wire.weekly),
        }
    }
}

impl From<proto::Commands> for CommandsModel {
    fn from(wire: proto::Commands) -> Self {
        let call = |call: Option<proto::Call>| Attr::from(call.map(CallModel::from));
        Self {
            user: Attr::Known(wire.user),
            run: call(wire.run),
            replicate: call(wire.replicate),
            lag: call(wire.lag),
            promote: call(wire.promote),
            demote: call(wire.demote),
            verify: call(wire.verify),
            interval: Attr::Known(wire.interval),
        }
    }
}

impl From<proto::Call> for CallModel {
    fn from(wire: proto::Call) -> Self {
        Self {
            command: known_list(wire.command),
            timeout: Attr::Known(wire.timeout),
        }
    }
}
