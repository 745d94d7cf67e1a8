//! Users' own programs: in which order they are called, and what comes of those that misbehave.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_core::duration::Span;
use hanse_core::object::dr_plan::{Call, Commands, Workload};

use crate::laboratory::{Copy, Laboratory, at, follows, leads};

const REPLICATE: &str = "cp addresses/$HANSE_PRIMARY_ADDRESS/data $ME/new && mv $ME/new $ME/data";
const LAG: &str = "wc -c < $ME/data";
const NOTE: &str = "echo \"$0 $HANSE_ROLE $HANSE_EPOCH\" >> $ME/calls";

/// Programs that keep a file, called `data`, and note what is done with it.
fn programs(root: &Path, folder: &Path) -> Commands {
    let (user, group) = (65534, 65534);
    chown(folder, Some(user), Some(group)).unwrap();
    fs::write(folder.join("data"), "").unwrap();
    chown(folder.join("data"), Some(user), Some(group)).unwrap();
    let call = |name: &str, script: &str| call(root, folder, name, script);
    Commands {
        user: "nobody".to_owned(),
        run: None,
        replicate: call("replicate", REPLICATE),
        lag: call("lag", LAG),
        promote: call("promote", NOTE),
        demote: call("demote", NOTE),
        verify: None,
        interval: Span::from_secs(1),
    }
}

pub(crate) fn call(root: &Path, folder: &Path, name: &str, script: &str) -> Call {
    let text = format!("cd {}; ME={}; {script}", root.display(), folder.display());
    let words = ["/bin/sh", "-c", &text, name];
    Call {
        command: words.map(str::to_owned).into(),
        timeout: Span::from_secs(20),
    }
}

pub(crate) fn laboratory(change: impl Fn(&Path, &Path, &mut Commands)) -> Laboratory {
    Laboratory::new(|root, folder| {
        let mut commands = programs(root, folder);
        change(root, folder, &mut commands);
        Workload::Command(commands)
    })
}

fn write(copy: &Copy, text: &str) {
    fs::write(copy.folder.join("data"), text).unwrap();
}

fn calls(copy: &Copy) -> Vec<String> {
    let text = fs::read_to_string(copy.folder.join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_switchover_calls_each_program_once_and_in_order() {
    let mut sites = laboratory(|_, _, _| ());
    write(&sites.copies[0], "first");
    sites.begin().await;
    sites.follow(1, 0, 1);
    sites.until(1, "it has all", follows((1, 5))).await;
    write(&sites.copies[0], "first and last");
    sites.tell(0, Duty::Stop { barrier: 7 });
    let stopped = |told: &hanse_workload::CopyReport| {
        told.role == CopyRole::Stopped && told.barrier == 7 && at(told) == Some((1, 14))
    };
    sites.until(0, "it stopped", stopped).await;
    sites.copies[0].guard.lease.send_replace(None);
    sites.tell(1, Duty::Detach { barrier: 7 });
    let detached = |told: &hanse_workload::CopyReport| {
        told.role == CopyRole::Detached && told.barrier == 7 && at(told) == Some((1, 14))
    };
    sites
        .until(1, "it got the last and was cut", detached)
        .await;
    sites.lead(1, 2);
    sites.until(1, "it leads", leads(2)).await;
    write(&sites.copies[1], "anew");
    sites.follow(0, 1, 2);
    sites.until(0, "it follows back", follows((2, 4))).await;
    assert_eq!(
        calls(&sites.copies[0]),
        ["promote primary 1", "demote stopped 1"]
    );
    assert_eq!(
        calls(&sites.copies[1]),
        ["demote detached 1", "promote primary 2"]
    );
}

#[tokio::test]
async fn what_writes_runs_from_after_the_promotion_until_before_the_demotion() {
    let run = "trap 'echo ended >> $ME/calls; exit 0' INT TERM; echo \"runs $HANSE_ROLE \
               $HANSE_EPOCH\" >> $ME/calls; while :; do sleep 0.05; done";
    let mut sites = laboratory(|root, folder, commands| {
        commands.run = Some(call(root, folder, "run", run));
    });
    sites.begin().await;
    let runs = |copy: &Copy| calls(copy).len() == 2;
    sites.copies[0].until_seen("it runs", runs).await;
    // The next steward finds it running, and leaves it so.
    sites.copies[0].restart();
    sites.until(0, "it leads still", leads(1)).await;
    sites.tell(0, Duty::Stop { barrier: 7 });
    sites.until(0, "it stopped", |told| told.barrier == 7).await;
    let expected = [
        "promote primary 1",
        "runs primary 1",
        "ended",
        "demote stopped 1",
    ];
    assert_eq!(calls(&sites.copies[0]), expected);
}

#[tokio::test]
async fn what_runs_on_from_an_earlier_plan_is_ended_before_another_begins() {
    let run = "trap 'echo ended >> $ME/calls; exit 0' INT TERM; echo \"runs $HANSE_EPOCH\" >> $ME/calls; \
               while :; do sleep 0.05; done";
    let mut sites = laboratory(|root, folder, commands| {
        commands.run = Some(call(root, folder, "run", run));
    });
    sites.begin().await;
    let runs = |copy: &Copy| calls(copy).len() == 2;
    sites.copies[0].until_seen("it runs", runs).await;
    // Its plan is destroyed, and declared again.
    sites.copies[0].end();
    let pid = sites.copies[0].guard.release().await;
    sites.copies[0].begin();
    sites.follow(0, 1, 4);
    let named = |told: &hanse_workload::CopyReport| {
        let trouble = told.trouble.as_deref().unwrap_or_default();
        trouble.contains(&format!("end it by `kill {pid}`"))
    };
    sites.until(0, "it is named", named).await;
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    sites.lead(0, 5);
    let runs_again = |copy: &Copy| calls(copy).last().is_some_and(|last| last == "runs 5");
    sites.copies[0]
        .until_seen("it runs again", runs_again)
        .await;
    let expected = [
        "promote primary 1",
        "runs 1",
        "ended",
        "promote primary 5",
        "runs 5",
    ];
    assert_eq!(calls(&sites.copies[0]), expected);
}

#[tokio::test]
async fn nothing_is_promoted_before_the_lease_is_here() {
    let mut sites = laboratory(|_, _, _| ());
    sites.tell(0, Duty::Wait);
    sites
        .until(0, "it is whole", |told| told.position.is_some())
        .await;
    sites.tell_to_lead(0, 1);
    let waits = |told: &hanse_workload::CopyReport| {
        let progress = told.progress.as_deref().unwrap_or_default();
        progress.contains("lease 1 is not here yet")
    };
    sites.until(0, "it waits", waits).await;
    assert_eq!(calls(&sites.copies[0]), [""; 0]);
    sites.copies[0].guard.lease.send_replace(Some(1));
    sites.until(0, "it leads", leads(1)).await;
    assert_eq!(calls(&sites.copies[0]), ["promote primary 1"]);
}

#[tokio::test]
async fn a_lease_does_not_go_back_and_nothing_is_promised_before_the_demotion_succeeds() {
    let mut sites = laboratory(|root, folder, commands| {
        let script = format!("{NOTE}; test -e $ME/may");
        commands.demote = call(root, folder, "demote", &script);
    });
    sites.begin().await;
    sites.tell(0, Duty::Stop { barrier: 7 });
    let told = sites
        .until(0, "it fails", |told| told.trouble.is_some())
        .await;
    assert!(
        told.trouble
            .unwrap()
            .contains("unable to demote this copy: /bin/sh ended with")
    );
    let again = |copy: &Copy| calls(copy).len() > 3;
    sites.copies[0].until_seen("it is tried again", again).await;
    let told = sites.until(0, "it tells", |_| true).await;
    assert_eq!((told.role, told.barrier), (CopyRole::Primary, 0));
    let held = hanse_workload::Guard::status(&*sites.copies[0].guard);
    assert!(
        held.borrow().as_ref().unwrap().may_write,
        "the lease went back"
    );
    fs::write(sites.copies[0].folder.join("may"), "").unwrap();
    let told = sites.until(0, "it stopped", |told| told.barrier == 7).await;
    assert_eq!(told.role, CopyRole::Stopped);
}

#[tokio::test]
async fn a_former_primary_is_demoted_before_it_receives() {
    let mut sites = laboratory(|_, _, _| ());
    sites.begin().await;
    write(&sites.copies[0], "nobody else has this");
    write(&sites.copies[1], "anew");
    sites.follow(0, 1, 2);
    sites.until(0, "it follows", follows((2, 4))).await;
    assert_eq!(
        calls(&sites.copies[0]),
        ["promote primary 1", "demote standby 2"]
    );
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_started_and_told_of() {
    let mut sites = laboratory(|root, folder, commands| {
        let script = "sleep 1000 & echo $! > $ME/child; sleep 1000";
        commands.replicate = call(root, folder, "replicate", script);
        commands.replicate.timeout = Span::from_secs(1);
    });
    sites.follow(1, 0, 1);
    let told = sites
        .until(1, "it is in trouble", |told| told.trouble.is_some())
        .await;
    assert_eq!(told.role, CopyRole::Seeding);
    let trouble = told.trouble.unwrap();
    assert!(
        trouble.contains("/bin/sh did not end within 1s and was killed"),
        "{trouble}"
    );
}

#[tokio::test]
async fn a_standby_that_is_cut_off_ends_what_replicates() {
    let mut sites = laboratory(|root, folder, commands| {
        // The first time it succeeds, so that there is a copy.
        let script =
            "test -e $ME/twice || { touch $ME/twice; exit 0; }; echo $$ > $ME/id; sleep 1000";
        commands.replicate = call(root, folder, "replicate", script);
        commands.replicate.timeout = Span::from_secs(1000);
    });
    sites.follow(1, 0, 1);
    let id = |copy: &Copy| {
        let text = fs::read_to_string(copy.folder.join("id")).unwrap_or_default();
        text.trim().parse::<u32>().ok()
    };
    sites.copies[1]
        .until_seen("it hangs", |copy| id(copy).is_some())
        .await;
    let hangs = id(&sites.copies[1]).unwrap();
    sites.tell(1, Duty::Detach { barrier: 7 });
    let told = sites.until(1, "it was cut", |told| told.barrier == 7).await;
    assert!(told.trouble.is_none());
    let is_gone = |_: &Copy| !Path::new(&format!("/proc/{hangs}")).exists();
    sites.copies[1]
        .until_seen("the program is gone", is_gone)
        .await;
}

#[tokio::test]
async fn a_copy_that_is_not_whole_does_not_count() {
    let mut sites = laboratory(|root, folder, commands| {
        commands.verify = Some(call(root, folder, "verify", "test ! -e $ME/broken"));
    });
    sites.begin().await;
    sites.follow(1, 0, 1);
    sites.until(1, "it follows", follows((1, 0))).await;
    fs::write(sites.copies[1].folder.join("broken"), "").unwrap();
    let told = sites
        .until(1, "it is told", |told| told.trouble.is_some())
        .await;
    assert!(told.trouble.unwrap().contains("unable to verify this copy"));
    sites.tell(1, Duty::Detach { barrier: 7 });
    let unfit = |told: &hanse_workload::CopyReport| told.barrier == 7 && told.trouble.is_some();
    let told = sites.until(1, "it is unfit", unfit).await;
    assert_eq!(told.position, None);
}

#[tokio::test]
async fn what_is_no_position_is_told_and_never_taken_for_one() {
    for (script, expected) in [
        ("echo lots", "prints `lots`"),
        ("echo -1", "prints `-1`"),
        ("true", "prints nothing"),
        ("printf '\\377\\376'", "prints what is no text"),
        ("head -c 20000000 /dev/zero", "prints more than"),
        (
            "echo 7; exit 3",
            "ended with exit status: 3: it does not say why",
        ),
        (
            "echo 7; echo gone >&2; exit 1",
            "ended with exit status: 1: gone",
        ),
        ("exec /nowhere/program", "/nowhere/program: not found"),
        ("exit 127", "it, or something it calls, is missing"),
        ("kill -SEGV $$", "SIGSEGV"),
    ] {
        let mut sites = laboratory(|root, folder, commands| {
            commands.lag = call(root, folder, "lag", script);
        });
        sites.tell(0, Duty::Wait);
        let told = sites.until(0, script, |told| told.trouble.is_some()).await;
        let trouble = told.trouble.unwrap();
        assert!(
            trouble.starts_with("unable to learn how far this copy is: "),
            "{trouble}"
        );
        assert!(trouble.contains(expected), "{script}: {trouble}");
        assert_eq!(told.position, None);
    }
}

#[tokio::test]
async fn a_user_who_is_not_there_is_told_with_what_makes_one() {
    let mut sites = laboratory(|_, _, commands| commands.user = "nobody-at-all".to_owned());
    sites.tell(0, Duty::Wait);
    let told = sites
        .until(0, "it is told", |told| told.trouble.is_some())
        .await;
    assert!(
        told.trouble
            .unwrap()
            .contains("run `useradd --system nobody-at-all`")
    );
}
