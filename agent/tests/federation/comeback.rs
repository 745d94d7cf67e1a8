//! A lost federation is restored in the folder of one of its voters, and old voters come back into it:
//! what they know of it is used, and nothing of it is destroyed by mistake.

use clap::Parser as _;
use hanse_agent::command::join::Join;
use hanse_agent::command::restore::Restore;
use hanse_agent::data::{DataFolder, Settings};
use hanse_agent::identity::SealingKeyPair;
use hanse_client::Fingerprint;

use crate::backup::{Lost, command};
use crate::harness::Federation;

/// The folder of a voter that ran on it until its federation was lost, and a backup of that.
struct Ended {
    parent: tempfile::TempDir,
    command: Restore,
    before: [u8; 32],
}

impl Ended {
    async fn new() -> Self {
        let Lost {
            federation, file, ..
        } = Lost::new().await;
        let before = federation.voter.keys().unwrap().preshared.mark();
        let parent = federation.end().await;
        std::fs::remove_file(parent.path().join("admin.pem")).unwrap();
        let mut command = command(parent.path(), &file);
        command.in_place = true;
        Self {
            parent,
            command,
            before,
        }
    }

    fn folder(&self) -> DataFolder {
        DataFolder::new(&self.command.data_dir)
    }

    fn refused(&self) -> String {
        let state = std::fs::read(self.folder().state()).ok();
        let error = self.command.restore().unwrap_err();
        assert_eq!(std::fs::read(self.folder().state()).ok(), state);
        format!("{error:#}")
    }

    /// Makes this a voter that the backup does not know yet.
    fn forget_sealing_key(&self) {
        let folder = self.folder();
        folder.forget(&folder.sealing_key()).unwrap();
        SealingKeyPair::open_or_generate(&folder).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_restored_in_place_where_the_node_is_not() {
    let mut ended = Ended::new().await;
    ended.command.data_dir = ended.parent.path().join("voter-misspelt");
    let said = ended.refused();
    assert!(said.contains("holds no agent that could"), "{said}");
    assert!(!ended.command.data_dir.exists());
    assert!(!ended.parent.path().join("admin.pem").exists());
}

#[tokio::test]
async fn a_restore_in_place_that_was_interrupted_is_run_again_and_keeps_what_was_set() {
    let mut ended = Ended::new().await;
    let folder = ended.folder();
    let mut settings = Settings::read(&folder).unwrap();
    settings.max_queue_size = 77;
    settings.audit.files_max = Some(3);
    settings.write(&folder).unwrap();
    let state = std::fs::read(folder.state()).unwrap();
    ended.command.credentials_out = Some(ended.parent.path().join("missing/admin.pem"));
    ended.command.restore().unwrap_err();
    assert!(!folder.is_finished());
    ended.command.node = "edge-1".parse().unwrap();
    let other = ended.refused();
    assert!(other.contains("the agent of the node `home-1`"), "{other}");

    ended.command.node = "home-1".parse().unwrap();
    ended.command.credentials_out = Some(ended.parent.path().join("admin.pem"));
    let restored = ended.command.restore().unwrap();
    assert!(restored.keeps_preshared_keys);
    let kept = Settings::read(&folder).unwrap();
    assert_eq!((kept.max_queue_size, kept.audit), (77, settings.audit));
    let aside = std::fs::read(folder.path().join("state.redb.before"));
    assert_eq!(aside.unwrap(), state);
    assert!(!folder.authorities_before().exists());
    let restored = Federation::serve(ended.parent).await;
    assert_eq!(
        restored.voter.keys().unwrap().preshared.mark(),
        ended.before
    );
}

#[tokio::test]
async fn whoever_can_not_open_pre_shared_keys_in_place_is_told_so_or_takes_another_voters_key() {
    let mut ended = Ended::new().await;
    let old = ended.parent.path().join("old");
    std::fs::create_dir(&old).unwrap();
    let old = DataFolder::new(old);
    let folder = ended.folder();
    for (from, to) in [
        (folder.sealing_key(), old.sealing_key()),
        (folder.authorities(), old.authorities()),
    ] {
        std::fs::copy(from, to).unwrap();
    }
    ended.forget_sealing_key();
    let said = ended.refused();
    assert!(said.contains("no voter yet"), "{said}");
    assert!(!said.contains("leave --keys-from out"), "{said}");
    ended.command.keys_from = Some(old.path().to_owned());
    assert!(ended.command.restore().unwrap().keeps_preshared_keys);

    let mut follower = Ended::new().await;
    let folder = follower.folder();
    folder.forget(&folder.sealing_key()).unwrap();
    follower.command.credentials_out = Some(follower.parent.path().join("missing/admin.pem"));
    follower.command.restore().unwrap_err();
    follower.command.credentials_out = None;
    let told = follower
        .command
        .told(&follower.command.restore().unwrap())
        .concat();
    assert!(told.contains("a path is down"), "{told}");
}

#[tokio::test]
async fn a_backup_of_a_stranger_is_not_restored_where_the_old_authorities_are_known() {
    let mut ended = Ended::new().await;
    let stranger = Lost::new().await;
    std::fs::write(&ended.command.file, &stranger.file).unwrap();
    let said = ended.refused();
    assert!(said.contains("does not trust"), "{said}");
    // What nobody is expected to have signed is not looked into.
    let mut damaged = stranger.file.clone();
    damaged.pop();
    std::fs::write(&ended.command.file, &damaged).unwrap();
    assert!(ended.refused().contains("does not trust"));
    ended.command.in_place = false;
    ended.command.expect = Some(Fingerprint::of(b"another"));
    assert!(ended.refused().contains("is expected"));

    std::fs::write(&ended.command.file, &stranger.file).unwrap();
    ended.command.in_place = true;
    ended.command.expect = Some(stranger.authority());
    let said = ended.refused();
    assert!(said.contains("--keys-from"), "{said}");
}

#[derive(clap::Parser)]
struct Joining {
    #[command(flatten)]
    join: Join,
}

#[tokio::test]
async fn an_old_voter_that_comes_back_as_a_follower_forgets_the_key_that_opened_secrets() {
    let lost = Lost::new().await;
    let parent = tempfile::tempdir().unwrap();
    let mut command = command(parent.path(), &lost.file);
    command.node = "new-1".parse().unwrap();
    command.cluster = Some("home".parse().unwrap());
    command.keys_from = Some(lost.federation.folder().path().to_owned());
    command.restore().unwrap();
    let restored = Federation::serve(parent).await;
    let old = lost.federation.end().await;
    let folder = DataFolder::new(old.path().join("voter"));
    let token = restored.token("home", 1).await;
    let path = folder.path().display().to_string();
    let joining = Joining::parse_from(["join", "--token", &token, "--data-dir", &path]);
    joining.join.run().await.unwrap();
    assert!(folder.path().join("state.redb.before").exists());
    assert!(!folder.sealing_key().exists());
}
