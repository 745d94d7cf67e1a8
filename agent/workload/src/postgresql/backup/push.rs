//! What a server runs for each part of its log.
//!
//! It never waits for a repository for long, and lets go of the log before it fills the disk, also while
//! nobody else is there: neither an agent nor pgBackRest.

use std::path::Path;

use super::place::Place;

/// The script, which says what its arguments are.
pub(super) const SCRIPT: &str = include_str!("push.sh");
/// Where pgBackRest is looked for once it is missing.
const PROGRAM_DEFAULT: &str = "/usr/bin/pgbackrest";
/// It ends within so many seconds, whatever it waits for: longer than pgBackRest has.
const MAX_S: u32 = 18;

impl Place {
    /// What a server runs for each part of its log. A server takes some ways of failing for its own, and tells
    /// of none of those: there is only one.
    pub(super) fn archive_command(&self) -> String {
        let word = |path: &Path| {
            let text = path.display().to_string();
            // For the shell, and for the server, which replaces what follows a percent sign.
            format!("'{}'", text.replace('\'', "'\"'\"'").replace('%', "%%"))
        };
        let program = self.program.as_deref();
        format!(
            "timeout -k 1 {MAX_S} /bin/sh {} {} {} {} {} \"%p\" 2>> {} || exit 1",
            word(&self.push()),
            word(program.unwrap_or(Path::new(PROGRAM_DEFAULT))),
            word(&self.configuration()),
            self.plan,
            word(&self.folder),
            word(&self.complaints())
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Output, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    const PART: &str = "pg_wal/000000010000000000000001";

    /// A data directory, a folder beside it, and what stands in for pgBackRest.
    struct Stage {
        root: tempfile::TempDir,
    }

    impl Stage {
        fn new(program: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir_all(root.path().join("data/pg_wal/archive_status")).unwrap();
            fs::create_dir(root.path().join("hanse")).unwrap();
            let path = root.path().join("program");
            fs::write(&path, program).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            Self { root }
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.root.path().join(path), text).unwrap();
        }

        fn has(&self, path: &str) -> bool {
            self.root.path().join(path).exists()
        }

        fn push(&self) -> Output {
            let folder = self.root.path();
            Command::new("/bin/sh")
                .args(["-c", SCRIPT, "push.sh"])
                .args([
                    &folder.join("program"),
                    Path::new("/conf"),
                    Path::new("shop"),
                ])
                .args([&folder.join("hanse"), Path::new(PART)])
                .current_dir(folder.join("data"))
                .output()
                .unwrap()
        }

        #[track_caller]
        fn complains(&self, of: &str) {
            let output = self.push();
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                said.contains("ERROR: [hanse]: ") && said.contains(of),
                "{said}"
            );
        }
    }

    #[test]
    fn a_part_is_archived_by_pgbackrest() {
        let stage = Stage::new("#!/bin/sh\necho \"$@\" > said\n");
        assert!(stage.push().status.success());
        let said = fs::read_to_string(stage.root.path().join("data/said")).unwrap();
        assert_eq!(
            said,
            format!("--config=/conf --stanza=shop archive-push {PART}\n")
        );
        let stage = Stage::new("#!/bin/sh\nexit 82\n");
        assert_eq!(
            stage.push().status.code(),
            Some(1),
            "the server takes others for its own"
        );
    }

    #[test]
    fn a_part_that_the_primary_before_archived_is_not_archived_again() {
        let stage = Stage::new("#!/bin/sh\nexit 45\n");
        assert!(
            !stage.push().status.success(),
            "two servers write one timeline"
        );
        stage.write("data/pg_wal/00000002.history", "");
        assert!(stage.push().status.success());
        stage.write("data/pg_wal/00000001.history", "");
        fs::remove_file(stage.root.path().join("data/pg_wal/00000002.history")).unwrap();
        assert!(!stage.push().status.success(), "it is the newest one");
    }

    #[test]
    fn a_program_that_vanished_is_told_by_its_path() {
        let stage = Stage::new("");
        fs::remove_file(stage.root.path().join("program")).unwrap();
        stage.complains("/program is not there");
        stage.complains("apt-get install pgbackrest");
    }

    #[test]
    fn nothing_is_let_go_up_to_the_limit_and_what_is_beyond_it_is_noted() {
        let stage = Stage::new("#!/bin/sh\nexit 1\n");
        for number in 1..=3 {
            stage.write(&format!("data/pg_wal/archive_status/{number}.ready"), "");
        }
        assert!(
            !stage.push().status.success(),
            "nobody has said how much may wait"
        );
        stage.write("hanse/archive-limit", "3\n");
        assert!(!stage.push().status.success());
        assert!(!stage.has("hanse/archive-dropped"));
        stage.write("hanse/archive-limit", "2\n");
        assert!(stage.push().status.success());
        assert!(stage.has("hanse/archive-dropped"));
    }

    #[test]
    fn what_hung_is_not_joined_by_another_and_holds_up_no_end() {
        let stage = Stage::new("#!/bin/sh\n");
        let mut hung = Command::new("timeout")
            .args(["600", "sleep", "600"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Its name is its own once it runs.
        while fs::read_to_string(format!("/proc/{}/comm", hung.id())).unwrap() != "timeout\n" {}
        stage.write("hanse/archive-hung", &format!("{}\n", hung.id()));
        stage.complains("can't be killed");
        // It passes that on.
        let id = i32::try_from(hung.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        hung.wait().unwrap();
        stage.write("data/postmaster.pid", "1\n/d\n1\n1\n/s\nx\n1 1\nstopping\n");
        stage.complains("the server is to end");
        stage.write("data/postmaster.pid", "1\n/d\n1\n1\n/s\nx\n1 1\nready   \n");
        assert!(stage.push().status.success(), "it is gone");
        assert!(!stage.has("hanse/archive-hung"));
    }
}
