//! Drills of what is copied now and then: a folder is restored beside the copy, users' programs are asked.

use std::fs;

use hanse_core::dr::drill::{CheckOutcome, DrillOutcome, DrillReport};
use hanse_core::dr::duty::DrillOrder;
use hanse_workload::Driller;
use tokio::task::JoinSet;

use crate::laboratory::{Laboratory, at, follows};
use crate::patience::PATIENCE;
use crate::{commands, folders, practice};

/// Holds a drill beside the standby, with a program of the plan's, and yields what it found.
async fn drill(sites: &mut Laboratory, script: &str) -> DrillReport {
    let command = match script {
        "" => Vec::new(),
        script => ["/bin/sh", "-c", script].map(str::to_owned).into(),
    };
    sites.drill = Some(DrillOrder {
        lag_bytes: Some(7),
        command,
        ..practice::order(1, PATIENCE)
    });
    sites.follow(1, 0, 1);
    let copy = &sites.copies[1];
    let plans = copy.plans.subscribe();
    let (driller, mut news) = Driller::new(copy.setup.clone(), practice::cage(), plans);
    let mut life = JoinSet::new();
    life.spawn(driller.run());
    let ended = news.wait_for(|news| news.as_ref().is_some_and(|news| news.report.is_some()));
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    let ended = ended.expect("the drill does not end").unwrap().clone();
    let root = copy.setup.folder.join("drill");
    let left = fs::read_dir(root).map_or(0, Iterator::count);
    assert_eq!(left, 0, "something is left");
    ended.and_then(|news| news.report).unwrap()
}

#[tokio::test]
async fn a_folder_is_restored_where_nobody_else_is_and_compared_with_its_repository() {
    let mut sites = folders::laboratory();
    sites.begin().await;
    folders::put(&sites.copies[0], "file", "content");
    let position = folders::published(&mut sites, 0, 1, 1).await;
    sites.follow(1, 0, 1);
    sites.until(1, "it follows", follows(position)).await;
    let script = "test \"$(cat $HANSE_DRILL_COPY/file)\" = content && test $HANSE_DRILL = 1";
    let report = drill(&mut sites, script).await;
    assert_eq!(report.outcome, DrillOutcome::Passed, "{report:#?}");
    let names: Vec<_> = report
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(names, ["content", "/bin/sh"]);
    assert_eq!(report.rpo.lag_bytes, Some(7));
    assert_eq!(report.copied_bytes, Some(7), "{report:#?}");
    // The copy itself is as it was, and follows.
    sites
        .until(1, "it follows", |told| at(told) >= Some(position))
        .await;
    assert_eq!(folders::got(&sites.copies[1], "file").unwrap(), "content");
}

#[tokio::test]
async fn the_program_that_verifies_reaches_nobody() {
    let mut sites = folders::laboratory();
    sites.begin().await;
    folders::put(&sites.copies[0], "file", "content");
    let position = folders::published(&mut sites, 0, 1, 1).await;
    sites.follow(1, 0, 1);
    sites.until(1, "it follows", follows(position)).await;
    let script = "test $(wc -l < /proc/net/dev) -eq 3 && ! grep -q up /sys/class/net/lo/operstate && \
                  ip -o link | grep -q 'lo: <LOOPBACK>' && test -z \"$(ls /run)\" && \
                  test -z \"$HOSTNAME$PGHOST\" && head -c 50000000 /dev/zero";
    let report = drill(&mut sites, script).await;
    assert_eq!(report.outcome, DrillOutcome::Passed, "{report:#?}");
}

#[tokio::test]
async fn a_program_that_finds_something_wrong_fails_the_drill() {
    let mut sites = folders::laboratory();
    sites.begin().await;
    folders::put(&sites.copies[0], "file", "content");
    let position = folders::published(&mut sites, 0, 1, 1).await;
    sites.follow(1, 0, 1);
    sites.until(1, "it follows", follows(position)).await;
    let report = drill(&mut sites, "echo nothing is right >&2; exit 3").await;
    assert_eq!(report.outcome, DrillOutcome::Failed);
    assert!(report.trouble.contains("nothing is right"), "{report:#?}");
}

#[tokio::test]
async fn users_own_programs_say_whether_their_copy_is_whole() {
    let mut sites = commands::laboratory(|root, folder, commands| {
        let verify = "test -f $ME/data && test \"$HANSE_ROLE\" != primary";
        commands.verify = Some(commands::call(root, folder, "verify", verify));
    });
    sites.begin().await;
    sites.follow(1, 0, 1);
    sites
        .until(1, "it follows", |told| told.role.is_whole())
        .await;
    let report = drill(
        &mut sites,
        "test $HANSE_DRILL = 1 && test $(id -un) = nobody",
    )
    .await;
    assert_eq!(report.outcome, DrillOutcome::Passed, "{report:#?}");
    assert_eq!(report.checks.len(), 2, "{report:#?}");
    assert!(
        report
            .checks
            .iter()
            .all(|check| check.outcome == CheckOutcome::Passed)
    );
}

#[tokio::test]
async fn a_plan_that_nothing_verifies_is_not_proved() {
    let mut sites = commands::laboratory(|_, _, _| ());
    sites.begin().await;
    sites.follow(1, 0, 1);
    sites
        .until(1, "it follows", |told| told.role.is_whole())
        .await;
    let report = drill(&mut sites, "").await;
    assert_eq!(report.outcome, DrillOutcome::Failed);
    assert!(report.trouble.contains("drill.command"), "{report:#?}");
}
