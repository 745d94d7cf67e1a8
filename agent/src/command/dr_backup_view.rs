//! How the backups of a DR plan are, as lines and JSON.

use hanse_client::proto;
use serde_json::{Value, json};

use super::output;

/// What needs somebody's eye, and what is under way.
pub(super) fn remarks(plan: &str, node: &str, backup: &proto::BackupStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if !backup.trouble.is_empty() {
        let (last, trouble) = (backed_up(backup), &backup.trouble);
        lines.push(format!("! {plan}: {node}: backups: {trouble} ({last})"));
    }
    if !backup.progress.is_empty() {
        lines.push(format!("  {plan}: {node}: {}", backup.progress));
    }
    lines
}

/// How they are, in one line.
pub(super) fn line(backup: &proto::BackupStatus) -> String {
    let archived = backup.archived_unix_s.map_or_else(
        || "the log was not archived yet".to_owned(),
        |unix_s| format!("the log was archived last {}", output::since(unix_s)),
    );
    let waiting = match backup.waiting_bytes {
        0 => String::new(),
        bytes => format!(", {} of it wait", output::bytes(bytes)),
    };
    let (count, last) = (backup.count, backed_up(backup));
    format!("  Backups: {count}, {last}; {archived}{waiting}")
}

/// For programs.
pub(super) fn to_json(backup: &proto::BackupStatus) -> Value {
    json!({
        "count": backup.count,
        "backed_up_unix_s": backup.backed_up_unix_s,
        "restorable_from_unix_s": backup.restorable_from_unix_s,
        "archived_unix_s": backup.archived_unix_s,
        "waiting_bytes": backup.waiting_bytes,
        "trouble": backup.trouble,
        "progress": backup.progress,
    })
}

/// How old the latest backup is, and how far back a restore is possible.
fn backed_up(backup: &proto::BackupStatus) -> String {
    match (backup.backed_up_unix_s, backup.restorable_from_unix_s) {
        (Some(last), Some(from)) => format!(
            "the last ended {}, the earliest time to restore is {}",
            output::since(last),
            output::since(from)
        ),
        (_, _) => "none is known to have ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_the_age_of_the_last_good_one() {
        let backup = proto::BackupStatus {
            count: 3,
            backed_up_unix_s: Some(1_700_000_000),
            restorable_from_unix_s: Some(1_690_000_000),
            waiting_bytes: 48 << 20,
            trouble: "its repository is away".into(),
            ..Default::default()
        };
        let said = "! orders: lubeck-1: backups: its repository is away (the last ended ";
        let remarks = remarks("orders", "lubeck-1", &backup);
        assert!(remarks[0].starts_with(said), "{remarks:?}");
        let line = line(&backup);
        assert!(line.starts_with("  Backups: 3, the last ended "), "{line}");
        assert!(line.ends_with("48 MiB of it wait"), "{line}");
        let none = proto::BackupStatus::default();
        assert!(super::remarks("orders", "lubeck-1", &none).is_empty());
        assert_eq!(to_json(&none)["backed_up_unix_s"], Value::Null);
    }
}
