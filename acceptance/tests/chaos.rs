//! Voters die, stand still and are cut off while somebody applies: every apply ends in success or
//! in an error that says what to do, and afterwards all is as it was declared.

use std::time::Duration;

use anyhow::{Context, Result};
use hanse_acceptance::Laboratory;
use hanse_acceptance::chaos::{Act, Campaign, Fault, Target};
use rand::Rng;

#[test]
fn applies_end_well_or_clearly_while_voters_die_stand_still_and_are_cut_off() -> Result<()> {
    let seed = seed();
    short_round(seed).with_context(|| format!("HANSE_SEED={seed}"))
}

/// The faults that are worst for whoever applies, each as long as an election takes.
fn short_round(seed: u64) -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut campaign = Campaign::raise(&laboratory, seed)?;
    let length = Duration::from_secs(6);
    for (act, target) in [
        (Act::Kill, Target::Leader),
        (Act::CutFromVoters, Target::Leader),
        (Act::Freeze, Target::Majority),
    ] {
        campaign.suffer_for(Fault { act, target }, length)?;
    }
    let (succeeded, _) = campaign.ledger().totals();
    anyhow::ensure!(succeeded > 0, "no apply succeeded");
    Ok(())
}

#[cfg(feature = "long")]
mod long {
    use hanse_acceptance::chaos::{Ledger, shuffled};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// The folder for the tables, for whoever wants to keep them.
    const TABLE_VARIABLE: &str = "HANSE_CHAOS_TABLE";
    /// How often each fault happens; once, if nothing is said.
    const ROUNDS_VARIABLE: &str = "HANSE_CHAOS_ROUNDS";

    #[test]
    fn three_voters_survive_every_fault() -> Result<()> {
        survive(3, "three")
    }

    #[test]
    fn five_voters_survive_every_fault() -> Result<()> {
        survive(5, "five")
    }

    fn survive(count: u8, name: &str) -> Result<()> {
        let seed = seed();
        let ledger = rounds(seed, count).with_context(|| format!("HANSE_SEED={seed}"))?;
        match std::env::var_os(TABLE_VARIABLE) {
            Some(folder) => {
                let path = std::path::Path::new(&folder).join(name);
                std::fs::write(path, format!("Seed {seed}.\n\n{ledger}"))?;
            }
            None => eprintln!("{ledger}"),
        }
        Ok(())
    }

    fn rounds(seed: u64, count: u8) -> Result<Ledger> {
        let laboratory = Laboratory::start(count)?;
        let mut campaign = Campaign::raise(&laboratory, seed)?;
        let mut random = StdRng::seed_from_u64(seed);
        let asked = std::env::var(ROUNDS_VARIABLE).ok();
        for _ in 0..asked.map_or(Ok(1), |text| text.parse::<u32>())? {
            for fault in shuffled(&mut random) {
                let began = std::time::Instant::now();
                campaign.suffer(fault)?;
                eprintln!("{fault}: {:.0?}", began.elapsed());
            }
        }
        Ok(campaign.ledger().clone())
    }
}

/// The seed that is asked for, or one of its own; it is told when the test fails.
fn seed() -> u64 {
    let asked = std::env::var("HANSE_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    asked.unwrap_or_else(|| rand::rng().random())
}
