//! A DR plan's mistakes are found at plan time, at the attribute that is wrong.

use anyhow::Result;
use hanse_acceptance::{Configuration, Federation, Laboratory};

const PASSWORD: &str = "correct-horse-battery-staple";
/// What a sound plan says beside its names.
const SOUND: [&str; 2] = ["home = \"site1\"", "standbys = [\"site2\"]"];

const TOKEN: &str = "6f0a1c9e-token-of-the-acceptance-test";

/// One federation for all: plans change nothing.
#[test]
fn each_mistake_in_a_dr_plan_is_an_error_on_its_own_attribute() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    let sound = with_plan(&federation.configuration(), &SOUND);
    let terraform = federation.terraform(&sound)?;
    let plan = terraform.plan()?.output.stdout;
    let flat_plan = flat(&plan);
    // From the declaration alone, and so before anything is there.
    for predicted in ["detection = \"10s\"", "promotion = \"2s\""] {
        assert!(flat_plan.contains(predicted), "{predicted}: {plan}");
    }
    let cases: [(&str, &[&str], &str, &str); 16] = [
        (
            "a drill at a moment that is none",
            &[SOUND[0], SOUND[1], "drill = { schedule = \"@daily\" }"],
            "five fields",
            "schedule = ",
        ),
        (
            "two checks of one name",
            &[
                SOUND[0],
                SOUND[1],
                "drill = { checks = [{ name = \"a\", sql = \"select true\" }, { name = \"a\", sql = \"x\" }] }",
            ],
            "A name twice",
            "drill = ",
        ),
        (
            "a site twice",
            &["home = \"site1\"", "standbys = [\"site1\"]"],
            "A site twice",
            "standbys = ",
        ),
        (
            "a loss that asynchronous replication can't rule out",
            &[SOUND[0], SOUND[1], "rpo = \"0s\""],
            "This replication can't keep it",
            "rpo = ",
        ),
        (
            "a preset and timings",
            &[SOUND[0], SOUND[1], "preset = \"fast\"", "timings = {}"],
            "A preset and timings",
            "timings = ",
        ),
        (
            "a promotion that could come before the fence",
            &[SOUND[0], SOUND[1], "timings = { stop_budget = \"20s\" }"],
            "A promotion could come before the fence",
            "timings = ",
        ),
        (
            "an automatic failover with one voter",
            &[SOUND[0], SOUND[1], "automatic_failover = true"],
            "The voters don't suffice",
            "automatic_failover = ",
        ),
        (
            "a fence without a program",
            &[
                SOUND[0],
                SOUND[1],
                "fencing = { site1 = { method = \"command\", timeout = \"30s\" } }",
            ],
            "No program",
            "fencing = ",
        ),
        (
            "a fence of nothing",
            &[
                SOUND[0],
                SOUND[1],
                "fencing = { site1 = { method = \"proxmox\" } }",
            ],
            "Nothing to stop",
            "fencing = ",
        ),
        (
            "a word that is none",
            &[SOUND[0], SOUND[1], "failback = \"sometimes\""],
            "sometimes",
            "failback = ",
        ),
        (
            "a service address outside the mesh",
            &[SOUND[0], SOUND[1], "service_address = \"10.77.0.1\""],
            "An address of no mesh",
            "service_address = ",
        ),
        (
            "backups more often than they end",
            &[
                SOUND[0],
                SOUND[1],
                &backup("/srv/backups", "10s", "1h", PASSWORD),
            ],
            "Too often",
            "interval = ",
        ),
        (
            "backups of which none would stay",
            &[
                SOUND[0],
                SOUND[1],
                &backup("/srv/backups", "1h", "0s", PASSWORD),
            ],
            "Nothing would stay",
            "retention = ",
        ),
        (
            "a repository of a kind that is unknown",
            &[
                SOUND[0],
                SOUND[1],
                &backup("ftp://host/backups", "1h", "9h", PASSWORD),
            ],
            "ftp://host/backups",
            "repository = ",
        ),
        (
            "a repository within the data",
            &[
                SOUND[0],
                SOUND[1],
                &backup("/nowhere/backups", "1h", "9h", PASSWORD),
            ],
            "A repository within the data",
            "repository = ",
        ),
        (
            "a password that anybody could guess",
            &[
                SOUND[0],
                SOUND[1],
                &backup("/srv/backups", "1h", "9h", "secret"),
            ],
            "16 to 512 bytes",
            "password_wo = ",
        ),
    ];
    for (what, lines, summary, attribute) in cases {
        let wrong = with_plan(&federation.configuration(), lines);
        terraform.write("main.tf", &wrong.to_string())?;
        let planned = terraform.run(["plan", "-no-color"])?;
        let told = flat(&format!("{}{}", planned.stdout, planned.stderr));
        assert!(told.contains(summary), "{what}: {told}");
        assert!(
            told.contains(attribute),
            "{what} is not shown at `{attribute}`: {told}"
        );
    }
    Ok(())
}

/// A machine that is stopped from outside: its token is given beside the plan and is in no state.
#[test]
fn a_fence_is_declared_with_a_token_that_is_in_no_state() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    let fenced = |kind: &str, token: &str| {
        let fencing = format!(
            "fencing = {{ site1 = {{ method = \"proxmox\", proxmox = {{ urls = \
             [\"https://pve1.example.org:8006\"], node = \"pve1\", vmid = 104, {kind} token_id = \
             \"hanse@pve!fence\", {token} token_secret_wo_version = 1 }} }} }}"
        );
        let lines = [SOUND[0], SOUND[1], "wait_for = \"accepted\"", &fencing];
        with_plan(&federation.configuration(), &lines)
    };
    let given = format!("token_secret_wo = \"{TOKEN}\",");
    let terraform = federation.terraform(&fenced("", ""))?;
    let without = terraform.run(["apply", "-auto-approve", "-no-color"])?;
    let told = flat(&format!("{}{}", without.stdout, without.stderr));
    assert!(told.contains("The secret is missing"), "{told}");
    terraform.write("main.tf", &fenced("", &given).to_string())?;
    terraform.apply()?;
    let again = terraform.plan()?.output.stdout;
    assert!(again.contains("No changes"), "{again}");
    let shown = terraform.show()?.to_string();
    assert!(shown.contains("hanse@pve!fence"), "{shown}");
    assert!(!shown.contains(TOKEN), "{shown}");
    // Whoever has the secret keeps it.
    terraform.write("main.tf", &fenced("kind = \"container\",", "").to_string())?;
    terraform.apply()?;
    Ok(())
}

fn backup(repository: &str, interval: &str, retention: &str, password: &str) -> String {
    format!(
        "backup = {{\n    repository = \"{repository}\"\n    interval = \"{interval}\"\n    \
         retention = \"{retention}\"\n    password_wo = \"{password}\"\n    \
         password_wo_version = 1\n  }}"
    )
}

fn with_plan(configuration: &Configuration, lines: &[&str]) -> Configuration {
    let mut all = configuration.clone();
    all.tail = format!(
        "resource \"hanse_dr_plan\" \"this\" {{\n  federation = hanse_federation.this.name\n  \
         name = \"orders\"\n  workload = {{ postgresql = {{ data_directory = \"/nowhere\" }} }}\n  \
         depends_on = [hanse_vpn_mesh.this]\n  {}\n}}\n",
        lines.join("\n  ")
    );
    all
}

/// Without line breaks, frames and repeated blanks.
fn flat(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.filter(|word| !matches!(*word, "│" | "╷" | "╵"));
    words.collect::<Vec<_>>().join(" ")
}
