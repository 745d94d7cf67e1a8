//! PowerDNS with `dnsupdate`: the same as BIND, as far as it goes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use hanse_redirect::{Clock, Dns, DnsConfig, RedirectError, TsigAlgorithm, TsigKey, check, lead};

use super::bind::{SECRET, ip, key};
use super::peers::{Peer, free_port, install, program};
use super::race;

const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
const PACKAGES: &str = "pdns-server pdns-backend-sqlite3 sqlite3";

struct PowerDns {
    _peer: Peer,
    port: u16,
    _folder: tempfile::TempDir,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{:?} ({error}): {}",
            command.get_program(),
            install(PACKAGES)
        )
    });
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl PowerDns {
    fn start() -> Self {
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().display().to_string();
            let schema = fs::read_to_string(SCHEMA)
                .unwrap_or_else(|error| panic!("{SCHEMA} ({error}): {}", install(PACKAGES)));
            run(program("sqlite3").arg(format!("{path}/db")).arg(schema));
            let port = free_port();
            let configuration = format!(
                "launch=gsqlite3\ngsqlite3-database={path}/db\ngsqlite3-dnssec=yes\n\
                 local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={path}\ndaemon=no\n\
                 guardian=no\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\n\
                 disable-syslog=yes\nversion-string=anonymous\nsecurity-poll-suffix=\n"
            );
            fs::write(folder.path().join("pdns.conf"), configuration).unwrap();
            let zone = "example.org";
            for words in [
                &["create-zone", zone, "ns.example.org"][..],
                &["add-record", zone, "ns", "A", "127.0.0.1"],
                &["add-record", zone, "alias", "CNAME", "app.example.org"],
                &["import-tsig-key", "hanse", "hmac-sha256", SECRET],
                &["import-tsig-key", "reader", "hmac-sha256", SECRET],
                &["set-meta", zone, "TSIG-ALLOW-DNSUPDATE", "hanse"],
            ] {
                let mut command = program("pdnsutil");
                run(command.arg(format!("--config-dir={path}")).args(words));
            }
            let mut command = program("pdns_server");
            command.arg(format!("--config-dir={path}"));
            if let Ok(peer) = Peer::start(command, PACKAGES, "ready to distribute questions") {
                return Self {
                    _peer: peer,
                    port,
                    _folder: folder,
                };
            }
        }
        panic!("pdns_server does not start");
    }

    fn dns(&self, record: &str, key: TsigKey) -> Dns {
        let config = DnsConfig {
            server: format!("127.0.0.1:{}", self.port),
            zone: "example.org".parse().unwrap(),
            record: format!("{record}.example.org").parse().unwrap(),
            ttl_s: 20,
            key,
            timeout: Duration::from_secs(20),
        };
        Dns::try_new(config, Clock::system()).unwrap()
    }
}

fn known() -> TsigKey {
    key("hanse", TsigAlgorithm::HmacSha256, SECRET)
}

#[tokio::test]
async fn a_record_is_led_and_a_past_epoch_leads_nobody() {
    let server = PowerDns::start();
    let dns = server.dns("app", known());
    assert_eq!(check(&dns).await.unwrap().epoch, None);
    for (epoch, to) in [(3, "192.0.2.3"), (4, "2001:db8::4"), (9, "192.0.2.9")] {
        lead(&dns, ip(to), epoch).await.unwrap();
        let found = check(&dns).await.unwrap();
        assert!(found.leads_to(ip(to)), "{found:?}");
        assert_eq!(found.epoch, Some(epoch));
    }
    let error = lead(&dns, ip("192.0.2.7"), 7).await.unwrap_err();
    assert!(
        matches!(error, RedirectError::Superseded { by: 9, .. }),
        "{error}"
    );
    let error = lead(&server.dns("alias", known()), ip("192.0.2.7"), 7).await;
    assert!(
        matches!(error, Err(RedirectError::Occupied { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn of_two_writers_in_any_order_the_later_epoch_stays() {
    let server = PowerDns::start();
    for (number, order) in race::orders().into_iter().enumerate() {
        race::run(&server.dns(&format!("race{number}"), known()), &order).await;
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_servers_leads_nobody() {
    let server = PowerDns::start();
    let other = "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyE=";
    for key in [
        key("nobody", TsigAlgorithm::HmacSha256, SECRET),
        key("hanse", TsigAlgorithm::HmacSha256, other),
        key("reader", TsigAlgorithm::HmacSha256, SECRET),
    ] {
        let part = match key.name().to_string().as_str() {
            "reader" => "REFUSED: Permit the key".to_owned(),
            // PowerDNS signs nothing where the signature is wrong, and doesn't say how.
            name => format!("See that the server has the key {name} with this very"),
        };
        let dns = server.dns("app", key);
        let error = lead(&dns, ip("192.0.2.3"), 3).await.unwrap_err();
        assert!(error.to_string().contains(&part), "{error}");
    }
    assert_eq!(
        check(&server.dns("app", known())).await.unwrap().epoch,
        None
    );
}
