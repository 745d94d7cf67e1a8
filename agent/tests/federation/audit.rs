//! Who did what is on the disk before anybody hears that it was done.

use std::os::unix::fs::symlink;
use std::time::Duration;

use hanse_agent::audit::Line;
use hanse_client::{ClientError, Credentials, proto};
use tokio::process::Command;

use crate::harness::{Federation, cluster};

/// Runs `hanse audit` on the voter's folder, or over the API with the admin's credentials.
async fn audit(federation: &Federation, over_api: bool, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hanse"));
    command.arg("audit").args(arguments);
    command.env_remove("HANSE_ENDPOINTS");
    command.env_remove("HANSE_CREDENTIALS");
    if over_api {
        command.args(["--endpoints", federation.endpoint.as_str()]);
        command.arg("--credentials").arg(federation.admin_bundle());
    } else {
        command.arg("--data-dir").arg(federation.folder().path());
    }
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    (output.status.success(), said)
}

#[tokio::test]
async fn what_is_answered_is_in_the_log_already() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    for number in 0..10 {
        let name = format!("c{number}");
        admin.apply(&cluster(&name), 0, &name).await.unwrap();
        let text = std::fs::read_to_string(federation.folder().audit()).unwrap();
        let last: Line = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert!(last.object.contains(&name), "{last:?}");
        assert_eq!(last.caller, "spiffe://acme/user/admin");
    }
}

#[tokio::test]
async fn nothing_is_changed_while_the_log_cannot_be_written_and_reads_go_on() {
    let federation = Federation::start().await;
    let folder = federation.folder();
    let parent = federation.end().await;
    std::fs::rename(folder.audit(), folder.path().join("aside")).unwrap();
    symlink("/dev/full", folder.audit()).unwrap();
    let federation = Federation::serve(parent).await;
    let admin = federation.admin().await;
    let before = federation.voter.replica.read().revision();
    let refused = admin.apply(&cluster("home"), 0, "one").await.unwrap_err();
    assert!(
        matches!(refused, ClientError::Unavailable { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("make room"), "{refused}");
    let member_cluster = "home".parse().unwrap();
    let hour = Duration::from_secs(3600);
    let refused = admin.issue_token(&member_cluster, hour, 1, false).await;
    assert!(matches!(refused, Err(ClientError::Unavailable { .. })));
    admin.snapshot(0, Duration::ZERO).await.unwrap();
    assert_eq!(federation.voter.replica.read().revision(), before);
    std::fs::rename(folder.path().join("aside"), folder.audit()).unwrap();
    admin.apply(&cluster("home"), 0, "one").await.unwrap();
    let (is_whole, said) = audit(&federation, true, &["--verify"]).await;
    assert!(is_whole, "{said}");
}

#[tokio::test]
async fn a_log_is_verified_offline_and_over_the_api_and_the_broken_line_is_named() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    for name in ["a", "b", "c"] {
        admin.apply(&cluster(name), 0, name).await.unwrap();
    }
    let mut heads = Vec::new();
    for over_api in [false, true] {
        let (is_whole, said) = audit(&federation, over_api, &["--verify", "--json"]).await;
        assert!(is_whole, "{said}");
        let verdict: serde_json::Value = serde_json::from_str(&said).unwrap();
        heads.push(verdict["head"].as_str().unwrap().to_owned());
    }
    assert_eq!(heads[0], heads[1]);
    admin.apply(&cluster("d"), 0, "d").await.unwrap();
    let expected = ["--verify", "--expect", &heads[0]];
    assert!(audit(&federation, true, &expected).await.0);
    let (_, shown) = audit(&federation, true, &["--lines", "2"]).await;
    assert!(
        shown.contains("member cluster `c`") && shown.contains("member cluster `d`"),
        "{shown}"
    );
    assert!(!shown.contains("member cluster `b`"), "{shown}");

    let path = federation.folder().audit();
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().position(|line| line.contains("cluster `b`"));
    let changed = text.replace("cluster `b`", "cluster `x`");
    std::fs::write(&path, changed).unwrap();
    for over_api in [false, true] {
        let (is_whole, said) = audit(&federation, over_api, &["--verify"]).await;
        let place = format!("audit.jsonl, line {}", line.unwrap() + 1);
        assert!(!is_whole && said.contains(&place), "{said}");
    }
}

#[tokio::test]
async fn only_an_admin_reads_the_log() {
    let federation = Federation::start().await;
    let (_, node) = federation.join("home", "home-2").await;
    let operator = federation.user(hanse_client::Role::Operator).await;
    for credentials in [&node, &operator] {
        let refused = read(&federation, credentials).await.unwrap_err();
        assert!(
            matches!(refused, ClientError::Forbidden { .. }),
            "{refused}"
        );
    }
}

async fn read(
    federation: &Federation,
    credentials: &Credentials,
) -> Result<proto::AuditResponse, ClientError> {
    let client = federation.client(credentials).await;
    client.audit(proto::AuditRequest::default()).await
}
