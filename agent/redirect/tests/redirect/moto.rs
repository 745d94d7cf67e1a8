//! moto's Route 53: that its XML, and so botocore's reading of the API, is ours.

use std::path::PathBuf;
use std::process::Command;

use hanse_redirect::{Http, RedirectError, check, lead};

use super::bind::ip;
use super::peers::{Peer, free_port};
use super::route53::route53;

/// Where `scripts/test --long` puts it.
fn python() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let cache = std::env::var_os("HANSE_CACHE")
        .map(PathBuf::from)
        .or(cache.map(|c| c.join("hanse")));
    let python = cache.unwrap().join("tools/moto-venv/bin/python");
    assert!(
        python.is_file(),
        "moto is missing at {}: run `scripts/test --long`",
        python.display()
    );
    python
}

#[tokio::test]
async fn a_record_is_led_and_a_past_epoch_leads_nobody() {
    assert!(Http::system().is_ok());
    let port = free_port();
    let mut command = Command::new(python());
    command.args([
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        &port.to_string(),
    ]);
    let _moto = Peer::start(command, "python3-venv", "Running on").unwrap();
    let made = Command::new(python())
        .arg("-c")
        .arg(format!(
            "import boto3; c = boto3.client('route53', endpoint_url='http://127.0.0.1:{port}', \
             aws_access_key_id='AKID', aws_secret_access_key='secret', region_name='us-east-1'); \
             print(c.create_hosted_zone(Name='example.org', CallerReference='1')['HostedZone']['Id'])"
        ))
        .output()
        .unwrap();
    let id = String::from_utf8(made.stdout).unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let zone = route53(&format!("127.0.0.1:{port}"), id.trim(), "app", true);
    assert_eq!(check(&zone).await.unwrap().epoch, None);
    for (epoch, to) in [(3, "192.0.2.3"), (4, "2001:db8::4"), (9, "192.0.2.9")] {
        lead(&zone, ip(to), epoch).await.unwrap();
        let found = check(&zone).await.unwrap();
        assert!(
            found.leads_to(ip(to)) && found.epoch == Some(epoch),
            "{found:?}"
        );
    }
    let error = lead(&zone, ip("192.0.2.7"), 7).await.unwrap_err();
    assert!(
        matches!(error, RedirectError::Superseded { by: 9, .. }),
        "{error}"
    );
    let zone = route53(&format!("127.0.0.1:{port}"), "ZNONE", "app", false);
    let said = check(&zone).await.unwrap_err().to_string();
    assert!(said.contains("NoSuchHostedZone"), "{said}");
}
