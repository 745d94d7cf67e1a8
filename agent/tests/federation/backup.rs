//! A backup holds no secret and becomes another federation of the same name, into which its nodes
//! come back once, each to its own place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hanse_agent::command::restore::Restore;
use hanse_agent::data::DataFolder;
use hanse_agent::identity::{Backup, NodeIdentity, backup};
use hanse_client::{Client, ClientError, Credentials, Fingerprint, RefusalKind, proto};
use hanse_core::name::NodeName;

use crate::harness::{Federation, cluster, free_address, mesh};

/// A federation with a mesh, a node in it, and its backup.
pub(crate) struct Lost {
    pub(crate) federation: Federation,
    node: DataFolder,
    credentials: Credentials,
    pub(crate) file: Vec<u8>,
}

impl Lost {
    pub(crate) async fn new() -> Self {
        let federation = Federation::start().await;
        let admin = federation.admin().await;
        for (name, id) in [("home", "1"), ("edge", "2")] {
            admin.apply(&cluster(name), 0, id).await.unwrap();
        }
        admin
            .apply(&mesh(&["home", "edge"]), 0, "mesh")
            .await
            .unwrap();
        let (node, credentials) = federation.join("edge", "edge-1").await;
        let file = admin.backup(backup::LENGTH_MAX).await.unwrap();
        Self {
            federation,
            node,
            credentials,
            file,
        }
    }

    pub(crate) fn authority(&self) -> Fingerprint {
        let trust = self.federation.voter.trust();
        trust.signing().unwrap().fingerprint
    }
}

pub(crate) fn command(folder: &Path, file: &[u8]) -> Restore {
    let path = folder.join("backup");
    std::fs::write(&path, file).unwrap();
    Restore {
        file: path,
        expect: None,
        keys_from: None,
        in_place: false,
        node: "home-1".parse().unwrap(),
        cluster: None,
        data_dir: folder.join("voter"),
        listen: free_address(),
        timing: Default::default(),
        advertise: None,
        credentials_out: Some(folder.join("admin.pem")),
    }
}

async fn restore(file: &[u8]) -> Federation {
    let parent = tempfile::tempdir().unwrap();
    command(parent.path(), file).restore().unwrap();
    Federation::serve(parent).await
}

/// Everything in a folder, whole or in folders below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

async fn comes_back(
    federation: &Federation,
    folder: &DataFolder,
    (cluster, name): (&str, &str),
) -> Result<Credentials, ClientError> {
    let identity = NodeIdentity::open(folder).unwrap();
    let request = proto::EnrollRequest {
        token: federation.token(cluster, 1).await,
        certificate_request: identity.request().unwrap(),
        node: name.to_owned(),
        ..Default::default()
    };
    let response = federation.joiner().await.enroll(request).await?;
    let accepted = identity.accept(&response.certificate_chain, response.trust.as_ref());
    Ok(accepted.unwrap())
}

#[tokio::test]
async fn what_was_declared_and_every_nodes_place_come_back_under_another_authority() {
    let lost = Lost::new().await;
    let before = lost.federation.voter.replica.read();
    let restored = restore(&lost.file).await;
    let after = restored.voter.replica.read();
    assert_eq!(before.inventory().meshes, after.inventory().meshes);
    assert_eq!(before.inventory().clusters, after.inventory().clusters);
    let edge: NodeName = "edge-1".parse().unwrap();
    let place = &before.inventory().nodes[&edge].meshes;
    assert_eq!(&after.inventory().nodes[&edge].meshes, place);
    assert!(after.revision() > before.revision());

    let trust = restored.voter.trust();
    assert_ne!(trust.signing().unwrap().fingerprint, lost.authority());
    let endpoints = [restored.endpoint.clone()];
    Client::connect(&endpoints, &lost.credentials)
        .await
        .unwrap_err();

    let own = comes_back(&restored, &lost.node, ("edge", "edge-1")).await;
    let client = restored.client(&own.unwrap()).await;
    client.report(proto::NodeStatus::default()).await.unwrap();
    let now = restored.voter.replica.read();
    assert_eq!(&now.inventory().nodes[&edge].meshes, place);
    let again = comes_back(&restored, &lost.node, ("edge", "edge-1")).await;
    let refused = again.unwrap_err();
    let taken = RefusalKind::AlreadyExists;
    assert!(
        matches!(&refused, ClientError::Refused { kind, .. } if *kind == taken),
        "{refused}"
    );
}

#[tokio::test]
async fn a_backup_is_good_for_a_second_restore_and_the_two_do_not_know_one_another() {
    let lost = Lost::new().await;
    let (first, second) = (restore(&lost.file).await, restore(&lost.file).await);
    let own = comes_back(&first, &lost.node, ("edge", "edge-1")).await;
    let endpoints = [second.endpoint.clone()];
    Client::connect(&endpoints, &own.unwrap())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_backup_of_a_restored_federation_keeps_the_places_of_those_who_are_not_back_yet() {
    let lost = Lost::new().await;
    let first = restore(&lost.file).await;
    let file = first.admin().await.backup(backup::LENGTH_MAX).await;
    let second = restore(&file.unwrap()).await;
    comes_back(&second, &lost.node, ("edge", "edge-1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn no_secret_of_the_federation_or_of_its_voter_is_in_a_backup() {
    let lost = Lost::new().await;
    let text = String::from_utf8_lossy(&lost.file).into_owned();
    let keys = lost.federation.voter.keys().unwrap();
    let key = hanse_core::hexadecimal::encode(&keys.authority.secret());
    assert!(!text.contains(&key));
    let backup = Backup::read(&lost.file).unwrap();
    let names: Vec<String> = backup
        .state
        .secrets()
        .names()
        .map(|name| name.to_string())
        .collect();
    assert_eq!(names, ["preshared-keys"], "sealed, and no authority's key");
    for path in files(lost.federation.folder().path()) {
        if path.extension().is_none_or(|end| end != "key") {
            continue;
        }
        let content = std::fs::read_to_string(&path).unwrap();
        let lines = content.lines().filter(|line| !line.starts_with("---"));
        for line in lines {
            assert!(!text.contains(line), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn pre_shared_keys_stay_with_the_key_of_an_old_voter_and_are_new_without() {
    let lost = Lost::new().await;
    let mark = |federation: &Federation| federation.voter.keys().unwrap().preshared.mark();
    let before = mark(&lost.federation);
    let parent = tempfile::tempdir().unwrap();
    let fresh = command(parent.path(), &lost.file);
    let told = fresh.told(&fresh.restore().unwrap()).concat();
    assert!(told.contains("a path is down"), "{told}");
    assert_ne!(mark(&Federation::serve(parent).await), before);

    let parent = tempfile::tempdir().unwrap();
    let mut command = command(parent.path(), &lost.file);
    command.keys_from = Some(lost.node.path().to_owned());
    command.restore().unwrap_err();
    let other = Federation::start().await;
    command.keys_from = Some(other.folder().path().to_owned());
    let said = format!("{:#}", command.restore().unwrap_err());
    assert!(said.contains("does not trust"), "{said}");
    command.expect = Some(lost.authority());
    let said = format!("{:#}", command.restore().unwrap_err());
    assert!(said.contains("key of no voter"), "{said}");
    assert!(!command.data_dir.exists());
    command.expect = None;
    command.keys_from = Some(lost.federation.folder().path().to_owned());
    let restored = command.restore().unwrap();
    assert!(!command.told(&restored).concat().contains("is down"));
    assert_eq!(mark(&Federation::serve(parent).await), before);
}

#[tokio::test]
async fn a_voter_is_restored_in_its_own_folder_with_its_own_keys_and_its_old_state_set_aside() {
    let Lost {
        federation, file, ..
    } = Lost::new().await;
    let before = federation.voter.keys().unwrap().preshared.mark();
    let key = std::fs::read(federation.folder().node_key()).unwrap();
    let parent = federation.end().await;
    let mut command = command(parent.path(), &file);
    let taken = format!("{:#}", command.restore().unwrap_err());
    assert!(taken.contains("admin.pem is there already"), "{taken}");
    command.credentials_out = Some(parent.path().join("new.pem"));
    let occupied = format!("{:#}", command.restore().unwrap_err());
    assert!(occupied.contains("holds an agent already"), "{occupied}");
    command.in_place = true;
    command.node = "edge-1".parse().unwrap();
    let other = format!("{:#}", command.restore().unwrap_err());
    assert!(other.contains("the agent of the node `home-1`"), "{other}");
    command.node = "home-1".parse().unwrap();
    command.restore().unwrap();
    assert!(command.data_dir.join("state.redb.before").exists());
    let admin = parent.path().join("admin.pem");
    std::fs::rename(parent.path().join("new.pem"), admin).unwrap();
    let restored = Federation::serve(parent).await;
    assert_eq!(restored.voter.keys().unwrap().preshared.mark(), before);
    assert_eq!(std::fs::read(restored.folder().node_key()).unwrap(), key);
    restored.admin().await;
}

#[tokio::test]
async fn whoever_takes_a_backup_stands_in_the_audit_log() {
    let lost = Lost::new().await;
    let log = std::fs::read_to_string(lost.federation.folder().audit()).unwrap();
    let line = log.lines().find(|line| line.contains("\"backup\""));
    assert!(line.unwrap().contains("signed at"), "{log}");
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind_and_says_why() {
    let lost = Lost::new().await;
    let parent = tempfile::tempdir().unwrap();
    let refused = |command: &Restore| {
        let error = command.restore().unwrap_err();
        assert!(!command.data_dir.exists(), "{error:#}");
        format!("{error:#}")
    };
    let mut changed = lost.file.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert!(refused(&command(parent.path(), &changed)).contains("not as it was signed"));
    let cut = &lost.file[..lost.file.len() - 1];
    assert!(refused(&command(parent.path(), cut)).contains("cut short"));

    let mut foreign = command(parent.path(), &lost.file);
    foreign.expect = Some(Fingerprint::of(b"another"));
    let said = refused(&foreign);
    assert!(said.contains(&lost.authority().to_string()), "{said}");
    foreign.expect = Some(lost.authority());
    foreign.restore().unwrap();

    let parent = tempfile::tempdir().unwrap();
    let mut unknown = command(parent.path(), &lost.file);
    unknown.node = "new-1".parse().unwrap();
    let said = refused(&unknown);
    assert!(
        said.contains("edge-1") && said.contains("--cluster"),
        "{said}"
    );
    let mut moved = command(parent.path(), &lost.file);
    moved.cluster = Some("edge".parse().unwrap());
    assert!(refused(&moved).contains("belongs to the member cluster `home`"));
    unknown.cluster = Some("home".parse().unwrap());
    unknown.restore().unwrap();
    let mode = std::fs::metadata(parent.path().join("admin.pem")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_has_no_end_is_not_read_to_it() {
    let parent = tempfile::tempdir().unwrap();
    let mut endless = command(parent.path(), b"");
    let path = parent.path().join("huge");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(backup::LENGTH_MAX + 1).unwrap();
    endless.file = path;
    let said = format!("{:#}", endless.restore().unwrap_err());
    assert!(said.contains("larger than"), "{said}");
    assert!(!endless.data_dir.exists());
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_run_again() {
    let lost = Lost::new().await;
    let parent = tempfile::tempdir().unwrap();
    let mut command = command(parent.path(), &lost.file);
    {
        let folder = DataFolder::new(&command.data_dir);
        folder.begin().unwrap();
        NodeIdentity::open_or_generate(&folder).unwrap();
    }
    command.restore().unwrap();
    command.credentials_out = None;
    let again = format!("{:#}", command.restore().unwrap_err());
    assert!(again.contains("holds an agent already"), "{again}");
    Federation::serve(parent).await.admin().await;
}
