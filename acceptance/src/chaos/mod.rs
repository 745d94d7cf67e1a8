//! Faults of voters during a stream of `terraform apply`, and what must hold whatever they are.
//!
//! Every apply ends in success or in an error that names the voters and what to do. After the fault
//! all voters have the same state by themselves, nothing that was acknowledged is lost, and a plan
//! is empty or is completed by one apply.

mod fault;
mod ledger;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::configuration::Configuration;
use crate::federation::{FEDERATION, Federation};
use crate::laboratory::{Laboratory, Process};
use crate::operator::Operator;
use crate::terraform::Terraform;
use crate::wait::{pause_before_fault, wait_until, wait_until_true};

pub use fault::{Act, Fault, Target, shuffled};
pub use ledger::Ledger;

/// How long an apply may take, whatever happens: it reads and then writes, each with patience.
const APPLY_TIMEOUT: Duration = Duration::from_secs(180);
/// How long the voters may take to agree once the fault is over.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(90);
/// The longest that is waited between the start of an apply and the fault: an apply takes about so
/// long.
const MOMENT_MAX_MS: u64 = 2_000;
/// What an error must hold, one of them at least, to say what to do.
const ADVICE: [&str; 2] = ["try again", "Try again"];

/// A federation of voters under a stream of applies.
#[derive(Debug)]
pub struct Campaign<'l> {
    laboratory: &'l Laboratory,
    federation: Federation<'l>,
    terraform: Terraform<'l>,
    random: StdRng,
    changes: u64,
    /// Whether the last change is still to be made: whoever was refused tries the same again.
    is_owed: bool,
    revision: u64,
    ledger: Ledger,
}

/// One apply on its way.
struct Apply {
    process: Process,
    began: Instant,
}

impl<'l> Campaign<'l> {
    /// Raises the federation, every host a voter, and declares something.
    ///
    /// # Errors
    ///
    /// When any of it fails.
    pub fn raise(laboratory: &'l Laboratory, seed: u64) -> Result<Self> {
        let federation = Federation::raise_voters(laboratory)?;
        let terraform = federation.terraform(&configuration(0))?;
        terraform.apply()?;
        let revision = federation.revision()?;
        Ok(Self {
            laboratory,
            federation,
            terraform,
            random: StdRng::seed_from_u64(seed),
            changes: 0,
            is_owed: false,
            revision,
            ledger: Ledger::default(),
        })
    }

    /// One fault in the midst of applies, and everything that must hold then.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn suffer(&mut self, fault: Fault) -> Result<()> {
        let length = fault::length_ms(fault, &mut self.random);
        self.suffer_for(fault, Duration::from_millis(length))
    }

    /// The same with a fault that lasts so long.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn suffer_for(&mut self, fault: Fault, length: Duration) -> Result<()> {
        let leader = self.federation.leader()?;
        let count = self.federation.agents.len();
        let victims = fault.victims(leader, count, &mut self.random);
        let what = format!("{fault} {victims:?} of {count} for {length:?}, {leader} leads");
        let moment = self.random.random_range(0..MOMENT_MAX_MS);
        self.ledger.note_round(fault);
        let first = self.begin_apply()?;
        pause_before_fault(Duration::from_millis(moment));
        fault.begin(self.laboratory, &mut self.federation, &victims)?;
        let over = Instant::now() + length;
        let on_its_way = self
            .apply_until(fault, first, over)
            .with_context(|| what.clone())?;
        fault.end(self.laboratory, &mut self.federation, &victims)?;
        let succeeded = self.end_apply(fault, on_its_way);
        let succeeded = succeeded.with_context(|| what.clone())?;
        self.agree().with_context(|| what.clone())?;
        self.complete(succeeded).with_context(|| what)
    }

    /// How applies ended up to now.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Applies one change after another until the time is up; yields the last, which may still run.
    fn apply_until(&mut self, fault: Fault, first: Apply, over: Instant) -> Result<Apply> {
        let mut apply = first;
        loop {
            let left = over.saturating_duration_since(Instant::now());
            // An apply that still runs when the time is up is no failure.
            let ended = wait_until("the apply ends", left, || {
                Ok((!apply.process.is_running()?).then_some(()))
            });
            if ended.is_err() || Instant::now() >= over {
                return Ok(apply);
            }
            self.end_apply(fault, apply)?;
            apply = self.begin_apply()?;
        }
    }

    fn begin_apply(&mut self) -> Result<Apply> {
        self.changes += u64::from(!self.is_owed);
        let text = configuration(self.changes).to_string();
        self.terraform.write("main.tf", &text)?;
        let arguments = ["apply", "-no-color", "-auto-approve"];
        let invocation = self.terraform.invocation(arguments)?;
        Ok(Apply {
            process: self.laboratory.spawn("apply", invocation)?,
            began: Instant::now(),
        })
    }

    /// Waits for the apply's end: whether it succeeded. An error that doesn't help is one of ours.
    fn end_apply(&mut self, fault: Fault, mut apply: Apply) -> Result<bool> {
        let ended = apply.process.wait(APPLY_TIMEOUT)?;
        self.ledger
            .note_apply(fault, ended.success(), apply.began.elapsed());
        self.is_owed = !ended.success();
        if self.is_owed {
            is_clear(&apply.process.log()?)?;
        }
        Ok(ended.success())
    }

    /// Waits until every voter votes, lacks nothing and tells the same story.
    fn agree(&self) -> Result<()> {
        let count = self.federation.agents.len();
        wait_until_true("the voters agree", AGREEMENT_TIMEOUT, || {
            let status = self.federation.operator.hanse_json(["status"])?;
            let voters = status["voters"].as_array().cloned().unwrap_or_default();
            let whole = voters
                .iter()
                .filter(|voter| voter["votes"] == true && voter["lag_entries"] == 0);
            ensure!(whole.count() == count, "{status}");
            let mut stories = Vec::new();
            for agent in &self.federation.agents {
                stories.push(self.story_of(agent.host().ipv4().as_str())?);
            }
            ensure!(
                stories.windows(2).all(|two| two[0] == two[1]),
                "{stories:?}"
            );
            Ok(true)
        })
    }

    /// What happened, as the voter there has it: it answers that by itself.
    fn story_of(&self, address: &str) -> Result<String> {
        let endpoint = format!("{address}:{}", crate::agent::API_PORT);
        let credentials = self.federation.operator.credentials();
        let one = Operator::new(self.laboratory, &endpoint, credentials);
        Ok(one.hanse(["events", "--json"])?.success()?.stdout)
    }

    /// Nothing that was acknowledged is lost, and one apply does what is left to do.
    fn complete(&mut self, succeeded: bool) -> Result<()> {
        let revision = self.federation.revision()?;
        let before = self.revision;
        ensure!(
            revision >= before,
            "{before} was acknowledged, {revision} is left"
        );
        let plan = self.terraform.plan().context("the plan afterwards")?;
        if plan.has_changes {
            let said = &plan.output.stdout;
            ensure!(!succeeded, "an acknowledged change is gone:\n{said}");
            self.terraform.apply().context("the apply afterwards")?;
            let left = self.terraform.plan()?;
            ensure!(
                !left.has_changes,
                "one apply does not complete it:\n{}",
                left.output.stdout
            );
        }
        self.is_owed = false;
        self.revision = self.federation.revision()?;
        Ok(())
    }
}

/// The labels change with every number; member clusters come, change and go.
fn configuration(number: u64) -> Configuration {
    let mut configuration = Configuration::mesh(FEDERATION, []);
    configuration.address_pools.clear();
    let labels = format!("labels = {{ change = \"{number}\" }}");
    configuration.federation_lines.push(labels);
    for site in 0..3 {
        if !(number + site).is_multiple_of(3) {
            let networks = vec![format!("10.{site}.{}.0/24", number % 200)];
            configuration.site(&format!("town{site}")).networks = networks;
        }
    }
    configuration
}

/// An apply that failed names a voter and what to do.
fn is_clear(said: &str) -> Result<()> {
    let words: Vec<&str> = said
        .split([' ', '\n', '│'])
        .filter(|word| !word.is_empty())
        .collect();
    let text = words.join(" ");
    let is_named = text.contains("10.99.0.");
    let says_what_to_do = ADVICE.iter().any(|advice| text.contains(advice));
    ensure!(
        text.contains("Error: ") && is_named && says_what_to_do && !text.contains("panicked"),
        "an apply failed without saying at which voters or what to do:\n{said}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_clear_only_if_it_names_a_voter_and_what_to_do() {
        let clear = "╷\n│ Error: Unable to update\n│ no voter could do this: 10.99.0.2:7443:\n\
                     │ refused. Mend it, then try\n│ again\n╵";
        is_clear(clear).unwrap();
        for unclear in [
            "Error: Unable to update: transport error, try again",
            "Error: Unable to update: 10.99.0.2:7443: transport error",
            "10.99.0.2:7443: try again",
        ] {
            is_clear(unclear).unwrap_err();
        }
    }
}
