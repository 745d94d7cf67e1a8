//! A cut stream, a full disk, a corrupted file: a clear error, and nothing is lost.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Configuration, Federation, Laboratory};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_follower_that_was_cut_off_catches_up_by_itself() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    laboratory.cut_between(laboratory.host(1), laboratory.host(3))?;
    let mut configuration = federation.configuration();
    configuration
        .mesh_lines
        .push("persistent_keepalive = \"11s\"".to_owned());
    configuration
        .mesh_lines
        .push("wait_for = \"accepted\"".to_owned());
    terraform.write("main.tf", &configuration.to_string())?;
    terraform.apply()?;
    laboratory.heal_all()?;
    let script = "pid=$(pgrep -x wireguard-go | head -n 1); \
                  nsenter ${pid:+--target $pid --mount} wg show all persistent-keepalive";
    wait_until_true("the follower has the change", PATIENCE, || {
        let said = laboratory
            .host(3)
            .exec(Invocation::script(script))?
            .success()?
            .stdout;
        Ok(said.lines().count() == 2 && said.lines().all(|line| line.ends_with("11")))
    })
}

#[test]
fn an_update_that_is_not_proved_in_time_names_who_is_late() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    laboratory.cut_between(laboratory.host(2), laboratory.host(3))?;
    let mut configuration = federation.configuration();
    configuration.site("site2").endpoint = "10.99.0.2:51999".to_owned();
    configuration
        .mesh_lines
        .push("timeouts {\n    update = \"5s\"\n  }".to_owned());
    terraform.write("main.tf", &configuration.to_string())?;
    let refused = terraform.run(["apply", "-no-color", "-auto-approve"])?;
    assert!(!refused.succeeded(), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("not proved") && refused.stderr.contains("h3"),
        "{}",
        refused.stderr
    );
    laboratory.heal_all()?;
    Ok(())
}

#[test]
fn a_full_disk_refuses_changes_and_loses_nothing() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let host = laboratory.host(1);
    let folder = host.data_dir().join("hanse");
    let mount = format!(
        "mkdir -p {0} && mount -t tmpfs -o size=12m,mode=0700 tmpfs {0}",
        folder.display()
    );
    host.exec(Invocation::script(&mount))?.success()?;
    let (mut voter, operator) = Agent::bootstrap(&laboratory, host, "test", "site1")?;
    voter.start()?;
    voter.wait_until_live(&operator)?;
    let sites = [("site1", host)];
    let mut configuration = Configuration::mesh("test", sites);
    let terraform = operator.terraform_with(&configuration.to_string())?;
    terraform.init()?;
    terraform.apply()?;

    let fill = format!(
        "dd if=/dev/zero of={}/filler bs=64k || true",
        folder.display()
    );
    host.exec(Invocation::script(&fill))?.success()?;
    // Small changes may fit into what the file has free; sooner or later one does not.
    let mut said = String::new();
    for round in 0..40 {
        configuration.site("site1").networks = networks(round);
        terraform.write("main.tf", &configuration.to_string())?;
        let applied = terraform.run(["apply", "-no-color", "-auto-approve"])?;
        if !applied.succeeded() {
            said = applied.stderr;
            break;
        }
    }
    assert!(
        said.to_lowercase().contains("space") || said.contains("disk"),
        "a full disk is called by its name: {said}"
    );
    operator
        .hanse(["status"])?
        .success()
        .context("the voter still answers")?;

    host.exec(Invocation::script(&format!(
        "rm {}/filler",
        folder.display()
    )))?
    .success()?;
    wait_until_true("the apply works again", PATIENCE, || {
        Ok(terraform
            .run(["apply", "-no-color", "-auto-approve"])?
            .succeeded())
    })?;
    voter.kill()?;
    voter.start()?;
    voter.wait_until_live(&operator)?;
    assert!(!terraform.plan()?.has_changes, "nothing was lost");
    Ok(())
}

#[test]
fn a_corrupted_data_file_is_named_and_never_replaced_in_silence() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let mut federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    let voter = &mut federation.agents[0];
    voter.kill()?;
    let path = state_file(voter)?;
    let sound = fs::read(&path)?;
    for (what, broken) in [
        ("cut short", sound[..5000].to_vec()),
        ("overwritten", vec![0x5a; sound.len()]),
        ("empty", Vec::new()),
    ] {
        fs::write(&path, broken)?;
        voter.start()?;
        let process = voter.process().context("it was started")?;
        let ended = process
            .wait(PATIENCE)
            .with_context(|| format!("{what}: it should end"))?;
        let log = process.log()?;
        assert_eq!(ended.code(), Some(1), "{what}: {log}");
        let name = path
            .file_name()
            .context("a file")?
            .to_string_lossy()
            .into_owned();
        assert!(log.contains(&name), "{what}: the file is named: {log}");
        assert!(!log.contains("panicked"), "{what}: {log}");
    }
    fs::write(&path, sound)?;
    voter.start()?;
    voter.wait_until_live(&federation.operator)?;
    assert!(!terraform.plan()?.has_changes, "nothing was lost");
    Ok(())
}

fn networks(round: u32) -> Vec<String> {
    (0..200)
        .map(|number| format!("10.{}.{number}.0/24", 100 + round))
        .collect()
}

fn state_file(voter: &Agent) -> Result<PathBuf> {
    let files = fs::read_dir(voter.data_dir())?.collect::<Result<Vec<_>, _>>()?;
    let found = files.into_iter().map(|entry| entry.path());
    let found = found
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "redb"));
    found.context("the voter has a state file")
}
