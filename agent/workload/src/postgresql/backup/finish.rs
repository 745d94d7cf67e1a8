//! Makes a server of its own of what was restored: it knows nothing of the plan, and starts nothing by
//! itself.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::hba;
use super::super::layout::Server;
use super::super::settings;
use crate::file;
use crate::trouble::Trouble;

/// What the server is told once only, to get to the time.
const ONCE: [&str; 2] = ["restore_command", "recovery_target"];
/// What it has to be before somebody lets it serve. Libraries may act on others by themselves, and so do
/// subscriptions.
const ALONE: [(&str, &str); 5] = [
    ("listen_addresses", "''"),
    ("archive_mode", "off"),
    ("shared_preload_libraries", "''"),
    ("max_logical_replication_workers", "0"),
    ("external_pid_file", "''"),
];
/// What `ALTER SYSTEM` writes.
const AUTOMATIC: &str = "postgresql.auto.conf";
/// What of a line of `ALTER SYSTEM` counts no more begins so.
const BEFORE: &str = "# before the restore: ";

/// Has what was restored know nothing of the plan, nor of the folder that it came from.
pub(super) fn configure(server: &Server, into: &Path) -> Result<(), Trouble> {
    let write = |name: &str, text: String| {
        let path = into.join(name);
        file::write_changed(&path, server.own(), text.as_bytes())
            .map_err(|error| Trouble::io("write", &path, &error))
    };
    let there = |name: &str| fs::read_to_string(into.join(name)).ok();
    let quoted = |path: PathBuf| path.display().to_string().replace('\'', "''");
    let main = there("postgresql.conf").unwrap_or_else(|| {
        "# The server's own configuration is not part of its data, and was not restored.\n"
            .to_owned()
    });
    let alone: String = ALONE
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    let main = format!(
        "{}\n# Restored by `hanse dr restore`.\n\
         data_directory = '{}'\nhba_file = '{}'\nident_file = '{}'\n\
         # It listens to nobody else, archives nothing, and starts nothing by itself. Remove these lines\n\
         # once it is to serve.\n{alone}",
        settings::plain(&main),
        quoted(into.to_owned()),
        quoted(into.join("pg_hba.conf")),
        quoted(into.join("pg_ident.conf")),
    );
    write("postgresql.conf", main)?;
    let hba = there("pg_hba.conf").unwrap_or_else(|| "local all all peer\n".to_owned());
    write("pg_hba.conf", hba::without_block(&hba))?;
    if there("pg_ident.conf").is_none() {
        write("pg_ident.conf", String::new())?;
    }
    let automatic = there(AUTOMATIC).unwrap_or_default();
    write(AUTOMATIC, without_company(&automatic))?;
    Ok(())
}

/// What `ALTER SYSTEM` wrote counts more than all else.
fn without_company(text: &str) -> String {
    let key = |line: &str| {
        let key = line.split(['=', ' ', '\t']).next().unwrap_or_default();
        key.to_ascii_lowercase()
    };
    let is_company = |line: &str| ALONE.iter().any(|(name, _)| *name == key(line));
    let lines = text.split_inclusive('\n').map(|line| {
        let mark = if is_company(line) { BEFORE } else { "" };
        format!("{mark}{line}")
    });
    lines.collect()
}

/// It never goes back to the archive that it came from.
pub(super) fn forget_target(server: &Server, into: &Path) -> Result<(), Trouble> {
    let path = into.join(AUTOMATIC);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let is_once = |line: &&str| ONCE.iter().any(|name| line.trim_start().starts_with(name));
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| !is_once(line))
        .collect();
    file::write_changed(&path, server.own(), kept.as_bytes())
        .map(|_| ())
        .map_err(|error| Trouble::io("write", &path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_by_a_statement_does_not_come_back() {
        let text = "# Do not edit\nshared_preload_libraries = 'pg_cron'\nwork_mem = '1'\n\
                    Archive_Mode='on'\n";
        let quiet = without_company(text);
        assert_eq!(
            quiet,
            "# Do not edit\n# before the restore: shared_preload_libraries = 'pg_cron'\n\
             work_mem = '1'\n# before the restore: Archive_Mode='on'\n"
        );
    }
}
