use super::*;
use crate::object::dr_fencing::{Fingerprint, GuestKind};
use crate::testing::dr_plan;

fn proxmox() -> Proxmox {
    Proxmox {
        urls: vec!["https://pve1.example.org:8006".to_owned()],
        node: "pve1".to_owned(),
        vmid: 100,
        kind: GuestKind::Vm,
        name: Some("db-1".to_owned()),
        token_id: "hanse@pve!fence".to_owned(),
        token_secret_version: 1,
        fingerprints: vec![Fingerprint::from([7; 32])],
        ca: None,
        timeout: None,
    }
}

fn ec2() -> Ec2 {
    Ec2 {
        instance_id: "i-0123456789abcdef0".to_owned(),
        region: "eu-central-1".to_owned(),
        name: None,
        access_key_id: "AKIAEXAMPLE".to_owned(),
        secret_access_key_version: 1,
        endpoint: None,
        timeout: Some(Span::from_secs(90)),
    }
}

/// The paths of what is wrong with a plan whose sites are fenced so.
fn told<const N: usize>(sites: [(&str, Fencing); N]) -> Vec<String> {
    let mut plan = dr_plan();
    plan.fencing = sites.map(|(site, how)| (site.parse().unwrap(), how)).into();
    let inventory = Inventory::new("test".parse().unwrap());
    let mut findings = Vec::new();
    check(&inventory, &plan, &mut findings);
    let paths = findings.iter().map(|finding| finding.path.to_string());
    paths.collect()
}

fn by_proxmox(change: impl FnOnce(&mut Proxmox)) -> Vec<String> {
    let mut machine = proxmox();
    change(&mut machine);
    told([("a", Fencing::Proxmox(machine))])
}

fn by_ec2(change: impl FnOnce(&mut Ec2)) -> Vec<String> {
    let mut instance = ec2();
    change(&mut instance);
    told([("a", Fencing::Ec2(instance))])
}

fn at(method: &str, attribute: &str) -> Vec<String> {
    vec![format!("fencing[\"a\"].{method}{attribute}")]
}

#[test]
fn sound_fences_have_nothing_to_say() {
    assert_eq!(by_proxmox(|_| ()), [""; 0]);
    assert_eq!(by_ec2(|_| ()), [""; 0]);
}

#[test]
fn a_command_names_a_program() {
    let command = |words: &[&str], timeout| {
        let command = words.iter().map(ToString::to_string).collect();
        told([("a", Fencing::Command { command, timeout })])
    };
    let time = Span::from_secs(30);
    assert_eq!(command(&["fence", "{node}"], time.clone()), [""; 0]);
    assert_eq!(command(&[], time.clone()), at("", "command"));
    assert_eq!(command(&["", "{node}"], time.clone()), at("", "command"));
    assert_eq!(command(&["fence", "\0"], time), at("", "command"));
    assert_eq!(command(&["fence"], Span::from_secs(0)), at("", "timeout"));
}

#[test]
fn each_fault_of_a_machine_is_found_at_its_own_attribute() {
    assert_eq!(by_proxmox(|it| it.urls.clear()), at("proxmox.", "urls"));
    for url in ["http://pve1:8006", "https://", "pve1:8006"] {
        let one = by_proxmox(|it| it.urls = vec![url.to_owned()]);
        assert_eq!(one, at("proxmox.", "urls[0]"), "{url}");
    }
    for node in ["", "pve/1", "pve?"] {
        let one = by_proxmox(|it| it.node = node.to_owned());
        assert_eq!(one, at("proxmox.", "node"), "{node}");
    }
    assert_eq!(by_proxmox(|it| it.vmid = 99), at("proxmox.", "vmid"));
    for id in [
        "",
        "hanse@pve",
        "hanse!fence",
        "@pve!fence",
        "a@b!c=d",
        "a@b!c\n",
    ] {
        let one = by_proxmox(|it| it.token_id = id.to_owned());
        assert_eq!(one, at("proxmox.", "token_id"), "{id}");
    }
    let pem = || Some("-----BEGIN CERTIFICATE-----".to_owned());
    assert_eq!(by_proxmox(|it| it.ca = pem()), at("proxmox.", "ca"));
    let not_pem = by_proxmox(|it| {
        it.fingerprints.clear();
        it.ca = Some("pve-root-ca.pem".to_owned());
    });
    assert_eq!(not_pem, at("proxmox.", "ca"));
    let none = by_proxmox(|it| it.name = Some(String::new()));
    assert_eq!(none, at("proxmox.", "name"));
    let none = by_proxmox(|it| it.token_secret_version = 0);
    assert_eq!(none, at("proxmox.", "token_secret_wo_version"));
    let long = by_proxmox(|it| it.timeout = Some("2h".parse().unwrap()));
    assert_eq!(long, at("", "timeout"));
}

#[test]
fn each_fault_of_an_instance_is_found_at_its_own_attribute() {
    for id in ["", "i-", "0123456789abcdef0", "i-0123456789abcdeg0"] {
        let one = by_ec2(|it| it.instance_id = id.to_owned());
        assert_eq!(one, at("ec2.", "instance_id"), "{id}");
    }
    for region in ["", "EU", "eu/central"] {
        let one = by_ec2(|it| it.region = region.to_owned());
        assert_eq!(one, at("ec2.", "region"), "{region}");
    }
    let none = by_ec2(|it| it.access_key_id.clear());
    assert_eq!(none, at("ec2.", "access_key_id"));
    let none = by_ec2(|it| it.secret_access_key_version = 0);
    assert_eq!(none, at("ec2.", "secret_access_key_wo_version"));
    for endpoint in ["ec2", "http://ec2.eu-central-1.amazonaws.com"] {
        let one = by_ec2(|it| it.endpoint = Some(endpoint.to_owned()));
        assert_eq!(one, at("ec2.", "endpoint"), "{endpoint}");
    }
    let own = by_ec2(|it| it.endpoint = Some("http://127.0.0.1:5000".to_owned()));
    assert!(own.is_empty(), "{own:?}");
    let zero = by_ec2(|it| it.timeout = Some(Span::from_secs(0)));
    assert_eq!(zero, at("", "timeout"));
}

#[test]
fn no_fence_stops_the_machine_of_another_site() {
    let both = |other| {
        told([
            ("a", Fencing::Proxmox(proxmox())),
            ("b", Fencing::Proxmox(other)),
        ])
    };
    assert_eq!(both(proxmox()), ["fencing[\"b\"]"]);
    let mut other = proxmox();
    other.vmid = 101;
    assert_eq!(both(other), [""; 0]);
    let same = told([("a", Fencing::Ec2(ec2())), ("b", Fencing::Ec2(ec2()))]);
    assert_eq!(same, ["fencing[\"b\"]"]);
    let stray = told([("x", Fencing::Ec2(ec2()))]);
    assert_eq!(stray, ["fencing[\"x\"]"]);
}

#[test]
fn machines_in_a_cloud_that_are_stopped_from_outside_may_be_paused() {
    let findings = |fencing: &[(&str, Fencing)]| {
        let mut plan = dr_plan();
        let fencing = fencing.iter();
        let fencing = fencing.map(|(site, how)| (site.parse().unwrap(), how.clone()));
        plan.fencing = fencing.collect();
        let mut inventory = Inventory::new("test".parse().unwrap());
        let mut site = crate::testing::cluster("a");
        site.platform = Platform::Aws;
        inventory.put(crate::object::Object::MemberCluster(site), 1);
        let mut findings = Vec::new();
        check(&inventory, &plan, &mut findings);
        findings.len()
    };
    assert_eq!(findings(&[]), 1);
    assert_eq!(findings(&[("a", Fencing::Watchdog)]), 1);
    assert_eq!(findings(&[("b", Fencing::Ec2(ec2()))]), 1);
    assert_eq!(findings(&[("a", Fencing::Ec2(ec2()))]), 0);
    assert_eq!(findings(&[("a", Fencing::Proxmox(proxmox()))]), 0);
}

#[test]
fn each_fence_has_a_secret_of_its_own_and_lengthens_what_is_predicted() {
    let mut plan = dr_plan();
    plan.fencing = [
        ("a".parse().unwrap(), Fencing::Proxmox(proxmox())),
        ("b".parse().unwrap(), Fencing::Ec2(ec2())),
        ("c".parse().unwrap(), Fencing::Lease),
    ]
    .into();
    let secrets = plan.secrets().into_iter();
    let named: Vec<_> = secrets
        .map(|(name, path)| {
            let text = name.to_string();
            assert_eq!(text.parse(), Ok(name));
            (text, path.to_string())
        })
        .collect();
    let expected = [
        (
            "plan/orders/fence/a/1",
            "fencing[\"a\"].proxmox.token_secret_wo",
        ),
        (
            "plan/orders/fence/b/1",
            "fencing[\"b\"].ec2.secret_access_key_wo",
        ),
    ];
    let expected = expected.map(|(name, path)| (name.to_owned(), path.to_owned()));
    assert_eq!(named, expected);
    assert_eq!(plan.fences_outside_within(), Some(Duration::from_secs(90)));
    plan.fencing.remove(&"b".parse().unwrap());
    assert_eq!(plan.fences_outside_within(), Some(Duration::from_secs(60)));
    let stored = serde_json::to_string(&plan).unwrap();
    assert!(stored.contains("\"method\":\"proxmox\""), "{stored}");
    assert_eq!(serde_json::from_str::<DrPlan>(&stored).unwrap(), plan);
}
