use super::*;
use crate::object::dr_plan::Fencing;
use crate::object::federation::ReplicationPolicy;
use crate::testing::dr_plan;

fn call(program: &str) -> Call {
    Call {
        command: vec![program.to_owned()],
        timeout: Span::from_secs(5),
    }
}

fn folder() -> Directory {
    Directory {
        path: "/srv/files".to_owned(),
        repository: "/mnt/backup".to_owned(),
        password_file: "/etc/hanse/password".to_owned(),
        environment_file: None,
        interval: Span::from_secs(300),
        keep: None,
        exclude: vec!["*.tmp".to_owned()],
        run: Some(call("/usr/bin/files")),
        user: Some("www-data".to_owned()),
    }
}

fn programs() -> Commands {
    Commands {
        user: "files".to_owned(),
        run: Some(call("/opt/run")),
        replicate: call("/opt/replicate"),
        lag: call("/opt/lag"),
        promote: call("/opt/promote"),
        demote: call("/opt/demote"),
        verify: None,
        interval: Span::from_secs(10),
    }
}

/// The paths of what is wrong with a plan of that workload.
fn told(workload: Workload, change: impl FnOnce(&mut DrPlan)) -> Vec<String> {
    let mut plan = dr_plan();
    plan.workload = workload;
    plan.replication = Some(ReplicationPolicy {
        mode: ReplicationMode::Async,
        min_in_sync: 1,
    });
    change(&mut plan);
    let mut findings = Vec::new();
    let inventory = Inventory::new("test".parse().unwrap());
    check(&inventory, &plan, &mut findings);
    assert!(findings.iter().all(Finding::is_error));
    let paths = findings.into_iter().map(|it| it.path.to_string());
    paths.collect()
}

fn of_folder(change: impl FnOnce(&mut Directory)) -> Vec<String> {
    let mut it = folder();
    change(&mut it);
    told(Workload::Directory(it), |_| ())
}

fn of_programs(change: impl FnOnce(&mut Commands)) -> Vec<String> {
    let mut it = programs();
    change(&mut it);
    told(Workload::Command(it), |_| ())
}

#[test]
fn a_path_of_postgresql_is_whole() {
    for text in ["", "data", "/srv/../etc"] {
        let postgresql = Postgresql {
            data_directory: text.to_owned(),
            port: 0,
            bin_directory: Some("bin".to_owned()),
        };
        let path = |name: &str| format!("workload.postgresql.{name}");
        let paths = ["data_directory", "bin_directory", "port"].map(path);
        assert_eq!(
            told(Workload::Postgresql(postgresql), |_| ()),
            paths,
            "{text:?}"
        );
    }
}

#[test]
fn each_fault_of_a_folder_is_found_at_its_own_attribute() {
    assert_eq!(of_folder(|_| ()), [""; 0]);
    let at = |name: &str| vec![format!("workload.directory.{name}")];
    assert_eq!(of_folder(|it| it.path = "srv".into()), at("path"));
    assert_eq!(of_folder(|it| it.path = "/".into())[..1], at("path")[..]);
    let file = of_folder(|it| it.password_file = "pw".into());
    assert_eq!(file, at("password_file"));
    let file = of_folder(|it| it.environment_file = Some("../env".into()));
    assert_eq!(file, at("environment_file"));
    for repository in ["", "backup", "ftp://x", "/srv/files/in", "/srv", "s3:\n"] {
        let found = of_folder(|it| it.repository = repository.into());
        assert_eq!(found, at("repository"), "{repository:?}");
    }
    for repository in [
        "/srv/files-2",
        "s3:https://x/y",
        "rest:http://x",
        "sftp:a@b:/c",
    ] {
        let found = of_folder(|it| it.repository = repository.into());
        assert_eq!(found, [""; 0], "{repository:?}");
    }
    let interval = of_folder(|it| it.interval = Span::from_milliseconds(900));
    assert_eq!(interval, at("interval"));
    let keep = Keep {
        last: 0,
        ..Keep::default()
    };
    assert_eq!(of_folder(|it| it.keep = Some(keep)), at("keep.last"));
    assert_eq!(
        of_folder(|it| it.exclude.push(String::new())),
        at("exclude[1]")
    );
    assert_eq!(of_folder(|it| it.user = Some("-x".into())), at("user"));
    let run = of_folder(|it| it.run = Some(call("files")));
    assert_eq!(run, at("run.command[0]"));
    let user = of_folder(|it| it.run = None);
    assert_eq!(
        user,
        [at("user"), vec!["automatic_failover".to_owned()]].concat()
    );
}

#[test]
fn each_fault_of_a_program_is_found_at_its_own_attribute() {
    assert_eq!(of_programs(|_| ()), [""; 0]);
    let at = |name: &str| vec![format!("workload.command.{name}")];
    assert_eq!(of_programs(|it| it.user = String::new()), at("user"));
    assert_eq!(of_programs(|it| it.user = "a b".into()), at("user"));
    let lag = of_programs(|it| it.lag.command.clear());
    assert_eq!(lag, at("lag.command"));
    let replicate = of_programs(|it| it.replicate = call("rsync"));
    assert_eq!(replicate, at("replicate.command[0]"));
    let zero = of_programs(|it| it.demote.command.push("a\0".into()));
    assert_eq!(zero, at("demote.command[1]"));
    let timeout = of_programs(|it| it.promote.timeout = Span::from_secs(0));
    assert_eq!(timeout, at("promote.timeout"));
    let verify = of_programs(|it| it.verify = Some(call("")));
    assert_eq!(verify, at("verify.command[0]"));
    let interval = of_programs(|it| it.interval = Span::from_secs(0));
    assert_eq!(interval, at("interval"));
}

#[test]
fn what_is_copied_now_and_then_is_asynchronous_and_promises_no_less_than_its_interval() {
    let sync = |plan: &mut DrPlan| {
        plan.replication = Some(ReplicationPolicy {
            mode: ReplicationMode::SemiSync,
            min_in_sync: 1,
        });
    };
    assert_eq!(told(Workload::Directory(folder()), sync), ["replication"]);
    assert_eq!(told(Workload::Command(programs()), sync), ["replication"]);
    let rpo = |seconds| move |plan: &mut DrPlan| plan.rpo = Some(Span::from_secs(seconds));
    assert_eq!(told(Workload::Directory(folder()), rpo(299)), ["rpo"]);
    assert_eq!(told(Workload::Directory(folder()), rpo(300)), [""; 0]);
}

#[test]
fn where_nothing_fences_no_failover_is_automatic_unless_every_site_is_fenced_from_outside() {
    let unguarded = || {
        let mut it = programs();
        it.run = None;
        Workload::Command(it)
    };
    assert_eq!(told(unguarded(), |_| ()), ["automatic_failover"]);
    assert_eq!(
        told(unguarded(), |plan| plan.automatic_failover = false),
        [""; 0]
    );
    let fence = |plan: &mut DrPlan, sites: &[&str]| {
        for site in sites {
            let how = Fencing::Command {
                command: vec!["/bin/fence".to_owned()],
                timeout: Span::from_secs(30),
            };
            plan.fencing.insert(site.parse().unwrap(), how);
        }
    };
    let some = told(unguarded(), |plan| fence(plan, &["a", "b"]));
    assert_eq!(some, ["automatic_failover"]);
    let all = told(unguarded(), |plan| fence(plan, &["a", "b", "c"]));
    assert_eq!(all, [""; 0]);
    let by_lease = told(unguarded(), |plan| {
        fence(plan, &["a", "b"]);
        plan.fencing.insert("c".parse().unwrap(), Fencing::Watchdog);
    });
    assert_eq!(by_lease, ["automatic_failover"]);
}
