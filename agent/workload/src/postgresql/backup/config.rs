//! What pgBackRest is told of a plan's repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use hanse_core::object::dr_backup::{self, Backup, Password};

use super::place::Place;
use crate::environment::variables;
use crate::trouble::Trouble;

/// What a file of the user's may say of a bucket, and what pgBackRest calls it.
const KNOWN: [(&str, &str); 6] = [
    ("AWS_ACCESS_KEY_ID", "repo1-s3-key"),
    ("AWS_SECRET_ACCESS_KEY", "repo1-s3-key-secret"),
    ("AWS_SESSION_TOKEN", "repo1-s3-token"),
    ("AWS_REGION", "repo1-s3-region"),
    ("AWS_DEFAULT_REGION", "repo1-s3-region"),
    ("AWS_CA_BUNDLE", "repo1-storage-ca-file"),
];
const REGION_DEFAULT: &str = "us-east-1";
/// How long the repository may say nothing while a part of the log is archived.
const ARCHIVE_IO_MAX_S: &str = "10";
/// How long a backup waits for its part of the log to be archived.
const LOG_OF_BACKUP_MAX_S: &str = "300";
/// Only so does AWS itself find a bucket everywhere.
const AWS: &str = ".amazonaws.com";

/// What a repository needs beside what is declared.
pub(super) fn extras(backup: &Backup) -> Result<BTreeMap<&'static str, String>, Trouble> {
    let Some(file) = &backup.environment_file else {
        return Ok(BTreeMap::new());
    };
    let mut extras = BTreeMap::new();
    for (name, value) in variables(Path::new(file))? {
        let Some((_, option)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            let known = KNOWN.map(|(name, _)| name).join(", ");
            return Err(Trouble(format!(
                "{file} sets {name}, which backups have no use for: they know {known}"
            )));
        };
        extras.insert(*option, value);
    }
    Ok(extras)
}

/// The whole file. Nothing in it changes with what the disks have.
pub(super) fn text(
    place: &Place,
    backup: &Backup,
    password: &Password,
    port: u16,
    extras: &BTreeMap<&'static str, String>,
) -> String {
    let mut text = "# Written anew by the federation's agent.\n[global]\n".to_owned();
    let mut line = |name: &str, value: &str| {
        // Writing to a text can't fail.
        let _ = writeln!(text, "{name}={value}");
    };
    match backup.repository.place() {
        dr_backup::Place::Folder(folder) => {
            line("repo1-type", "posix");
            line("repo1-path", folder);
        }
        dr_backup::Place::S3 {
            host,
            port,
            bucket,
            path,
        } => {
            line("repo1-type", "s3");
            line("repo1-s3-endpoint", host);
            line("repo1-storage-port", &port.to_string());
            line("repo1-s3-bucket", bucket);
            line("repo1-path", path);
            let style = if host.ends_with(AWS) { "host" } else { "path" };
            line("repo1-s3-uri-style", style);
            if !extras.contains_key("repo1-s3-region") {
                line("repo1-s3-region", REGION_DEFAULT);
            }
        }
    }
    for (name, value) in extras {
        line(name, value);
    }
    line("repo1-cipher-type", "aes-256-cbc");
    line("repo1-cipher-pass", password.reveal());
    // How many stay is said with each call.
    line("repo1-retention-full", "9999999");
    line("expire-auto", "n");
    line("lock-path", &place.locks().display().to_string());
    line("log-level-file", "off");
    line("log-level-console", "off");
    line("log-level-stderr", "warn");
    line("compress-type", "zst");
    line("start-fast", "y");
    // It is killed soon after that, and could not say why.
    line("\n[global:archive-push]\nio-timeout", ARCHIVE_IO_MAX_S);
    // A promoted standby archives first what the primary before may not have.
    line("\n[global:backup]\narchive-timeout", LOG_OF_BACKUP_MAX_S);
    line(
        &format!("\n[{}]\npg1-path", place.plan),
        &place.data.display().to_string(),
    );
    line("pg1-port", &port.to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;

    fn place() -> Place {
        use super::super::super::layout::Server;
        use crate::setup::Setup;
        let folder = Path::new("/srv/it's 5%.hanse").to_owned();
        let setup = Setup {
            memory: folder.clone(),
            folder: folder.clone(),
            seal: folder.clone(),
            log: folder.clone(),
            user: "postgres".to_owned(),
            configurations: folder.clone(),
            sockets: None,
        };
        let user = User {
            name: "postgres".to_owned(),
            id: 1,
            group_id: 1,
            groups: Vec::new(),
            home: "/".to_owned(),
        };
        let server = Server {
            data: "/srv/data".into(),
            port: 5433,
            bin: folder,
            user,
            setup,
        };
        Place::of(&server, &"orders".parse().unwrap())
    }

    #[test]
    fn the_password_is_in_the_file_and_in_no_call() {
        let password = Password::try_new(b"correct-horse-battery").unwrap();
        let backup = Backup {
            repository: "/backups".parse().unwrap(),
            interval: "6h".parse().unwrap(),
            retention: "168h".parse().unwrap(),
            environment_file: None,
            password_version: 1,
        };
        let place = place();
        let text = text(&place, &backup, &password, 5433, &BTreeMap::new());
        for line in [
            "repo1-path=/backups\n",
            "repo1-cipher-pass=correct-horse-battery\n",
            "[global:archive-push]\nio-timeout=10\n",
            "[orders]\npg1-path=/srv/data\npg1-port=5433\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let words = [place.call("backup", &[]).join(" "), place.archive_command()];
        assert!(
            !words.iter().any(|words| words.contains("horse")),
            "{words:?}"
        );
        assert!(
            words[1].contains(r#"'/srv/it'"'"'s 5%%.hanse/archive-push.log'"#),
            "{}",
            words[1]
        );
    }

    #[test]
    fn keys_of_a_bucket_come_from_a_file_and_what_is_not_known_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let backup = Backup {
            repository: "s3:https://s3.example.org:9000/acme/db".parse().unwrap(),
            interval: "6h".parse().unwrap(),
            retention: "168h".parse().unwrap(),
            environment_file: Some(file.display().to_string()),
            password_version: 1,
        };
        let missing = extras(&backup).unwrap_err().0;
        assert!(missing.contains("make it on this node"), "{missing}");
        std::fs::write(&file, "AWS_ACCESS_KEY_ID=me\nAWS_SECRET_ACCESS_KEY=s\n").unwrap();
        let extras_read = extras(&backup).unwrap();
        let password = Password::try_new(b"correct-horse-battery").unwrap();
        let text = text(&place(), &backup, &password, 5432, &extras_read);
        for line in [
            "repo1-s3-endpoint=s3.example.org\n",
            "repo1-storage-port=9000\n",
            "repo1-s3-uri-style=path\n",
            "repo1-s3-key=me\n",
            "repo1-s3-region=us-east-1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        std::fs::write(&file, "AWS_PROFILE=me\n").unwrap();
        let odd = extras(&backup).unwrap_err().0;
        assert!(odd.contains("AWS_PROFILE"), "{odd}");
    }
}
