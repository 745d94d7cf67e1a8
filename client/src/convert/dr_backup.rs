//! Backups of DR plans: as they are declared, as a node has them, and as it tells of them.

use hanse_core::dr::backup::BackupSight;
use hanse_core::dr::duty::CopyBackup;
use hanse_core::duration::Span;
use hanse_core::finding::Path;
use hanse_core::object::dr_backup::{Backup, INTERVAL_DEFAULT, Password, RETENTION_DEFAULT};

use super::collector::Collector;
use crate::proto;

pub(super) fn backup_to_proto(backup: &Backup) -> proto::Backup {
    proto::Backup {
        repository: backup.repository.to_string(),
        interval: backup.interval.to_string(),
        retention: backup.retention.to_string(),
        environment_file: backup.environment_file.clone().unwrap_or_default(),
        password_version: backup.password_version,
    }
}

pub(super) fn read_backup(
    collector: &mut Collector,
    path: Path,
    backup: Option<&proto::Backup>,
) -> Option<Option<Backup>> {
    let Some(backup) = backup else {
        return Some(None);
    };
    let at = |name| path.clone().attribute(name);
    let repository = collector.parse(at("repository"), "repository", &backup.repository);
    let interval = read_span(
        collector,
        at("interval"),
        &backup.interval,
        INTERVAL_DEFAULT,
    );
    let retention = read_span(
        collector,
        at("retention"),
        &backup.retention,
        RETENTION_DEFAULT,
    );
    Some(Some(Backup {
        repository: repository?,
        interval: interval?,
        retention: retention?,
        environment_file: Some(backup.environment_file.clone()).filter(|file| !file.is_empty()),
        password_version: backup.password_version,
    }))
}

pub(super) fn copy_backup_to_proto(backup: &CopyBackup) -> proto::CopyBackup {
    let password = backup.password.as_ref();
    proto::CopyBackup {
        declared: Some(backup_to_proto(&backup.declared)),
        password: password.map_or_else(String::new, |password| password.reveal().to_owned()),
    }
}

pub(super) fn read_copy_backup(
    collector: &mut Collector,
    backup: Option<&proto::CopyBackup>,
) -> Option<Option<CopyBackup>> {
    let Some(backup) = backup else {
        return Some(None);
    };
    let path = Path::of("backup");
    let declared = read_backup(collector, path.clone(), backup.declared.as_ref());
    let password = match backup.password.as_bytes() {
        [] => None,
        bytes => match Password::try_new(bytes) {
            Ok(password) => Some(password),
            Err(error) => {
                let detail = format!("{error}.");
                collector.fault(
                    path.attribute("password"),
                    "Invalid password".to_owned(),
                    detail,
                );
                return None;
            }
        },
    };
    let declared = declared?;
    Some(declared.map(|declared| CopyBackup { declared, password }))
}

/// How backups are, for the wire.
#[must_use]
pub fn backup_status_to_proto(backup: &BackupSight) -> proto::BackupStatus {
    proto::BackupStatus {
        count: backup.count,
        backed_up_unix_s: backup.backed_up_unix_s,
        restorable_from_unix_s: backup.restorable_from_unix_s,
        archived_unix_s: backup.archived_unix_s,
        waiting_bytes: backup.waiting_bytes,
        trouble: backup.trouble.clone().unwrap_or_default(),
        progress: backup.progress.clone().unwrap_or_default(),
    }
}

/// How backups are, from the wire.
#[must_use]
pub fn backup_status_from_proto(status: &proto::BackupStatus) -> BackupSight {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    BackupSight {
        count: status.count,
        backed_up_unix_s: status.backed_up_unix_s,
        restorable_from_unix_s: status.restorable_from_unix_s,
        archived_unix_s: status.archived_unix_s,
        waiting_bytes: status.waiting_bytes,
        trouble: some(&status.trouble),
        progress: some(&status.progress),
    }
}

fn read_span(collector: &mut Collector, path: Path, text: &str, default: &str) -> Option<Span> {
    let text = if text.is_empty() { default } else { text };
    collector.parse(path, "duration", text)
}
