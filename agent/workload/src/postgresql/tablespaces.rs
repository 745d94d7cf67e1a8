//! Tablespaces that a server makes while it goes through a log: their folders are a live server's, so that
//! each gets one of its own in that place.
//!
//! The log names them only as it is gone through. The server ends at such a place, since all else is
//! read-only for it, and starts again with the folder.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::cage::Cage;
use crate::trouble::Trouble;
use crate::user::User;

/// What a server says when it can't make one: `… for Tablespace/CREATE: 16385 "/srv/more"`.
const MAKES: &str = "for Tablespace/CREATE: ";

/// The tablespaces of one server in a cage.
pub(super) struct Tablespaces<'a> {
    cage: &'a Cage,
    user: &'a User,
    data: &'a Path,
    /// Where they are from now on.
    beside: &'a Path,
    given: Vec<Given>,
}

struct Given {
    /// Where the log has one after the other.
    place: PathBuf,
    own: PathBuf,
}

impl<'a> Tablespaces<'a> {
    /// Of the server on a data directory, whose tablespaces go into another folder.
    pub(super) fn new(cage: &'a Cage, user: &'a User, data: &'a Path, beside: &'a Path) -> Self {
        Self {
            cage,
            user,
            data,
            beside,
            given: Vec::new(),
        }
    }

    /// Gives a server that ended a folder for the tablespace that it could not make; yields whether that
    /// is why it ended. `said`: its last words.
    pub(super) async fn give(&mut self, said: &str) -> Result<bool, Trouble> {
        let Some((id, place)) = wanted(said) else {
            return Ok(false);
        };
        if self.given.iter().any(|given| given.place == place) {
            return Ok(false);
        }
        if !place.is_dir() || self.data.starts_with(&place) {
            return Err(Trouble(format!(
                "its log makes a tablespace in {place}, which is no folder of its own on this host: \
                 make an empty one there (nothing is written to it: another one is put in its place), \
                 and begin again",
                place = place.display()
            )));
        }
        let own = self.folder_of(id);
        let made = match DirBuilder::new().mode(0o700).create(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => chown(&own, Some(self.user.id), Some(self.user.group_id)),
        };
        made.map_err(|error| Trouble::io("make", &own, &error))?;
        self.cage.replace(&place, &own).await?;
        self.given.push(Given { place, own });
        Ok(true)
    }

    /// Once the server has ended, leads its links to where its tablespaces are outside, too.
    pub(super) fn settle(&self) -> Result<(), Trouble> {
        let links = self.data.join("pg_tblspc");
        let entries = fs::read_dir(&links).map_err(|error| Trouble::io("read", &links, &error))?;
        for link in entries.flatten().map(|entry| entry.path()) {
            let target = fs::read_link(&link).ok();
            let given = |given: &&Given| target.as_ref() == Some(&given.place);
            let Some(Given { own, .. }) = self.given.iter().find(given) else {
                continue;
            };
            fs::remove_file(&link)
                .and_then(|()| symlink(own, &link))
                .and_then(|()| lchown(&link, Some(self.user.id), Some(self.user.group_id)))
                .map_err(|error| Trouble::io("write", &link, &error))?;
        }
        for Given { own, .. } in &self.given {
            // What is in use is not empty.
            let _ = fs::remove_dir(own);
        }
        Ok(())
    }

    /// The one that a copy has already, or a new one.
    fn folder_of(&self, id: u32) -> PathBuf {
        let target = fs::read_link(self.link(id)).ok();
        let target = target.filter(|target| target.starts_with(self.beside));
        target.unwrap_or_else(|| self.beside.join(format!("tablespace-{id}")))
    }

    fn link(&self, id: u32) -> PathBuf {
        self.data.join("pg_tblspc").join(id.to_string())
    }
}

fn wanted(said: &str) -> Option<(u32, PathBuf)> {
    let line = said.lines().rfind(|line| line.contains(MAKES))?;
    let (_, told) = line.rsplit_once(MAKES)?;
    let (id, place) = told.split_once(" \"")?;
    let place = Path::new(place.trim_end().strip_suffix('"')?);
    Some((id.parse().ok()?, place.to_owned())).filter(|(_, place)| place.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_from_the_servers_last_words() {
        let said = "FATAL:  could not set permissions on directory \"/srv/a b\": Read-only file system\n\
                    CONTEXT:  WAL redo at 0/3000110 for Tablespace/CREATE: 16385 \"/srv/a b\"\nLOG:  x";
        assert_eq!(wanted(said), Some((16385, "/srv/a b".into())));
        assert_eq!(wanted("FATAL:  no room"), None);
        assert_eq!(wanted("for Tablespace/CREATE: 16385 \"\""), None);
    }
}
