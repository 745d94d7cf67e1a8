//! A DR plan's record on a real DNS server: a key that is wrong is known before it is needed, and the
//! right one leads clients to the primary.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use hanse_client::proto;
use hanse_core::duration::Span;
use hanse_core::object::dr_redirect::{Dns, TsigAlgorithm};
use hanse_core::object::{DrPlan, Object};
use hanse_redirect::{Clock, DnsConfig, TsigKey, check};

use super::harness::free_address;
use super::plans::{PATIENCE, copy, orders, secret, two_sites, until};

const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMsIG5vIGxlc3M=";
const OTHER_SECRET: &str = "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyE=";

/// BIND 9 with a zone that a key may change.
struct Bind {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Bind {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_address().port();
        let zone = "$TTL 60\n@ SOA ns hostmaster 1 60 60 600 60\n@ NS ns\nns A 127.0.0.1\n";
        std::fs::write(folder.path().join("zone"), zone).unwrap();
        let configuration = format!(
            r#"options {{
                directory "{0}"; pid-file none; session-keyfile none; lock-file none;
                listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
                recursion no; dnssec-validation no; notify no;
            }};
            controls {{ }};
            key hanse {{ algorithm hmac-sha256; secret "{SECRET}"; }};
            zone example.org {{
                type primary; file "zone";
                update-policy {{ grant hanse subdomain example.org. A AAAA TXT; }};
            }};"#,
            folder.path().display()
        );
        let file = folder.path().join("named.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut child = Command::new("/usr/sbin/named")
            .args(["-g", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "unable to start /usr/sbin/named ({error}): run `sudo apt-get install \
                     --no-install-recommends bind9`"
                )
            });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("all zones loaded")));
        // It goes on being read, so that the program never waits for it.
        std::thread::spawn(move || lines.count());
        assert!(is_ready, "named does not start");
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    fn plan(&self, tsig_secret_version: u64) -> DrPlan {
        let dns = Dns {
            server: format!("127.0.0.1:{}", self.port).parse().unwrap(),
            zone: "example.org".parse().unwrap(),
            record: "app.example.org".parse().unwrap(),
            ttl: Span::from_secs(20),
            tsig_key_name: "hanse".parse().unwrap(),
            algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret_version,
            addresses: [("home".parse().unwrap(), "192.0.2.1".parse().unwrap())].into(),
        };
        DrPlan {
            dns: Some(dns),
            ..orders()
        }
    }

    /// Where the record leads, by its own word.
    async fn leads_to(&self) -> Vec<String> {
        let config = DnsConfig {
            server: format!("127.0.0.1:{}", self.port),
            zone: "example.org".parse().unwrap(),
            record: "app.example.org".parse().unwrap(),
            ttl_s: 20,
            key: TsigKey::try_new(
                "hanse".parse().unwrap(),
                hanse_redirect::TsigAlgorithm::HmacSha256,
                SECRET,
            )
            .unwrap(),
            timeout: PATIENCE,
        };
        let dns = hanse_redirect::Dns::try_new(config, Clock::system()).unwrap();
        let found = check(&dns).await.unwrap();
        found.sight.addresses().map(str::to_owned).collect()
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tsig(value: &str) -> Vec<proto::PlanSecretValue> {
    secret("tsig", value)
}

fn trouble(status: &proto::PlanStatus) -> &str {
    status
        .redirects
        .first()
        .map_or("", |it| it.trouble.as_str())
}

#[tokio::test]
async fn a_wrong_key_is_known_before_it_is_needed_and_the_right_one_leads_clients_to_the_primary() {
    let bind = Bind::start();
    let (federation, admin) = two_sites().await;
    let (_folder, credentials) = federation.join("home", "db-home").await;
    let node = federation.client(&credentials).await;
    let plan = |version| Object::DrPlan(Box::new(bind.plan(version)));
    let (first, second) = (plan(1), plan(2));

    let without = admin.apply(&first, 0, "without").await.unwrap_err();
    assert!(
        without.to_string().contains("dns.tsig_secret_wo"),
        "{without}"
    );
    let not_base64 = admin.apply_with(&first, tsig("much too short"), 0, "no");
    let not_base64 = not_base64.await.unwrap_err().to_string();
    assert!(not_base64.contains("tsig-keygen"), "{not_base64}");
    assert!(!not_base64.contains("much too short"), "{not_base64}");

    let wrong = admin.apply_with(&first, tsig(OTHER_SECRET), 0, "wrong");
    let wrong = wrong.await.unwrap();
    let told = |status: &proto::PlanStatus| {
        !trouble(status).is_empty() && status.waits_for.contains("data")
    };
    let status = until(&admin, told).await;
    assert!(trouble(&status).contains("hanse"), "{}", trouble(&status));
    assert_eq!(status.waits_for, "`home` has no data yet");

    let revision = wrong.stored.revision;
    let again = admin.apply(&second, revision, "again").await.unwrap_err();
    assert!(again.to_string().contains("dns.tsig_secret_wo"), "{again}");
    let right = admin.apply_with(&second, tsig(SECRET), revision, "right");
    let right = right.await.unwrap();
    let mut kept = bind.plan(2);
    kept.accept_pause_risk = true;
    let kept = Object::DrPlan(Box::new(kept));
    admin
        .apply(&kept, right.stored.revision, "kept")
        .await
        .unwrap();
    let secrets = federation.voter.replica.read();
    let names: Vec<_> = secrets.secrets().names().map(ToString::to_string).collect();
    assert!(
        names.contains(&"plan/orders/tsig/2".to_owned()),
        "{names:?}"
    );
    assert!(
        !names.contains(&"plan/orders/tsig/1".to_owned()),
        "{names:?}"
    );
    let state = serde_json::to_string(&*secrets).unwrap();
    assert!(!state.contains(SECRET) && !state.contains(OTHER_SECRET));
    drop(secrets);

    node.report_copy(copy("stopped", 0), None, 0).await.unwrap();
    let promoted = until(&admin, |status| status.fence_epoch > 0).await;
    assert_eq!(bind.leads_to().await, Vec::<String>::new());
    let leads = copy("primary", promoted.fence_epoch);
    node.report_copy(leads, None, 0).await.unwrap();
    let led = until(&admin, |status| status.past.is_some()).await;
    assert_eq!(led.redirects[0].leads_to, "192.0.2.1");
    assert_eq!(bind.leads_to().await, ["192.0.2.1"]);
    assert_eq!(led.predicted.unwrap().redirect_ms, 20_500);
}
