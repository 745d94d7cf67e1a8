//! Scenarios: a script beside what comes of it, in `core/scenarios/failover`.
//!
//! Each file opens with why it is there; then follow commands, one a line, and after `---` the log.
//! `HANSE_WRITE_SCENARIOS=1` (which `scripts/fix` sets) writes the logs anew.
//!
//! The plan's home is `c0` on `n0`, its standbys are `c1` and `c2`; `w3` and `w4` are witnesses, and
//! `w3` leads as long as it can.

use std::path::{Path, PathBuf};

use super::super::ask::{self, Ask};
use super::super::timings::Preset;
use super::ASYNC;
use super::world::{COPIES, VOTERS, World};

const SEPARATOR: &str = "\n---\n";

fn folder() -> PathBuf {
    // Of this run, and not of the build, which another checkout may have made.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("scenarios/failover")
}

/// A number of a host or witness: `c1`, `w3`.
fn number(word: &str) -> usize {
    let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number: usize = digits.parse().unwrap();
    assert!(number < VOTERS, "there is no {word}");
    number
}

fn play(script: &str) -> String {
    let mut world = World::calm(ASYNC);
    world.story.clear();
    for line in script.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        obey(&mut world, &words);
    }
    let roles = world.roles();
    let lost = match world.primary() {
        Some(_) => format!("{} acknowledged are lost", world.lost()),
        None => "nobody takes writes".to_owned(),
    };
    world.tell(format!("in the end: {roles}; {lost}"));
    world.story.join("\n") + "\n"
}

fn obey(world: &mut World, words: &[&str]) {
    match words {
        ["mode", mode] => world.terms.mode = mode.parse().unwrap(),
        ["preset", preset] => {
            let preset: Preset = preset.parse().unwrap();
            world.terms.timings = preset.timings();
        }
        ["in-sync", number] => world.terms.in_sync_min = number.parse().unwrap(),
        ["lag-max", bytes] => world.terms.lag_bytes_max = bytes.parse().unwrap(),
        ["automatic-failover", "off"] => world.declare(|terms| terms.automatic_failover = false),
        ["automatic-failover", "on"] => world.declare(|terms| terms.automatic_failover = true),
        ["automatic-failback"] => world.declare(|terms| terms.automatic_failback = true),
        ["fenced-outside", site] => {
            let site = site.parse().unwrap();
            world.declare(|terms| {
                terms.fenced_outside.insert(site);
            });
        }
        ["drill-schedule", rest @ ..] => {
            let schedule = rest.join(" ").parse().unwrap();
            world.declare(|terms| terms.drill.schedule = Some(schedule));
            world.record.drilled_unix_s = world.now_unix_s();
        }
        ["too-few-voters", rest @ ..] => world.quorum_trouble = Some(rest.join(" ")),
        ["run", seconds] => {
            let seconds: u32 = seconds.trim_end_matches('s').parse().unwrap();
            world.run_for_ticks(seconds * 10);
        }
        ["die", who] if number(who) < COPIES => world.crash(number(who)),
        ["die", who] => {
            world.tell(format!("{who} dies"));
            world.witness_mut(number(who)).is_up = false;
        }
        ["start", who] if number(who) < COPIES => world.restart(number(who)),
        ["start", who] => {
            world.tell(format!("{who} starts"));
            world.witness_mut(number(who)).is_up = true;
        }
        ["freeze", who] => {
            world.tell(format!("{who} stands still"));
            world.hosts[number(who)].frozen_for_ticks = Some(0);
        }
        ["cut", from, to] => {
            world.tell(format!("nothing gets from {from} to {to}"));
            world.cut(number(from), number(to));
        }
        ["cut-off", who] => {
            world.tell(format!("{who} is cut off"));
            world.cut_off(number(who));
        }
        ["heal"] => world.heal(),
        ["stall", who] => {
            world.tell(format!("{who} receives nothing"));
            world.stalled.insert(number(who));
        }
        ["go-on", who] => {
            world.tell(format!("{who} receives again"));
            world.stalled.remove(&number(who));
        }
        ["trouble", who, rest @ ..] => {
            world.tell(format!("{who} has trouble: {}", rest.join(" ")));
            world.hosts[number(who)].trouble = Some(rest.join(" "));
        }
        ["well", who] => world.hosts[number(who)].trouble = None,
        ["leader", who] => world.favourite = Some(number(who)),
        ["ask", rest @ ..] => ask(world, rest),
        other => panic!("unknown command {other:?}"),
    }
}

fn ask(world: &mut World, words: &[&str]) {
    let asked = match words {
        ["switchover", to] => Ask::Switchover {
            to: to.parse().unwrap(),
        },
        ["failback"] => Ask::Failback,
        ["failover"] => Ask::Failover {
            to: None,
            allows_data_loss: false,
        },
        ["failover", "--allow-data-loss"] => Ask::Failover {
            to: None,
            allows_data_loss: true,
        },
        ["failover", to, "--allow-data-loss"] => Ask::Failover {
            to: Some(to.parse().unwrap()),
            allows_data_loss: true,
        },
        ["failover", to] => Ask::Failover {
            to: Some(to.parse().unwrap()),
            allows_data_loss: false,
        },
        ["drill"] => Ask::Drill { on: None },
        ["drill", on] => Ask::Drill {
            on: Some(on.parse().unwrap()),
        },
        ["pause"] => Ask::Pause,
        ["resume"] => Ask::Resume,
        ["confirm-fenced", holder] => Ask::ConfirmFenced {
            holder: holder.parse().unwrap(),
        },
        other => panic!("unknown request {other:?}"),
    };
    world.tell(format!("somebody asks: {}", words.join(" ")));
    if !world
        .leader
        .is_some_and(|leader| world.has_majority(leader))
    {
        world.tell("refused: no voter leads".to_owned());
        return;
    }
    let sight = world.sight();
    let reason = "somebody asked for it".to_owned();
    match ask::admit(&world.terms, &world.record, &sight, (asked, reason)) {
        Ok(change) => world.commit(&change),
        Err(refused) => world.tell(format!("refused: {refused}")),
    }
}

#[test]
fn every_scenario_ends_as_it_is_written() {
    let writes = std::env::var_os("HANSE_WRITE_SCENARIOS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let (script, expected) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
        let script = script.trim_end();
        let name = file.file_name().unwrap().to_string_lossy();
        assert!(
            script.starts_with("# "),
            "{name} must open with why it is there"
        );
        let log = play(script);
        if log == expected {
            continue;
        }
        if writes {
            std::fs::write(file, format!("{script}{SEPARATOR}{log}")).unwrap();
        } else {
            wrong.push(format!("{name}:\n{log}"));
        }
    }
    assert!(!files.is_empty());
    assert!(
        wrong.is_empty(),
        "{} scenarios end otherwise than written; if that is right, run scripts/fix\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
