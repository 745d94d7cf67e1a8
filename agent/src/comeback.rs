//! The folder of a node whose federation was restored from a backup: what stays, and what goes.
//!
//! Keys and the last plan stay, so that the node is the same and its meshes are up. Nobody but
//! `hanse join` and `hanse restore` does this, and only with the agent stopped.

use std::path::PathBuf;

use crate::data::{DataError, DataFolder, Settings};
use crate::follower::plan_file;

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
            federation: "acme".parse().unwrap(),
            cluster: "home".parse().unwrap(),
            node: "home-1".parse().unwrap(),
            endpoints: Vec::new(),
            listen: Some("127.0.0.1:1".parse().unwrap()),
            timing: Default::default(),
            max_queue_size: 1000,
            audit: Default::default(),
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
    }
}
