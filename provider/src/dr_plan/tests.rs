//! What a declaration comes to, what a plan says of it, and what it warns about.

use super::*;
use crate::declared::model;
use crate::dr_drill::DrillCheckModel;
use crate::dr_fencing::{Ec2Model, ProxmoxModel};
use crate::dr_workload::{CallModel, CommandsModel, DirectoryModel, PostgresqlModel};

/// As Terraform gives it to a create, with what `config` says.
fn planned(config: impl FnOnce(&mut DrPlanModel)) -> DrPlanModel {
    let mut model = DrPlanModel {
        id: Attr::Unknown,
        federation: Attr::from("baltic"),
        name: Attr::from("orders"),
        home: Attr::from("lubeck"),
        standbys: known_list(vec!["hamburg".to_owned()]),
        nodes: Attr::Known(BTreeMap::new()),
        workload: Attr::Known(WorkloadModel {
            postgresql: Attr::Known(PostgresqlModel {
                data_directory: Attr::from("/var/lib/postgresql/15/main"),
                port: Attr::Known(5432),
                bin_directory: Attr::Null,
            }),
            directory: Attr::Null,
            command: Attr::Null,
        }),
        replication: Attr::Null,
        preset: Attr::Null,
        timings: Attr::Null,
        rpo: Attr::Null,
        rto: Attr::Null,
        automatic_failover: Attr::Known(false),
        failback: Attr::from("manual"),
        max_lag_on_failover: Attr::from(LAG_MAX_DEFAULT),
        fencing: Attr::Null,
        accept_pause_risk: Attr::Known(false),
        service_address: Attr::Null,
        dns: Attr::Null,
        route53: Attr::Null,
        hooks: Attr::Null,
        backup: Attr::Null,
        drill: Attr::Null,
        wait_for: Attr::from("proved"),
        active_cluster: Attr::Unknown,
        fence_epoch: Attr::Unknown,
        predicted: Attr::Unknown,
        timeouts: None,
    };
    config(&mut model);
    model
}

/// The plan that the model declares.
pub(crate) fn declared() -> DrPlan {
    planned(|_| ()).plan(&mut Unknowns::default()).unwrap()
}

fn paths(config: impl FnOnce(&mut DrPlanModel)) -> Vec<String> {
    let mut unknowns = Unknowns::default();
    let findings = object(&planned(config), &mut unknowns).err();
    let findings = findings.into_iter().flatten();
    let known = findings.filter(|finding| !unknowns.hide(finding));
    known.map(|finding| finding.path.to_string()).collect()
}

fn everything(model: &mut DrPlanModel) {
    model.nodes = known_map([("lubeck".to_owned(), "lubeck-1".to_owned())].into());
    model.replication = Attr::Known(ReplicationOverride {
        mode: Attr::from("sync"),
        min_in_sync: Attr::Known(1),
    });
    model.timings = Attr::Known(TimingsModel {
        check_interval: Attr::from("1s"),
        failure_threshold: Attr::Known(4),
        lease_ttl: Attr::from("6000ms"),
        stop_budget: Attr::from("1.5s"),
        promotion_timeout: Attr::from("1m"),
    });
    (model.rpo, model.rto) = (Attr::from("0s"), Attr::from("1m30s"));
    model.automatic_failover = Attr::Known(true);
    model.failback = Attr::from("automatic");
    model.max_lag_on_failover = Attr::from("16MiB");
    let fencing = FencingModel {
        method: Attr::from("command"),
        command: known_list(vec!["/usr/local/bin/fence".into(), "{node}".into()]),
        timeout: Attr::from("30s"),
        proxmox: Attr::Null,
        ec2: Attr::Null,
    };
    let by_proxmox = FencingModel {
        method: Attr::from("proxmox"),
        command: known_list(Vec::new()),
        timeout: Attr::Null,
        proxmox: Attr::Known(ProxmoxModel {
            urls: known_list(vec!["https://pve1:8006".into(), "https://pve2:8006".into()]),
            node: Attr::from("pve1"),
            vmid: Attr::Known(104),
            kind: Attr::from("container"),
            name: Attr::from("hamburg-1"),
            token_id: Attr::from("hanse@pve!fence"),
            token_secret_wo: Attr::from("c0ffee"),
            token_secret_wo_version: Attr::Known(3),
            fingerprints: known_list(vec![["AB"; 32].join(":")]),
            ca: Attr::Null,
        }),
        ec2: Attr::Null,
    };
    let by_ec2 = FencingModel {
        method: Attr::from("ec2"),
        command: known_list(Vec::new()),
        timeout: Attr::from("90s"),
        proxmox: Attr::Null,
        ec2: Attr::Known(Ec2Model {
            instance_id: Attr::from("i-0123456789abcdef0"),
            region: Attr::from("eu-central-1"),
            name: Attr::Null,
            access_key_id: Attr::from("AKIA"),
            secret_access_key_wo: Attr::from("wJalr"),
            secret_access_key_wo_version: Attr::Known(1),
            endpoint: Attr::Null,
        }),
    };
    let sites = [
        ("lubeck", fencing),
        ("hamburg", by_proxmox),
        ("visby", by_ec2),
    ];
    model.fencing = Attr::Known(sites.map(|(site, how)| (site.to_owned(), how)).into());
    model.accept_pause_risk = Attr::Known(true);
    model.service_address = Attr::from("10.42.0.200");
    model.dns = Attr::Known(DnsModel {
        server: Attr::from("192.0.2.53:53"),
        zone: Attr::from("example.org"),
        record: Attr::from("app.example.org"),
        ttl: Attr::from("20s"),
        tsig_key_name: Attr::from("hanse"),
        algorithm: Attr::from("hmac-sha512"),
        tsig_secret_wo: Attr::from("c2VjcmV0"),
        tsig_secret_wo_version: Attr::Known(1),
        addresses: known_map([("lubeck".to_owned(), "192.0.2.1".to_owned())].into()),
    });
    model.route53 = Attr::Known(Route53Model {
        zone_id: Attr::from("Z0123456789ABC"),
        record: Attr::from("app.example.org"),
        ttl: Attr::from("30s"),
        access_key_id: Attr::from("AKIA"),
        secret_access_key_wo: Attr::Null,
        secret_access_key_wo_version: Attr::Known(2),
        region: Attr::from("cn-north-1"),
        endpoint: Attr::from("https://route53.amazonaws.com.cn"),
        addresses: Attr::Null,
    });
    let events = ["ended".to_owned()].map(Attr::Known).into_iter();
    let hook = HookModel {
        url: Attr::from("https://hooks.example.org/hanse"),
        secret_wo: Attr::from("a secret that is long enough"),
        secret_wo_version: Attr::Known(1),
        events: Attr::Known(events.collect()),
    };
    model.hooks = Attr::Known([("pager".to_owned(), hook)].into());
    model.drill = Attr::Known(DrillPolicyModel {
        schedule: Attr::from("30 3 * * 0"),
        checks: Attr::Known(vec![DrillCheckModel {
            name: Attr::from("orders"),
            sql: Attr::from("select count(*) > 0 from orders"),
            database: Attr::from("shop"),
        }]),
        command: known_list(vec!["/usr/local/bin/verify".into()]),
        timeout: Attr::from("2h"),
    });
}

#[test]
fn secrets_go_beside_the_plan_and_never_in_it() {
    let model = planned(everything);
    let purposes: Vec<_> = model.secrets().into_iter().map(|it| it.purpose).collect();
    assert_eq!(
        purposes,
        ["tsig", "hook/pager", "fence/hamburg", "fence/visby"]
    );
    let wire = format!("{:?}", model.to_wire(&mut Unknowns::default()));
    assert!(
        ["c2VjcmV0", "long enough", "c0ffee", "wJalr"]
            .iter()
            .all(|it| !wire.contains(it))
    );
    assert_eq!(planned(|_| ()).secrets(), Vec::new());
}

#[test]
fn a_failover_takes_longer_for_clients_that_remember_an_address() {
    let redirect = |config: fn(&mut DrPlanModel)| {
        let predicted = planned(config).predict();
        predicted.map(|predicted| predicted.redirect)
    };
    assert_eq!(redirect(|_| ()).unwrap(), Attr::from("500ms"));
    assert_eq!(redirect(everything).unwrap(), Attr::from("30.5s"));
    let unknown = redirect(|model| {
        everything(model);
        model.dns.as_known_mut().unwrap().ttl = Attr::Unknown;
    });
    assert!(unknown.is_none());
}

fn call(program: &str) -> Attr<CallModel> {
    Attr::Known(CallModel {
        command: known_list(vec![program.to_owned(), "-v".to_owned()]),
        timeout: Attr::from("30s"),
    })
}

fn copied_now_and_then(model: &mut DrPlanModel) {
    model.workload = Attr::Known(WorkloadModel {
        postgresql: Attr::Null,
        directory: Attr::Known(DirectoryModel {
            path: Attr::from("/srv/files"),
            repository: Attr::from("s3:https://s3.example.com/files"),
            password_file: Attr::from("/etc/hanse/files.password"),
            environment_file: Attr::Null,
            interval: Attr::from("5m"),
            keep: Attr::Null,
            exclude: known_list(vec!["*.tmp".to_owned()]),
            run: call("/usr/sbin/smbd"),
            user: Attr::from("files"),
        }),
        command: Attr::Null,
    });
}

fn kept_by_commands(model: &mut DrPlanModel) {
    model.workload = Attr::Known(WorkloadModel {
        postgresql: Attr::Null,
        directory: Attr::Null,
        command: Attr::Known(CommandsModel {
            user: Attr::from("files"),
            run: Attr::Null,
            replicate: call("/opt/replicate"),
            lag: call("/opt/lag"),
            promote: call("/opt/promote"),
            demote: call("/opt/demote"),
            verify: call("/opt/verify"),
            interval: Attr::from("10s"),
        }),
    });
}

#[test]
fn a_plan_protects_one_workload() {
    let workload = |change: fn(&mut DrPlanModel)| planned(change).workload;
    let mut both = workload(copied_now_and_then).as_known().cloned().unwrap();
    assert_eq!(one_kind(&both), Ok(()));
    let commands = workload(kept_by_commands);
    both.command = commands.as_known().unwrap().command.clone();
    let told = one_kind(&both).unwrap_err();
    assert!(told.contains("directory and command"), "{told}");
}

#[test]
fn what_is_declared_comes_back_as_it_was_written() {
    let mut everything = planned(everything);
    (everything.id, everything.wait_for) = (Attr::from("baltic/orders"), Attr::from("proved"));
    let kinds = [planned(copied_now_and_then), planned(kept_by_commands)];
    for nothing_is_left_out in [planned(|_| ()), everything].into_iter().chain(kinds) {
        let object = known_object(&nothing_is_left_out).unwrap();
        let read: DrPlanModel = model(&object).unwrap();
        let mut again = Unknowns::default();
        assert_eq!(
            read.to_wire(&mut again),
            nothing_is_left_out.to_wire(&mut Unknowns::default())
        );
        assert_eq!(known_object(&read).unwrap(), object);
    }
}

#[test]
fn each_fault_is_found_at_its_own_attribute() {
    let workload = paths(|model| {
        model.workload = Attr::Known(WorkloadModel {
            postgresql: Attr::Null,
            directory: Attr::Null,
            command: Attr::Null,
        });
    });
    assert_eq!(workload, ["workload"]);
    let path = paths(|model| {
        copied_now_and_then(model);
        let workload = model.workload.as_known_mut().unwrap();
        workload.directory.as_known_mut().unwrap().interval = Attr::from("often");
    });
    assert_eq!(path, ["workload.directory.interval"]);
    let timeout = paths(|model| {
        kept_by_commands(model);
        let workload = model.workload.as_known_mut().unwrap();
        let commands = workload.command.as_known_mut().unwrap();
        commands.lag.as_known_mut().unwrap().timeout = Attr::from("long");
    });
    assert_eq!(timeout, ["workload.command.lag.timeout"]);
    assert_eq!(paths(|m| m.preset = Attr::from("quick")), ["preset"]);
    assert_eq!(paths(|m| m.rto = Attr::from("5 parsecs")), ["rto"]);
    assert_eq!(paths(|m| m.failback = Attr::from("never")), ["failback"]);
    let size = paths(|m| m.max_lag_on_failover = Attr::from("much"));
    assert_eq!(size, ["max_lag_on_failover"]);
    let address = paths(|m| m.service_address = Attr::from("10.42.0.0/24"));
    assert_eq!(address, ["service_address"]);
    let standby = paths(|m| m.standbys = known_list(vec!["Not A Name".into()]));
    assert_eq!(standby, ["standbys[0]"]);
    let ttl = paths(|model| {
        everything(model);
        model.timings.as_known_mut().unwrap().lease_ttl = Attr::from("long");
    });
    assert_eq!(ttl, ["timings.lease_ttl"]);
    let fencing = |method: &'static str, timeout| {
        paths(move |model| {
            everything(model);
            let sites = model.fencing.as_known_mut().unwrap();
            let how = sites.get_mut("lubeck").unwrap();
            (how.method, how.timeout) = (Attr::from(method), timeout);
        })
    };
    let method = fencing("prayer", Attr::Null);
    assert_eq!(method, ["fencing[\"lubeck\"].method"]);
    let timeout = fencing("command", Attr::Null);
    assert_eq!(timeout, ["fencing[\"lubeck\"].timeout"]);
    let machine = fencing("proxmox", Attr::Null);
    assert_eq!(machine, ["fencing[\"lubeck\"].proxmox"]);
    let fingerprint = paths(|model| {
        everything(model);
        let sites = model.fencing.as_known_mut().unwrap();
        let machine = sites.get_mut("hamburg").unwrap().proxmox.as_known_mut();
        machine.unwrap().fingerprints = known_list(vec!["AB:CD".to_owned()]);
    });
    assert_eq!(
        fingerprint,
        ["fencing[\"hamburg\"].proxmox.fingerprints[0]"]
    );
    assert_eq!(paths(everything), [""; 0]);
}

#[test]
fn what_is_not_known_yet_hides_what_rests_on_it() {
    let hidden = |config: fn(&mut DrPlanModel), attribute: &str| {
        let mut unknowns = Unknowns::default();
        planned(config).to_wire(&mut unknowns);
        let finding = hanse_core::finding::Finding::error(Path::of(attribute), "wrong", "");
        unknowns.hide(&finding)
    };
    let standbys: fn(&mut DrPlanModel) = |m| m.standbys = Attr::Unknown;
    assert!(hidden(standbys, "replication"));
    assert!(hidden(standbys, "fencing"));
    assert!(!hidden(standbys, "rto"));
    let ttl: fn(&mut DrPlanModel) = |model| {
        everything(model);
        model.timings.as_known_mut().unwrap().lease_ttl = Attr::Unknown;
    };
    assert!(hidden(ttl, "rto"));
    assert!(hidden(ttl, "timings"));
    assert!(!hidden(ttl, "replication"));
    assert!(!hidden(everything, "rto"));
}

#[test]
fn a_failover_is_predicted_from_the_declaration_once_its_timings_are_known() {
    let fast = planned(|model| model.preset = Attr::from("fast"));
    let fast = fast.predict().unwrap();
    assert_eq!(fast.detection, Attr::from("5.5s"));
    let standard = planned(|_| ()).predict().unwrap();
    assert_eq!(standard.detection, Attr::from("10s"));
    let span = |text: &Attr<String>| {
        let span: hanse_core::duration::Span = text.as_known().unwrap().parse().unwrap();
        span.value()
    };
    let parts = [
        &standard.detection,
        &standard.fencing,
        &standard.promotion,
        &standard.redirect,
    ];
    let total: std::time::Duration = parts.into_iter().map(span).sum();
    assert_eq!(span(&standard.total), total);
    assert!(planned(|m| m.preset = Attr::Unknown).predict().is_none());
    let address = planned(|model| model.service_address = Attr::Unknown);
    assert!(address.predict().is_some(), "it rests on timings alone");
    let fenced = planned(|model| {
        everything(model);
        (model.timings, model.preset) = (Attr::Null, Attr::Null);
    });
    let more = span(&fenced.predict().unwrap().fencing) - span(&standard.fencing);
    assert_eq!(more, std::time::Duration::from_secs(90));
    let unknown = planned(|model| {
        everything(model);
        let sites = model.fencing.as_known_mut().unwrap();
        sites.get_mut("visby").unwrap().timeout = Attr::Unknown;
    });
    assert!(unknown.predict().is_none());
}

#[test]
fn a_primary_that_is_away_is_told_of_once_and_with_the_command_that_moves_it() {
    let at = |home: &str, active: Option<&str>| {
        planned(|model| {
            model.home = Attr::from(home);
            model.active_cluster = Attr::from(active.map(str::to_owned));
        })
    };
    let told = |prior: &DrPlanModel, plan: &DrPlanModel| plan.away_from_home(prior);
    let home = at("lubeck", Some("lubeck"));
    assert_eq!(told(&home, &home), None);
    let none = at("lubeck", None);
    assert_eq!(told(&none, &none), None, "nobody was primary yet");
    let away = at("lubeck", Some("hamburg"));
    let (summary, detail) = told(&away, &away).unwrap();
    assert!(summary.contains("`orders` is in `hamburg`"), "{summary}");
    assert!(detail.contains("`hanse failback orders`"), "{detail}");
    let (summary, detail) = told(&home, &at("hamburg", None)).unwrap();
    assert_eq!(summary, "Changing home moves nothing");
    assert!(detail.contains("stays in `lubeck`"), "{detail}");
    // Home follows where the primary is already.
    assert_eq!(told(&away, &at("hamburg", None)), None);
}
