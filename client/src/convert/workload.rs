//! What a DR plan protects.

use hanse_core::finding::Path;
use hanse_core::object::dr_plan::{
    CALL_TIMEOUT_DEFAULT, COMMAND_INTERVAL_DEFAULT, Call, Commands, DIRECTORY_INTERVAL_DEFAULT,
    Directory, Keep, POSTGRESQL_PORT_DEFAULT, Postgresql, Workload,
};

use super::collector::Collector;
use crate::proto::{self, workload};

pub(super) fn workload_to_proto(workload: &Workload) -> proto::Workload {
    let kind = match workload {
        Workload::Postgresql(it) => workload::Kind::Postgresql(proto::Postgresql {
            data_directory: it.data_directory.clone(),
            port: it.port.into(),
            bin_directory: it.bin_directory.clone().unwrap_or_default(),
        }),
        Workload::Directory(it) => workload::Kind::Directory(directory_to_proto(it)),
        Workload::Command(it) => workload::Kind::Command(commands_to_proto(it)),
    };
    proto::Workload { kind: Some(kind) }
}

fn directory_to_proto(it: &Directory) -> proto::Directory {
    proto::Directory {
        path: it.path.clone(),
        repository: it.repository.clone(),
        password_file: it.password_file.clone(),
        environment_file: it.environment_file.clone().unwrap_or_default(),
        interval: it.interval.to_string(),
        keep: it.keep.map(|keep| proto::Keep {
            last: keep.last,
            hourly: keep.hourly,
            daily: keep.daily,
            weekly: keep.weekly,
        }),
        exclude: it.exclude.clone(),
        run: it.run.as_ref().map(call_to_proto),
        user: it.user.clone().unwrap_or_default(),
    }
}

fn commands_to_proto(it: &Commands) -> proto::Commands {
    proto::Commands {
        user: it.user.clone(),
        run: it.run.as_ref().map(call_to_proto),
        replicate: Some(call_to_proto(&it.replicate)),
        lag: Some(call_to_proto(&it.lag)),
        promote: Some(call_to_proto(&it.promote)),
        demote: Some(call_to_proto(&it.demote)),
        verify: it.verify.as_ref().map(call_to_proto),
        interval: it.interval.to_string(),
    }
}

fn call_to_proto(call: &Call) -> proto::Call {
    proto::Call {
        command: call.command.clone(),
        timeout: call.timeout.to_string(),
    }
}

pub(super) fn read_workload(
    collector: &mut Collector,
    path: &Path,
    workload: Option<&proto::Workload>,
) -> Option<Workload> {
    let at = |kind: &str| path.clone().attribute(kind);
    match workload.and_then(|workload| workload.kind.as_ref()) {
        None => {
            let detail = "Say what is protected: a workload of a kind that is known here.";
            let summary = "Unknown kind of workload".to_owned();
            collector.fault(path.clone(), summary, detail.to_owned());
            None
        }
        Some(workload::Kind::Postgresql(it)) => {
            read_postgresql(collector, &at("postgresql"), it).map(Workload::Postgresql)
        }
        Some(workload::Kind::Directory(it)) => {
            read_directory(collector, &at("directory"), it).map(Workload::Directory)
        }
        Some(workload::Kind::Command(it)) => {
            read_commands(collector, &at("command"), it).map(Workload::Command)
        }
    }
}

fn read_postgresql(
    collector: &mut Collector,
    path: &Path,
    it: &proto::Postgresql,
) -> Option<Postgresql> {
    let port = match it.port {
        0 => Some(POSTGRESQL_PORT_DEFAULT),
        port => collector.number_u16(path.clone().attribute("port"), "port", port),
    };
    Some(Postgresql {
        data_directory: it.data_directory.clone(),
        port: port?,
        bin_directory: non_empty(&it.bin_directory),
    })
}

fn read_directory(
    collector: &mut Collector,
    path: &Path,
    it: &proto::Directory,
) -> Option<Directory> {
    let at = |name: &str| path.clone().attribute(name);
    let text = or(&it.interval, DIRECTORY_INTERVAL_DEFAULT);
    let interval = collector.parse(at("interval"), "duration", text);
    let run = read_optional(collector, &at("run"), it.run.as_ref());
    Some(Directory {
        path: it.path.clone(),
        repository: it.repository.clone(),
        password_file: it.password_file.clone(),
        environment_file: non_empty(&it.environment_file),
        interval: interval?,
        keep: it.keep.map(|keep| Keep {
            last: keep.last,
            hourly: keep.hourly,
            daily: keep.daily,
            weekly: keep.weekly,
        }),
        exclude: it.exclude.clone(),
        run: run?,
        user: non_empty(&it.user),
    })
}

fn read_commands(collector: &mut Collector, path: &Path, it: &proto::Commands) -> Option<Commands> {
    let at = |name: &str| path.clone().attribute(name);
    let text = or(&it.interval, COMMAND_INTERVAL_DEFAULT);
    let interval = collector.parse(at("interval"), "duration", text);
    let run = read_optional(collector, &at("run"), it.run.as_ref());
    let replicate = read_needed(collector, &at("replicate"), it.replicate.as_ref());
    let lag = read_needed(collector, &at("lag"), it.lag.as_ref());
    let promote = read_needed(collector, &at("promote"), it.promote.as_ref());
    let demote = read_needed(collector, &at("demote"), it.demote.as_ref());
    let verify = read_optional(collector, &at("verify"), it.verify.as_ref());
    Some(Commands {
        user: it.user.clone(),
        run: run?,
        replicate: replicate?,
        lag: lag?,
        promote: promote?,
        demote: demote?,
        verify: verify?,
        interval: interval?,
    })
}

fn read_needed(collector: &mut Collector, path: &Path, it: Option<&proto::Call>) -> Option<Call> {
    if it.is_none() {
        let detail = "Write the program that does this, and its arguments.".to_owned();
        collector.fault(path.clone(), "No program".to_owned(), detail);
    }
    read_call(collector, path, it?)
}

fn read_optional(
    collector: &mut Collector,
    path: &Path,
    it: Option<&proto::Call>,
) -> Option<Option<Call>> {
    match it {
        None => Some(None),
        Some(it) => read_call(collector, path, it).map(Some),
    }
}

fn read_call(collector: &mut Collector, path: &Path, it: &proto::Call) -> Option<Call> {
    let text = or(&it.timeout, CALL_TIMEOUT_DEFAULT);
    let timeout = collector.parse(path.clone().attribute("timeout"), "duration", text);
    Some(Call {
        command: it.command.clone(),
        timeout: timeout?,
    })
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    match text {
        "" => default,
        text => text,
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
