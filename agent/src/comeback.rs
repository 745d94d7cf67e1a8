//! The folder of a node whose federation was restored from a backup: what stays, and what goes.
//!
//! Keys and the last plan stay, so that the node is the same and its meshes are up. Nobody but
//! `hanse join` and `hanse restore` does this, and only with the agent stopped.

use std::path::{Path, PathBuf};

use hanse_client::Fingerprint;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::data::file::{self, MODE_PUBLIC};
use crate::data::{DataError, DataFolder, Settings};
use crate::follower::plan_file;

/// The largest file of certificates that is read.
const CERTIFICATES_LENGTH_MAX: u64 = 64 << 10;

/// Takes away what leads back to the federation as it was: where its voters were, and the order of
/// its plans; then sets the mark of a folder that is not finished. A voter's state is set aside,
/// since it may be newer than the backup: yields where. The folder is locked.
pub fn forget_old_federation(
    folder: &DataFolder,
    before: &Settings,
) -> Result<Option<PathBuf>, DataError> {
    let mut aside = None;
    // Before the mark: an attempt that is run again must not set aside what this one makes.
    if folder.is_finished() && before.listen.is_some() {
        aside = folder.set_aside(&folder.state())?;
    }
    folder.begin_anew()?;
    // One that is damaged is of no use to anybody.
    if let Ok(Some(mut plan)) = plan_file::read(folder) {
        plan.revision = 0;
        plan_file::write(folder, &plan)?;
    }
    folder.forget(&folder.voters())?;
    Ok(aside)
}

/// The authorities that a folder's node trusts; those of the old federation as long as a restore in
/// it is not finished.
pub fn old_authorities(folder: &DataFolder) -> Result<Vec<Fingerprint>, DataError> {
    let before = folder.authorities_before();
    let now = folder.authorities();
    // An agent that knew one authority kept it with the certificate.
    let path = if !folder.is_finished() && before.exists() {
        before
    } else if now.exists() {
        now
    } else {
        folder.node_certificates()
    };
    let pem = read(&path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    Ok(certificates.map(|der| Fingerprint::of(&der)).collect())
}

/// Keeps the authorities of the old federation until a restore in the folder is finished. The folder
/// is locked.
pub fn remember_authorities(folder: &DataFolder) -> Result<(), DataError> {
    if !folder.is_finished() {
        return Ok(());
    }
    let (now, before) = (folder.authorities(), folder.authorities_before());
    if !now.exists() {
        return folder.forget(&before);
    }
    file::write_atomically(&before, MODE_PUBLIC, &read(&now)?)
        .map_err(DataError::io("write", &before))
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    file::read_bounded(path, CERTIFICATES_LENGTH_MAX).map_err(DataError::io("read", path))
}

#[cfg(test)]
mod tests {
    use hanse_client::proto;

    use super::*;

    #[test]
    fn what_leads_back_to_the_old_federation_is_forgotten_and_the_plan_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path().join("data"));
        folder.begin().unwrap();
        let settings = Settings {
            listen: Some("127.0.0.1:1".parse().unwrap()),
            ..Settings::new(
                "acme".parse().unwrap(),
                "home".parse().unwrap(),
                "home-1".parse().unwrap(),
                Vec::new(),
            )
        };
        settings.write(&folder).unwrap();
        folder.finish().unwrap();
        let plan = proto::NodePlan {
            revision: 70,
            node: "home-1".to_owned(),
            ..Default::default()
        };
        plan_file::write(&folder, &plan).unwrap();
        for path in [folder.voters(), folder.state(), folder.node_key()] {
            std::fs::write(path, "old").unwrap();
        }
        let aside = forget_old_federation(&folder, &settings).unwrap().unwrap();
        assert!(!folder.is_finished(), "the same command can be run again");
        assert!(!folder.voters().exists() && !folder.state().exists());
        assert!(folder.node_key().exists());
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), "old");
        let kept = plan_file::read(&folder).unwrap().unwrap();
        assert_eq!((kept.revision, kept.node.as_str()), (0, "home-1"));

        // The attempt was interrupted after it had made the new state.
        std::fs::write(folder.state(), "new").unwrap();
        let again = forget_old_federation(&folder, &settings).unwrap();
        assert_eq!(again, None);
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), "old");

        // The federation is lost and restored once more: not one of its states is destroyed.
        folder.finish().unwrap();
        let second = forget_old_federation(&folder, &settings).unwrap().unwrap();
        assert!(second.ends_with("state.redb.before-2"), "{second:?}");
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), "old");
        assert_eq!(std::fs::read_to_string(&second).unwrap(), "new");
    }
}
