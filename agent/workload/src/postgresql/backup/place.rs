//! Where what belongs to a copy's backups is.

use std::path::{Path, PathBuf};

use hanse_core::name::PlanName;

use super::super::layout::Server;
use crate::call::PATH;
use crate::file::Owner;
use crate::trouble::Trouble;
use crate::user::User;

/// The program, as the distribution has it.
pub(super) const PROGRAM: &str = "pgbackrest";

/// Where what belongs to a copy's backups is, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The server's own folder of what is Hanse's.
    pub(super) folder: PathBuf,
    /// The data directory.
    pub(super) data: PathBuf,
    pub(super) user: User,
    pub(super) plan: PlanName,
    /// Where pgBackRest is; none: nowhere.
    pub(super) program: Option<PathBuf>,
}

impl Place {
    pub(super) fn of(server: &Server, plan: &PlanName) -> Self {
        Self {
            folder: server.setup.folder.clone(),
            data: server.data.clone(),
            user: server.user.clone(),
            plan: plan.clone(),
            program: program(),
        }
    }

    /// What pgBackRest is told, with the password: the server's user alone reads it.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.join("pgbackrest.conf")
    }

    /// Keeps two of pgBackRest's from working at once.
    pub(super) fn locks(&self) -> PathBuf {
        self.folder.join("pgbackrest-lock")
    }

    /// A file that the server's user alone reads.
    pub(super) fn own(&self) -> Owner {
        Owner {
            user_id: self.user.id,
            group_id: self.user.group_id,
            mode: 0o600,
        }
    }

    /// What was wrong whenever a part of the log could not be archived.
    pub(super) fn complaints(&self) -> PathBuf {
        self.folder.join("archive-push.log")
    }

    /// How many parts of the log may wait for the repository.
    pub(super) fn limit(&self) -> PathBuf {
        self.folder.join("archive-limit")
    }

    /// It is there since a part of the log was let go.
    pub(super) fn dropped(&self) -> PathBuf {
        self.folder.join("archive-dropped")
    }

    /// What is known of gaps.
    pub(super) fn known(&self) -> PathBuf {
        self.folder.join("archive-known.json")
    }

    /// What the server runs for each part of its log, as a file.
    pub(super) fn push(&self) -> PathBuf {
        self.folder.join("archive-push.sh")
    }

    /// Words of a call of pgBackRest's. No secret is among them.
    pub(super) fn call(&self, command: &str, options: &[String]) -> Vec<String> {
        let program = self.program.as_deref().unwrap_or(Path::new(PROGRAM));
        let mut words = vec![
            program.display().to_string(),
            format!("--config={}", self.configuration().display()),
            format!("--stanza={}", self.plan),
        ];
        words.extend_from_slice(options);
        words.push(command.to_owned());
        words
    }

    /// Whether backups can be thought of at all.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        if !self
            .program
            .as_ref()
            .is_some_and(|program| program.is_file())
        {
            return Err(Trouble(format!(
                "backups need {PROGRAM}, which this node lacks: run `apt-get install pgbackrest`"
            )));
        }
        match self.configuration().is_file() {
            true => Ok(()),
            false => Err(Trouble(
                "the password of the backups is not here yet: it comes from the voters; if the \
                 federation was restored since, give backup.password_wo again, with a new version"
                    .to_owned(),
            )),
        }
    }
}

fn program() -> Option<PathBuf> {
    let folders = PATH.split(':').map(Path::new);
    let mut programs = folders.map(|folder| folder.join(PROGRAM));
    programs.find(|program| program.is_file())
}
