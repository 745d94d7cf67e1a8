//! Finding what exists: as it comes, no further than wanted, and never as more than a finding when
//! it goes wrong.

use std::sync::atomic::Ordering;

use futures::StreamExt as _;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Empty, Found, ListQuery, ListResource, Model, Provider,
    Registry, Service, async_trait,
};
use wire::list_resource::Event;
use wire::provider_server::Provider as _;

use crate::bench::*;
use crate::provider::{DISK, Disk, DiskModel, Key, Witness};

/// More than any search here should find.
const EVENTS_MAX: usize = 100;

/// Which disks to find. The site also says how the search goes.
#[derive(Model)]
pub(crate) struct DisksConfig {
    #[attribute(optional, validate = lowercase)]
    site: Attr<String>,
}

pub(crate) struct Disks;

#[async_trait]
impl ListResource for Disks {
    type Client = Witness;
    type Config = DisksConfig;
    type Resource = Disk;

    async fn list(
        &self,
        cx: &Cx<Witness>,
        query: ListQuery<DisksConfig>,
        found: &mut Found<DiskModel>,
    ) -> Result<(), Diagnostics> {
        let witness = cx.client()?;
        let site = query.config.site.unwrap_or_default();
        for slot in 0..if site == "endless" { i64::MAX } else { 3 } {
            if site == "warning" && slot == 1 {
                cx.warn("Slow site", "It answered late.");
            }
            let mut disk = disk_in(&site, slot);
            if site == "nameless" {
                disk.slot = Attr::Null;
            }
            if site == "unsettled" {
                disk.size = Attr::Unknown;
            }
            let pushed = found.push(format!("{site} {slot}"), disk).await;
            if pushed.is_err() {
                assert!(found.is_done());
                if site == "endless" && query.limit.is_none() {
                    cx.cancellation().cancelled().await;
                }
                witness.ended.notify_one();
            }
            pushed?;
            witness.pushed.fetch_add(1, Ordering::Relaxed);
        }
        match site.as_str() {
            "failing" => Err(Diagnostic::error("Unable to list disks", "It broke off.").into()),
            "panicking" => panic!("a mistake of the author"),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn each_object_comes_with_its_identity_and_whole_only_where_asked() {
    let bench = Bench::configured().await;
    for include in [false, true] {
        let events = list(&bench, query("north", 0, include)).await;
        assert_eq!(events.len(), 3);
        assert_eq!(events[2].display_name, "north 2");
        let named = identity_of(events[2].identity.as_ref());
        assert_eq!(named, identity("north", 2, Value::Null));
        assert_eq!(events[2].resource_object.is_some(), include);
    }
    let events = list(&bench, query("north", 0, true)).await;
    let object = disk_of(events[0].resource_object.as_ref());
    assert_eq!(object.attribute("site"), &"north".into());
}

#[tokio::test]
async fn a_search_ends_at_the_limit_and_that_is_no_error() {
    let bench = Bench::configured().await;
    let events = list(&bench, query("endless", 5, false)).await;
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|event| event.diagnostic.is_empty()));
    assert_eq!(bench.witness.pushed.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_search_waits_for_a_slow_caller_and_ends_when_it_is_gone() {
    let bench = Bench::configured().await;
    let mut events = start(&bench, query("endless", 0, false)).await;
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first.display_name, "endless 0");
    // One thread: whatever can go on has gone on after that.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let pushed = bench.witness.pushed.load(Ordering::Relaxed);
    assert!(pushed < 32, "{pushed} objects in memory");
    drop(events);
    bench.witness.ended.notified().await;
}

#[tokio::test]
async fn what_goes_wrong_comes_after_what_was_found() {
    let bench = Bench::configured().await;
    for (site, summary) in [
        ("failing", "Unable to list disks"),
        ("panicking", "The provider failed in life_disk"),
    ] {
        let events = list(&bench, query(site, 0, false)).await;
        assert_eq!(events.len(), 4, "{site}");
        assert!(events[2].diagnostic.is_empty());
        assert_eq!(errors(&events[3].diagnostic), [summary]);
        assert!(events[3].identity.is_none());
    }
}

#[tokio::test]
async fn a_warning_comes_with_the_next_object() {
    let bench = Bench::configured().await;
    let events = list(&bench, query("warning", 2, false)).await;
    assert_eq!(events.len(), 2);
    assert!(events[0].diagnostic.is_empty());
    assert_eq!(events[1].diagnostic[0].summary, "Slow site");
    assert!(events[1].identity.is_some());
}

#[tokio::test]
async fn an_object_that_terraform_would_refuse_is_an_error_that_names_the_attribute() {
    let bench = Bench::configured().await;
    for (site, summary, name) in [
        ("nameless", "Incomplete identity of life_disk", "slot"),
        ("unsettled", "Incomplete state of life_disk", "size"),
    ] {
        let events = list(&bench, query(site, 0, true)).await;
        let [event] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(only_error(&event.diagnostic), (summary, Some(name)));
    }
}

#[tokio::test]
async fn a_list_block_is_checked_like_any_other() {
    let bench = Bench::configured().await;
    let flag = wire_of(&true.into(), &Type::Bool);
    let validate = async |config, limit, include_resource_object| {
        let request = wire::validate_list_resource_config::Request {
            type_name: DISK.to_owned(),
            config,
            include_resource_object,
            limit,
        };
        let answer = bench
            .service
            .validate_list_resource_config(request.into_request());
        answer.await.unwrap().into_inner().diagnostics
    };
    let limit = wire_of(&Value::Unknown, &Type::Number);
    assert_no_errors(&validate(config("north".into()), limit.clone(), flag.clone()).await);
    assert_no_errors(&validate(config(Value::Unknown), None, None).await);
    assert_no_errors(&validate(None, None, None).await);
    let found = validate(config("North".into()), None, None).await;
    assert_eq!(only_error(&found), ("Invalid value of site", Some("site")));
    let garbage = wire_of(&Value::List(Vec::new()), &Type::list(Type::Bool));
    let north = config("north".into());
    for found in [
        validate(north.clone(), garbage.clone(), flag.clone()).await,
        validate(north, limit.clone(), garbage.clone()).await,
        validate(garbage, limit, flag).await,
    ] {
        assert_eq!(errors(&found), ["Unable to decode a value from Terraform"]);
    }
}

#[tokio::test]
async fn hostile_searches_are_findings() {
    let bench = Bench::configured().await;
    let garbage = Some(wire::DynamicValue {
        msgpack: vec![0xdd; 64],
        json: Vec::new(),
    });
    for (type_name, config, summary) in [
        (DISK, garbage, "Unable to decode a value from Terraform"),
        (DISK, config(Value::Unknown), "Unable to list life_disk"),
        ("life_key", None, "No such list resource"),
    ] {
        let request = wire::list_resource::Request {
            type_name: type_name.to_owned(),
            config,
            include_resource_object: true,
            limit: i64::MIN,
        };
        let events = list(&bench, request).await;
        assert_eq!(events.len(), 1);
        assert_eq!(errors(&events[0].diagnostic), [summary]);
    }
}

#[tokio::test]
async fn a_list_resource_is_in_the_schema_and_in_the_metadata() {
    let bench = Bench::configured().await;
    let request = wire::get_provider_schema::Request::default();
    let schema = bench.service.get_provider_schema(request.into_request());
    let schema = schema.await.unwrap().into_inner();
    assert_no_errors(&schema.diagnostics);
    assert!(schema.list_resource_schemas[DISK].block.is_some());
    let request = wire::get_metadata::Request::default();
    let metadata = bench.service.get_metadata(request.into_request());
    let metadata = metadata.await.unwrap().into_inner();
    assert_eq!(metadata.list_resources[0].type_name, DISK);
}

#[tokio::test]
async fn an_author_can_test_a_search_without_terraform() {
    let cx = Cx::for_test(Some(Witness::default().into()));
    let mut found = Found::for_test(Some(2));
    let query = ListQuery {
        config: DisksConfig {
            site: "north".into(),
        },
        limit: Some(2),
        include_resource: false,
    };
    let _ = Disks.list(&cx, query, &mut found).await;
    let names: Vec<String> = found.into_vec().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["north 0", "north 1"]);
}

/// A provider whose author forgot what a search needs.
struct Forgetful;

struct Keys;

#[async_trait]
impl ListResource for Keys {
    type Client = Witness;
    type Config = Empty;
    type Resource = Key;

    async fn list(
        &self,
        _: &Cx<Witness>,
        _: ListQuery<Empty>,
        _: &mut Found<<Key as terraform_plugin::Resource>::Model>,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }
}

#[async_trait]
impl Provider for Forgetful {
    type Config = Empty;
    type Client = Witness;
    const ADDRESS: &'static str = "registry.terraform.io/example/life";

    fn register(&self, registry: &mut Registry<Witness>) {
        registry.resource(Disk);
        registry
            .list_resource(Disks)
            .list_resource(Disks)
            .list_resource(Keys);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<Witness, Diagnostics> {
        Ok(Witness::default())
    }
}

#[tokio::test]
async fn a_search_without_its_resource_or_told_twice_is_a_mistake_that_is_told() {
    let service = Service::new(Forgetful);
    let request = wire::get_provider_schema::Request::default();
    let schema = service.get_provider_schema(request.into_request());
    let found = schema.await.unwrap().into_inner().diagnostics;
    let details: Vec<&str> = found.iter().map(|of| of.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "The list resource life_disk comes twice.",
            "There is a search for the resource life_key, which isn't registered."
        ]
    );
}

fn disk_in(site: &str, slot: i64) -> DiskModel {
    DiskModel {
        site: site.into(),
        slot: slot.into(),
        ..DiskModel::default()
    }
}

fn config(site: Value) -> Option<wire::DynamicValue> {
    let of = Type::object([("site", Type::String)]);
    wire_of(&Value::object([("site", site)]), &of)
}

fn query(site: &str, limit: i64, include: bool) -> wire::list_resource::Request {
    wire::list_resource::Request {
        type_name: DISK.to_owned(),
        config: config(site.into()),
        include_resource_object: include,
        limit,
    }
}

async fn start(
    bench: &Bench,
    request: wire::list_resource::Request,
) -> impl futures::Stream<Item = Result<Event, tonic::Status>> + Unpin + use<> {
    let answer = bench.service.list_resource(request.into_request()).await;
    answer.unwrap().into_inner()
}

async fn list(bench: &Bench, request: wire::list_resource::Request) -> Vec<Event> {
    let events = start(bench, request).await;
    events.map(Result::unwrap).take(EVENTS_MAX).collect().await
}

fn lowercase(site: &str) -> Result<(), &'static str> {
    if site.chars().any(char::is_uppercase) {
        Err("A site is written in small letters.")
    } else {
        Ok(())
    }
}
