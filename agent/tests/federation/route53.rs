//! A DR plan's record in a hosted zone of Route 53: a run leads clients to the primary, under its epoch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hanse_core::duration::Span;
use hanse_core::object::dr_redirect::Route53;
use hanse_core::object::{DrPlan, Object};

use super::plans::{orders, secret, start, two_sites};
use super::web::{Reply, Request, serve};

/// What a hosted zone has: the TTL and the values of each name and type, as they came.
#[derive(Default)]
struct HostedZone {
    sets: BTreeMap<(String, String), (String, Vec<String>)>,
}

impl HostedZone {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.method == "GET" {
            return Reply::Whole(200, "", self.list());
        }
        match self.apply(&request.body) {
            true => {
                let info = "<ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo>";
                let name = "ChangeResourceRecordSetsResponse";
                Reply::Whole(200, "", format!("<{name}>{info}</{name}>"))
            }
            false => {
                let error = "<Error><Code>InvalidChangeBatch</Code><Message>no</Message></Error>";
                Reply::Whole(400, "", format!("<ErrorResponse>{error}</ErrorResponse>"))
            }
        }
    }

    fn list(&self) -> String {
        let set = |((name, kind), (ttl, values)): (&(String, String), &(String, Vec<String>))| {
            let values: String = values
                .iter()
                .map(|value| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>"))
                .collect();
            format!(
                "<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL>\
                 <ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>"
            )
        };
        let sets: String = self.sets.iter().map(set).collect();
        let name = "ListResourceRecordSetsResponse";
        format!("<{name}><ResourceRecordSets>{sets}</ResourceRecordSets></{name}>")
    }

    /// Does a batch whole or not at all; yields whether it did.
    fn apply(&mut self, batch: &str) -> bool {
        let mut after = self.sets.clone();
        for change in within(batch, "Change") {
            let one = |tag| within(change, tag).remove(0).to_owned();
            let key = (one("Name"), one("Type"));
            let values = within(change, "Value").into_iter();
            let values: Vec<String> = values.map(str::to_owned).collect();
            let set = (one("TTL"), values);
            let is_done = match one("Action").as_str() {
                "DELETE" if after.get(&key) == Some(&set) => after.remove(&key).is_some(),
                "CREATE" if !after.contains_key(&key) => after.insert(key, set).is_none(),
                _ => false,
            };
            if !is_done {
                return false;
            }
        }
        self.sets = after;
        true
    }
}

/// What is within each element of that name.
fn within<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let elements = xml.split(begin.as_str()).skip(1);
    elements
        .filter_map(|element| element.split(end.as_str()).next())
        .collect()
}

#[tokio::test]
async fn a_run_leads_clients_to_the_primary_by_route_53() {
    let zone = Arc::new(Mutex::new(HostedZone::default()));
    let address = serve({
        let zone = zone.clone();
        move |request| zone.lock().unwrap().answer(&request)
    });
    let (federation, admin) = two_sites().await;
    let (_folder, credentials) = federation.join("home", "db-home").await;
    let primary = federation.client(&credentials).await;
    let route53 = Route53 {
        zone_id: "Z0123456789ABC".to_owned(),
        record: "app.example.org".parse().unwrap(),
        ttl: Span::from_secs(20),
        access_key_id: "AKID".to_owned(),
        secret_access_key_version: 1,
        region: None,
        endpoint: Some(format!("http://{address}")),
        addresses: [("home".parse().unwrap(), "192.0.2.1".parse().unwrap())].into(),
    };
    let plan = Object::DrPlan(Box::new(DrPlan {
        route53: Some(route53),
        ..orders()
    }));
    let secret = secret("route53", "the secret of an access key");
    admin.apply_with(&plan, secret, 0, "plan").await.unwrap();
    let led = start(&admin, &primary).await;

    let redirect = &led.redirects[0];
    let told = (redirect.way.as_str(), redirect.leads_to.as_str());
    assert_eq!(told, ("route53", "192.0.2.1"), "{redirect:?}");
    let mark = format!("&quot;epoch={}&quot;", led.fence_epoch);
    let expected = [
        ("_hanse.app.example.org.", "TXT", mark.as_str()),
        ("app.example.org.", "A", "192.0.2.1"),
    ];
    let expected = expected.map(|(name, kind, value)| {
        let key = (name.to_owned(), kind.to_owned());
        (key, ("20".to_owned(), vec![value.to_owned()]))
    });
    assert_eq!(zone.lock().unwrap().sets, BTreeMap::from(expected));
}
