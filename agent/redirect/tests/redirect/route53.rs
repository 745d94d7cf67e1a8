//! Route 53 as its reference describes it: a batch takes place whole or not at all, a DELETE has to
//! name exactly what is there, a CREATE needs a free place. moto is laxer: it takes a DELETE of any
//! value that was ever there, and so no race can be shown on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hanse_redirect::{
    AwsCredentials, Clock, Http, RedirectError, Route53, Route53Config, Route53Problem, Secret,
    Spread, check, lead,
};
use roxmltree::{Document, Node};

use super::bind::ip;
use super::race;
use super::web::{Reply, Request, serve};

type Sets = BTreeMap<(String, String), (String, Vec<String>)>;

/// A hosted zone.
#[derive(Clone, Default)]
struct HostedZone {
    sets: Arc<Mutex<Sets>>,
    /// Answers that come before the zone's own, latest first.
    before: Arc<Mutex<Vec<Reply>>>,
    /// More XML in each list.
    foreign: Arc<Mutex<String>>,
}

impl HostedZone {
    fn answer(&self, request: &Request) -> Reply {
        if let Some(reply) = self.before.lock().unwrap().pop() {
            return reply;
        }
        assert!(
            request
                .header("authorization")
                .starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
        );
        if request.method == "GET" && request.target.contains("/change/") {
            return Reply::Whole(200, "", info("INSYNC"));
        }
        if request.method == "GET" {
            return Reply::Whole(200, "", self.list());
        }
        match self.apply(&request.body) {
            Ok(()) => Reply::Whole(200, "", info("PENDING")),
            Err(message) => refusal(400, "InvalidChangeBatch", &message),
        }
    }

    fn list(&self) -> String {
        let mut list = self.foreign.lock().unwrap().clone();
        for ((name, kind), (ttl, values)) in &*self.sets.lock().unwrap() {
            let values: String = values
                .iter()
                .map(|value| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>"))
                .collect();
            list += &format!(
                "<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL>\
                 <ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>"
            );
        }
        format!(
            "<ListResourceRecordSetsResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ResourceRecordSets>{list}</ResourceRecordSets></ListResourceRecordSetsResponse>"
        )
    }

    fn apply(&self, batch: &str) -> Result<(), String> {
        let document = Document::parse(batch).unwrap();
        let mut sets = self.sets.lock().unwrap();
        let mut after = sets.clone();
        for change in document
            .descendants()
            .filter(|node| node.has_tag_name_of("Change"))
        {
            let key = (change.text_of("Name"), change.text_of("Type"));
            let values = change
                .descendants()
                .filter(|node| node.has_tag_name_of("Value"));
            let values = values
                .map(|value| value.text().unwrap_or("").to_owned())
                .collect();
            let set = (change.text_of("TTL"), values);
            match change.text_of("Action").as_str() {
                "DELETE" if after.get(&key) == Some(&set) => drop(after.remove(&key)),
                "DELETE" => return Err(format!("Tried to delete {key:?} but it is other")),
                "CREATE" if !after.contains_key(&key) => drop(after.insert(key, set)),
                "CREATE" => return Err(format!("Tried to create {key:?} but it already exists")),
                action => panic!("{action} knows no prerequisite"),
            }
        }
        *sets = after;
        Ok(())
    }

    fn put(&self, name: &str, kind: &str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let key = (format!("{name}.example.org."), kind.to_owned());
        let mut sets = self.sets.lock().unwrap();
        sets.insert(key, ("60".to_owned(), values));
    }

    fn serve(&self) -> String {
        let zone = self.clone();
        serve(move |request| zone.answer(&request))
    }
}

trait Xml {
    fn has_tag_name_of(&self, name: &str) -> bool;
    fn text_of(&self, name: &str) -> String;
}

impl Xml for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }

    fn text_of(&self, name: &str) -> String {
        let found = self.descendants().find(|node| node.has_tag_name_of(name));
        found.and_then(|node| node.text()).unwrap_or("").to_owned()
    }
}

fn info(status: &str) -> String {
    format!(
        "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id>\
         <Status>{status}</Status></ChangeInfo></ChangeResourceRecordSetsResponse>"
    )
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let message = message.replace('"', "'");
    let body = format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    Reply::Whole(status, "", body)
}

pub(crate) fn route53(address: &str, zone: &str, record: &str, in_sync: bool) -> Route53 {
    let config = Route53Config {
        hosted_zone: zone.to_owned(),
        record: format!("{record}.example.org").parse().unwrap(),
        ttl_s: 20,
        credentials: AwsCredentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
        },
        endpoint: Some(format!("http://{address}").parse().unwrap()),
        region: None,
        timeout: Duration::from_secs(30),
        in_sync: in_sync.then(|| Duration::from_secs(60)),
    };
    Route53::try_new(config, Http::system().unwrap(), Clock::system()).unwrap()
}

#[tokio::test]
async fn a_record_is_led_and_found_there() {
    let zone = HostedZone::default();
    zone.put("app", "A", &["192.0.2.1", "192.0.2.2"]);
    zone.put("app", "AAAA", &["2001:DB8::1"]);
    zone.put("app", "TXT", &["\"v=spf1 &lt;\""]);
    let address = zone.serve();
    let hosted = route53(&address, "/hostedzone/Z1", "app", false);
    assert_eq!(check(&hosted).await.unwrap().epoch, None);
    let led = lead(&hosted, ip("192.0.2.9"), 9).await.unwrap();
    assert_eq!(led.spread, Some(Spread::Pending));
    assert_eq!(led.before, ["192.0.2.1", "192.0.2.2", "2001:DB8::1"]);
    let hosted = route53(&address, "Z1", "app", true);
    let led = lead(&hosted, ip("2001:db8::9"), 10).await.unwrap();
    assert_eq!(led.spread, Some(Spread::InSync));
    assert_eq!(
        lead(&hosted, ip("2001:db8::9"), 10).await.unwrap().spread,
        None
    );
    let found = check(&hosted).await.unwrap();
    assert!(
        found.leads_to(ip("2001:db8::9")) && found.epoch == Some(10),
        "{found:?}"
    );
    let sets = zone.sets.lock().unwrap();
    let kinds: Vec<_> = sets
        .keys()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    let expected = [
        "_hanse.app.example.org. TXT",
        "app.example.org. AAAA",
        "app.example.org. TXT",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn of_two_writers_in_any_order_the_later_epoch_stays() {
    let address = HostedZone::default().serve();
    for (number, order) in race::orders().into_iter().enumerate() {
        let hosted = route53(&address, "Z1", &format!("race{number}"), false);
        race::run(&hosted, &order).await;
    }
}

#[tokio::test]
async fn what_is_not_ours_to_lead_is_left_alone() {
    let zone = HostedZone::default();
    let address = zone.serve();
    let set = |inner: &str| {
        format!("<ResourceRecordSet><Name>app.example.org.</Name>{inner}</ResourceRecordSet>")
    };
    for (foreign, part) in [
        ("<Type>CNAME</Type><TTL>1</TTL>", "a CNAME record"),
        ("<Type>A</Type><AliasTarget/>", "an alias record"),
        (
            "<Type>A</Type><SetIdentifier>x</SetIdentifier>",
            "a routing policy",
        ),
    ] {
        *zone.foreign.lock().unwrap() = set(foreign);
        let hosted = route53(&address, "Z1", "app", false);
        let error = lead(&hosted, ip("192.0.2.9"), 9).await.unwrap_err();
        let is_occupied = matches!(error, RedirectError::Occupied { .. });
        assert!(is_occupied && error.to_string().contains(part), "{error}");
    }
    for text in [
        "\"epoch=1\" \"2\"",
        "epoch=1",
        "\"v=spf1\"",
        "\"epoch=\\061\"",
    ] {
        zone.put("_hanse.other", "TXT", &[text]);
        let hosted = route53(&address, "Z1", "other", false);
        let error = lead(&hosted, ip("192.0.2.9"), 9).await.unwrap_err();
        assert!(matches!(error, RedirectError::Mark { .. }), "{error}");
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let table = [
        (403, "AccessDenied", "route53:ChangeResourceRecordSets"),
        (403, "InvalidClientTokenId", "access key"),
        (403, "SignatureDoesNotMatch", "access key"),
        (404, "NoSuchHostedZone", "list-hosted-zones"),
        (400, "RequestExpired", "NTP"),
        (400, "Something", "Something (HTTP 400)"),
    ];
    for (status, code, part) in table {
        let zone = HostedZone::default();
        let hosted = route53(&zone.serve(), "Z1", "app", false);
        let reply = refusal(status, code, "no");
        zone.before.lock().unwrap().push(reply);
        let error = lead(&hosted, ip("192.0.2.9"), 9).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(matches!(error, RedirectError::Route53 { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_check_tells_that_changes_are_forbidden() {
    let address = serve(|request| match request.method.as_str() {
        "GET" => Reply::Whole(200, "", HostedZone::default().list()),
        _ => refusal(403, "AccessDenied", "no"),
    });
    let error = check(&route53(&address, "Z1", "app", false))
        .await
        .unwrap_err();
    let RedirectError::Route53 { problem, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        matches!(problem, Route53Problem::Denied { .. }),
        "{problem}"
    );
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let long = format!(
        "HTTP/1.1 200 x\r\ncontent-length: 9999999\r\n\r\n{}",
        "x".repeat(2 << 20)
    );
    let bytes = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
    let table = [
        (bytes(""), "did not answer whole"),
        (
            bytes("HTTP/1.1 200 x\r\ncontent-length: 99\r\n\r\n<List"),
            "did not answer whole",
        ),
        (bytes("SSH-2.0\r\n\r\n"), "did not answer whole"),
        (bytes(&long), "too long"),
        (Reply::Whole(200, "", "<html/>".to_owned()), "is no list"),
        (Reply::Whole(200, "", "no".to_owned()), "no XML"),
        (
            Reply::Whole(
                200,
                "",
                "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".to_owned(),
            ),
            "no XML",
        ),
    ];
    for (reply, part) in table {
        let zone = HostedZone::default();
        let hosted = route53(&zone.serve(), "Z1", "app", false);
        zone.before.lock().unwrap().push(reply);
        let said = lead(&hosted, ip("192.0.2.9"), 9)
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_busy_route53_is_asked_again() {
    let zone = HostedZone::default();
    let hosted = route53(&zone.serve(), "Z1", "app", false);
    let busy = || refusal(400, "Throttling", "Rate exceeded");
    zone.before
        .lock()
        .unwrap()
        .extend([busy(), refusal(503, "ServiceUnavailable", "")]);
    lead(&hosted, ip("192.0.2.9"), 9).await.unwrap();
    assert!(check(&hosted).await.unwrap().leads_to(ip("192.0.2.9")));
}
