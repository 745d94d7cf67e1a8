//! What the federation said of this node's copies, on the disk too: a node goes by it when it starts
//! and no voter answers, and never goes back to something older.

use std::collections::BTreeMap;
use std::io;

use hanse_client::{convert, proto};
use hanse_core::dr::duty::CopyPlan;
use hanse_core::finding::Finding;
use hanse_core::name::PlanName;

use crate::data::file::{self, MODE_SECRET};
use crate::data::kept::{self, HEADER_LENGTH};
use crate::data::{DataError, DataFolder};

/// Begins the file, with the version of its format.
const MAGIC: &[u8; 8] = b"hanseC\x00\x01";
/// The largest file that is read.
const LENGTH_MAX: u64 = hanse_client::MESSAGE_LIMIT_BYTES as u64 + HEADER_LENGTH as u64;

/// What was said of the copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The federation's revision as of which these are all.
    pub revision: u64,
    /// By plan, each with its own revision.
    pub copies: BTreeMap<PlanName, (u64, CopyPlan)>,
}

impl Told {
    /// What is on the disk; nothing where nothing was kept.
    pub fn read(folder: &DataFolder) -> Result<Self, DataError> {
        let path = folder.copies();
        let bytes = match file::read_bounded(&path, LENGTH_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(DataError::io("read", &path)(error)),
        };
        let read = kept::decode(MAGIC, &bytes).and_then(|message| Self::from_proto(&message).ok());
        read.ok_or_else(|| {
            DataError::Problem(format!(
                "{} is damaged; what runs goes on until a voter says again what it has to be",
                path.display()
            ))
        })
    }

    /// What is on the disk, for the agent. A file that can't be believed is set aside: the voters say
    /// again what the copies have to be, and no copy obeys what is older than what it obeyed.
    pub fn read_or_begin_anew(folder: &DataFolder) -> Result<Self, DataError> {
        let error = match Self::read(folder) {
            Ok(told) => return Ok(told),
            Err(error @ DataError::Problem(_)) => error,
            Err(error) => return Err(error),
        };
        let aside = folder.set_aside(&folder.copies())?;
        let aside = aside.unwrap_or_default();
        tracing::error!(%error, aside = %aside.display(), "going on without it");
        Ok(Self::default())
    }

    /// Takes what a voter says, unless this node heard something newer; yields what comes of it.
    pub fn heard(&self, message: &proto::CopyPlans) -> Result<Option<Self>, Vec<Finding>> {
        if message.revision < self.revision {
            return Ok(None);
        }
        let mut next = Self::from_proto(message)?;
        for (plan, copy) in &mut next.copies {
            if let Some(known) = self.copies.get(plan).filter(|known| known.0 > copy.0) {
                copy.clone_from(known);
            }
        }
        Ok((next != *self).then_some(next))
    }

    /// Keeps it.
    pub fn write(&self, folder: &DataFolder) -> Result<(), DataError> {
        let message = proto::CopyPlans {
            copies: self
                .copies
                .values()
                .map(|(revision, copy)| kept(*revision, copy))
                .collect(),
            revision: self.revision,
        };
        let path = folder.copies();
        let bytes = kept::encode(MAGIC, &message);
        file::write_atomically(&path, MODE_SECRET, &bytes).map_err(DataError::io("write", &path))
    }

    fn from_proto(message: &proto::CopyPlans) -> Result<Self, Vec<Finding>> {
        let copies = message.copies.iter().map(|copy| {
            let (revision, copy) = convert::copy_plan_from_proto(copy)?;
            Ok((copy.plan.clone(), (revision, copy)))
        });
        Ok(Self {
            revision: message.revision,
            copies: copies.collect::<Result<_, Vec<Finding>>>()?,
        })
    }
}

/// A copy's plan as it is kept. What backups are encrypted with is only where they are made from: a voter
/// says it again.
fn kept(revision: u64, copy: &CopyPlan) -> proto::CopyPlan {
    let mut message = convert::copy_plan_to_proto(revision, copy);
    if let Some(backup) = &mut message.backup {
        backup.password.clear();
    }
    message
}

#[cfg(test)]
mod tests {
    use hanse_core::dr::duty::{CopyBackup, Duty};
    use hanse_core::dr::timings::Preset;
    use hanse_core::object::dr_backup::{Backup, Password};
    use hanse_core::object::dr_plan::{Postgresql, Workload};

    use super::*;

    fn copy(plan: &str, barrier: u64) -> CopyPlan {
        CopyPlan {
            plan: plan.parse().unwrap(),
            cluster: "a".parse().unwrap(),
            is_home: true,
            workload: Workload::Postgresql(Postgresql {
                data_directory: "/srv/data".to_owned(),
                port: 5432,
                bin_directory: None,
            }),
            duty: Duty::Detach { barrier },
            timings: Preset::Standard.timings(),
            places: BTreeMap::new(),
            service: None,
            watchdog: false,
            drill: None,
            key: Some([7; 32].into()),
            backup: Some(CopyBackup {
                declared: Backup {
                    repository: "/mnt/backups".parse().unwrap(),
                    interval: "6h".parse().unwrap(),
                    retention: "168h".parse().unwrap(),
                    environment_file: None,
                    password_version: 1,
                },
                password: None,
            }),
        }
    }

    fn message(revision: u64, copies: &[(u64, &str)]) -> proto::CopyPlans {
        let copies = copies.iter();
        proto::CopyPlans {
            copies: copies
                .map(|(own, plan)| convert::copy_plan_to_proto(*own, &copy(plan, *own)))
                .collect(),
            revision,
        }
    }

    #[test]
    fn what_is_older_is_not_taken_back() {
        let first = Told::default().heard(&message(9, &[(7, "x"), (3, "y")]));
        let first = first.unwrap().unwrap();
        assert_eq!(first.heard(&message(8, &[])).unwrap(), None);
        let mixed = first
            .heard(&message(10, &[(5, "x"), (4, "y")]))
            .unwrap()
            .unwrap();
        let revisions: Vec<u64> = mixed
            .copies
            .values()
            .map(|(revision, _)| *revision)
            .collect();
        assert_eq!(revisions, [7, 4]);
        let gone = mixed.heard(&message(11, &[(7, "x")])).unwrap().unwrap();
        assert_eq!(gone.copies.len(), 1);
    }

    #[test]
    fn the_password_of_backups_is_not_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        let password = "correct-horse-battery-staple";
        let mut secret = message(9, &[(7, "x")]);
        let backup = secret.copies[0].backup.as_mut().unwrap();
        backup.password = password.to_owned();
        let told = Told::default().heard(&secret).unwrap().unwrap();
        let heard = |told: &Told| {
            let (_, copy) = told.copies.values().next().unwrap().clone();
            copy.backup.unwrap().password
        };
        assert_eq!(
            heard(&told),
            Some(Password::try_new(password.as_bytes()).unwrap())
        );
        told.write(&folder).unwrap();
        let bytes = std::fs::read(folder.copies()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(password));
        let read = Told::read(&folder).unwrap();
        assert_eq!(heard(&read), None);
        // Said again, it is news.
        assert_eq!(read.heard(&secret).unwrap(), Some(told));
    }

    #[test]
    fn what_was_kept_is_read_and_what_is_torn_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        assert_eq!(Told::read(&folder).unwrap(), Told::default());
        let told = Told::default()
            .heard(&message(9, &[(7, "x")]))
            .unwrap()
            .unwrap();
        told.write(&folder).unwrap();
        assert_eq!(Told::read(&folder).unwrap(), told);
        let bytes = std::fs::read(folder.copies()).unwrap();
        std::fs::write(folder.copies(), &bytes[..bytes.len() - 1]).unwrap();
        let error = Told::read(&folder).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        let anew = Told::read_or_begin_anew(&folder).unwrap();
        assert_eq!(anew, Told::default());
        assert_eq!(Told::read(&folder).unwrap(), Told::default());
        let aside = std::fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(aside, 1, "it is kept");
    }
}
