//! Where what belongs to a copy's backups is.

use std::path::{Path, PathBuf};

use hanse_core::name::PlanName;

use super::super::layout::Server;
use crate::call::PATH;
use crate::trouble::Trouble;
use crate::user::User;

/// The program, as the distribution has it.
pub(super) const PROGRAM: &str = "pgbackrest";

/// Where what belongs to a copy's backups is, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The server's own folder of what is Hanse's.
    folder: PathBuf,
    /// The data directory.
    pub(super) data: PathBuf,
    pub(super) user: User,
    pub(super) plan: PlanName,
}

impl Place {
    pub(super) fn of(server: &Server, plan: &PlanName) -> Self {
        Self {
            folder: server.setup.folder.clone(),
            data: server.data.clone(),
            user: server.user.clone(),
            plan: plan.clone(),
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

    /// What was wrong whenever a part of the log could not be archived.
    pub(super) fn complaints(&self) -> PathBuf {
        self.folder.join("archive-push.log")
    }

    /// What the server runs for each part of its log.
    pub(super) fn archive_command(&self) -> String {
        let word = |path: &Path| {
            let text = path.display().to_string();
            // For the shell, and for the server, which replaces what follows a percent sign.
            format!("'{}'", text.replace('\'', "'\"'\"'").replace('%', "%%"))
        };
        format!(
            "{PROGRAM} --config={} --stanza={} archive-push \"%p\" 2>> {}",
            word(&self.configuration()),
            self.plan,
            word(&self.complaints())
        )
    }

    /// Words of a call of pgBackRest's. No secret is among them.
    pub(super) fn call(&self, command: &str, options: &[String]) -> Vec<String> {
        let mut words = vec![
            PROGRAM.to_owned(),
            format!("--config={}", self.configuration().display()),
            format!("--stanza={}", self.plan),
        ];
        words.extend_from_slice(options);
        words.push(command.to_owned());
        words
    }

    /// Whether backups can be thought of at all.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        let mut folders = PATH.split(':').map(Path::new);
        if !folders.any(|folder| folder.join(PROGRAM).is_file()) {
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
