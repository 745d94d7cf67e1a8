//! BIND 9: what it takes, and what each of its refusals is called.

use std::net::IpAddr;
use std::time::Duration;

use hanse_redirect::{
    Clock, Dns, DnsConfig, DnsProblem, RedirectError, Spread, TsigAlgorithm, TsigKey, check, lead,
};

use super::peers::{Peer, free_port, program};
use super::race;

pub(crate) const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMsIG5vIGxlc3M=";
const OTHER_SECRET: &str = "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyE=";

pub(crate) struct Bind {
    peer: Peer,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Bind {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zone = "$TTL 60\n@ SOA ns hostmaster 1 60 60 600 60\n@ NS ns\nns A 127.0.0.1\n\
                    alias CNAME app\nwritten TXT \"v=spf1\"\n_hanse.foreign TXT \"v=spf1\"\n\
                    _hanse.two TXT \"epoch=1\"\n_hanse.two TXT \"epoch=2\"\n\
                    _hanse.split TXT \"epoch\" \"=1\"\n\
                    byhand A 192.0.2.1\nbyhand A 192.0.2.2\nbyhand AAAA 2001:db8::1\n";
        for _ in 0..5 {
            let port = free_port();
            std::fs::write(folder.path().join("zone"), zone).unwrap();
            std::fs::write(folder.path().join("frozen"), zone).unwrap();
            let configuration = format!(
                r#"
                options {{
                    directory "{0}"; pid-file none; session-keyfile none; lock-file none;
                    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
                    recursion no; dnssec-validation no; notify no;
                }};
                controls {{ }};
                key hanse {{ algorithm hmac-sha256; secret "{SECRET}"; }};
                key long {{ algorithm hmac-sha512; secret "{SECRET}"; }};
                key middle {{ algorithm hmac-sha384; secret "{SECRET}"; }};
                key reader {{ algorithm hmac-sha256; secret "{SECRET}"; }};
                zone example.org {{
                    type primary; file "zone";
                    update-policy {{
                        grant hanse subdomain example.org. A AAAA TXT;
                        grant long subdomain example.org. A AAAA TXT;
                        grant middle subdomain example.org. A AAAA TXT;
                    }};
                }};
                zone frozen.example {{ type primary; file "frozen"; }};
                "#,
                folder.path().display()
            );
            let file = folder.path().join("named.conf");
            std::fs::write(&file, configuration).unwrap();
            let mut command = program("named");
            command.arg("-g").arg("-c").arg(&file);
            if let Ok(peer) = Peer::start(command, "bind9", "all zones loaded") {
                return Self {
                    peer,
                    port,
                    _folder: folder,
                };
            }
        }
        panic!("named does not start");
    }

    pub(crate) fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn config(&self, record: &str) -> DnsConfig {
        DnsConfig {
            server: self.server(),
            zone: "example.org".parse().unwrap(),
            record: format!("{record}.example.org").parse().unwrap(),
            ttl_s: 20,
            key: key("hanse", TsigAlgorithm::HmacSha256, SECRET),
            timeout: Duration::from_secs(20),
        }
    }

    fn dns(&self, record: &str) -> Dns {
        Dns::try_new(self.config(record), Clock::system()).unwrap()
    }

    fn with_key(&self, key: TsigKey) -> Dns {
        let config = DnsConfig {
            key,
            ..self.config("app")
        };
        Dns::try_new(config, Clock::system()).unwrap()
    }
}

pub(crate) fn key(name: &str, algorithm: TsigAlgorithm, secret: &str) -> TsigKey {
    TsigKey::try_new(name.parse().unwrap(), algorithm, secret).unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What a lead under epoch 3 says, and what a check says: they agree.
async fn problem(dns: &Dns) -> DnsProblem {
    let problem = |error| match error {
        RedirectError::Dns { problem, .. } => problem,
        error => panic!("{error}"),
    };
    let told = problem(lead(dns, ip("192.0.2.3"), 3).await.unwrap_err());
    assert_eq!(problem(check(dns).await.unwrap_err()), told);
    told
}

#[tokio::test]
async fn a_record_is_led_and_found_there() {
    let bind = Bind::start();
    let algorithms = [
        ("hanse", TsigAlgorithm::HmacSha256),
        ("middle", TsigAlgorithm::HmacSha384),
        ("long", TsigAlgorithm::HmacSha512),
    ];
    let mut epoch = 10;
    for (name, algorithm) in algorithms {
        let dns = bind.with_key(key(name, algorithm, SECRET));
        for to in [ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.2")] {
            epoch += 1;
            let led = lead(&dns, to, epoch).await.unwrap();
            assert_eq!(led.spread, Some(Spread::Primary));
            let found = check(&dns).await.unwrap();
            assert!(found.leads_to(to), "{found:?}");
            assert_eq!(found.epoch, Some(epoch));
            assert_eq!(lead(&dns, to, epoch).await.unwrap().spread, None);
        }
    }
}

#[tokio::test]
async fn what_was_written_by_hand_is_led_whole() {
    let bind = Bind::start();
    let dns = bind.dns("byhand");
    let found = check(&dns).await.unwrap();
    assert_eq!(found.epoch, None);
    assert_eq!(found.sight.addresses().count(), 3);
    assert_eq!(check(&dns).await.unwrap(), found, "a check changes nothing");
    let led = lead(&dns, ip("192.0.2.3"), 1).await.unwrap();
    assert_eq!(led.before, ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert!(check(&dns).await.unwrap().leads_to(ip("192.0.2.3")));
}

#[tokio::test]
async fn a_check_makes_nothing_where_nothing_is() {
    let bind = Bind::start();
    let dns = bind.dns("new");
    for _ in 0..2 {
        let found = check(&dns).await.unwrap();
        assert_eq!((found.epoch, found.sight.addresses().count()), (None, 0));
    }
}

#[tokio::test]
async fn a_past_epoch_leads_nobody() {
    let bind = Bind::start();
    let dns = bind.dns("app");
    lead(&dns, ip("192.0.2.9"), 9).await.unwrap();
    for (to, epoch) in [("192.0.2.7", 7), ("192.0.2.7", 9), ("192.0.2.9", 8)] {
        let error = lead(&dns, ip(to), epoch).await.unwrap_err();
        assert!(
            matches!(error, RedirectError::Superseded { by: 9, .. }),
            "{error}"
        );
    }
    assert!(check(&dns).await.unwrap().leads_to(ip("192.0.2.9")));
}

#[tokio::test]
async fn of_two_writers_in_any_order_the_later_epoch_stays() {
    let bind = Bind::start();
    for (number, order) in race::orders().into_iter().enumerate() {
        let dns = bind.dns(&format!("race{number}"));
        race::run(&dns, &order).await;
    }
}

#[tokio::test]
async fn many_writers_at_once_end_at_the_latest_epoch() {
    let bind = Bind::start();
    let dns = bind.dns("crowd");
    let mut writers = tokio::task::JoinSet::new();
    for epoch in 1..=8u64 {
        let dns = dns.clone();
        let to = ip(&format!("192.0.2.{epoch}"));
        writers.spawn(async move { (epoch, lead(&dns, to, epoch).await) });
    }
    for (epoch, result) in writers.join_all().await {
        match result {
            Ok(_) => {}
            Err(RedirectError::Superseded { by, .. }) => assert!(by > epoch),
            Err(error) => panic!("epoch {epoch}: {error}"),
        }
    }
    let found = check(&dns).await.unwrap();
    assert_eq!(found.epoch, Some(8));
    assert!(found.leads_to(ip("192.0.2.8")));
}

#[tokio::test]
async fn a_key_that_is_not_the_servers_is_called_by_its_error() {
    let bind = Bind::start();
    let dns = bind.with_key(key("nobody", TsigAlgorithm::HmacSha256, SECRET));
    let said = problem(&dns).await.to_string();
    assert!(
        said.starts_with("BADKEY: it knows no TSIG key named nobody"),
        "{said}"
    );

    let dns = bind.with_key(key("hanse", TsigAlgorithm::HmacSha512, SECRET));
    let said = problem(&dns).await.to_string();
    assert!(said.contains("hmac-sha512"), "{said}");

    let dns = bind.with_key(key("hanse", TsigAlgorithm::HmacSha256, OTHER_SECRET));
    let said = problem(&dns).await.to_string();
    assert!(
        said.starts_with("BADSIG: its TSIG key hanse has another secret"),
        "{said}"
    );
    assert!(!said.contains(OTHER_SECRET));

    let dns = bind.with_key(key("reader", TsigAlgorithm::HmacSha256, SECRET));
    let said = problem(&dns).await.to_string();
    assert!(said.starts_with("REFUSED: Permit the key"), "{said}");
}

#[tokio::test]
async fn clocks_that_are_apart_are_told_by_how_much() {
    let bind = Bind::start();
    let system = Clock::system();
    for skew_s in [-3600i64, 3600] {
        let system = system.clone();
        let clock = Clock::new(move || system.now_unix_s().saturating_add_signed(skew_s));
        let dns = Dns::try_new(bind.config("app"), clock).unwrap();
        match problem_of_lead(&dns).await {
            DnsProblem::BadTime { apart_s, .. } => assert!((3590..3610).contains(&apart_s)),
            other => panic!("{other}"),
        }
    }
}

async fn problem_of_lead(dns: &Dns) -> DnsProblem {
    match lead(dns, ip("192.0.2.3"), 3).await {
        Err(RedirectError::Dns { problem, .. }) => problem,
        result => panic!("{result:?}"),
    }
}

#[tokio::test]
async fn a_zone_that_is_not_the_servers_is_told() {
    let bind = Bind::start();
    let elsewhere = |zone: &str, record: &str| {
        let config = DnsConfig {
            zone: zone.parse().unwrap(),
            record: record.parse().unwrap(),
            ..bind.config("app")
        };
        Dns::try_new(config, Clock::system()).unwrap()
    };
    // It has no such zone.
    let said = problem(&elsewhere("example.net", "app.example.net")).await;
    assert!(
        matches!(
            &said,
            DnsProblem::Lame {
                code: "REFUSED",
                ..
            }
        ),
        "{said}"
    );
    // It has a part of it only: the record can be read, and the zone isn't its own.
    let said = problem(&elsewhere("org", "app.example.org")).await;
    assert!(matches!(&said, DnsProblem::NotAuth { .. }), "{said}");
    // It has it, and lets nobody change it.
    let said = problem(&elsewhere("frozen.example", "app.frozen.example")).await;
    assert!(matches!(&said, DnsProblem::Refused { .. }), "{said}");
}

#[tokio::test]
async fn what_is_not_ours_to_lead_is_left_alone() {
    let bind = Bind::start();
    let error = lead(&bind.dns("alias"), ip("192.0.2.3"), 3).await;
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("alias.example.org has a CNAME record"),
        "{said}"
    );
    for (record, part) in [
        ("foreign", "v=spf1"),
        ("two", "epoch=1"),
        ("split", "epoch"),
    ] {
        let dns = bind.dns(record);
        let said = lead(&dns, ip("192.0.2.3"), 3)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            said.contains(&format!("_hanse.{record}.example.org")),
            "{said}"
        );
        assert!(said.contains(part), "{said}");
        assert_eq!(check(&dns).await.unwrap_err().to_string(), said);
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_called_unreachable() {
    let mut bind = Bind::start();
    bind.peer.stop();
    let error = lead(&bind.dns("app"), ip("192.0.2.3"), 3)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RedirectError::Unreachable { .. }),
        "{error}"
    );
}
