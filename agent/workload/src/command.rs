//! What users' own programs keep. `docs/command-workload.md` says what is asked of them.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use hanse_core::dr::duty::{CopyPlan, DrillOrder};
use hanse_core::object::dr_plan::{Call, Commands, Workload};

use crate::cage::Cage;
use crate::call::{Calling, Runs, of_plan};
use crate::drill::{self, Findings};
use crate::memory::Kept;
use crate::plain::{Memory, Of, Received, Situation, Works, Writer, user};
use crate::setup::Setup;
use crate::trouble::Trouble;
use crate::user::User;

/// The last that a standby tries to receive may take so long: a primary that is gone answers nothing,
/// and the failover waits for this.
const LAST_MAX: Duration = Duration::from_secs(5);
/// No position is longer.
const POSITION_MAX: usize = 64;
/// What is read of a program that prints one.
const PRINTED_MAX: usize = 4 << 10;

/// The programs of one plan on this node.
pub(crate) struct Programs {
    commands: Commands,
    user: User,
    writer: Option<Writer>,
}

#[async_trait]
impl Works for Programs {
    fn find(_: &Setup, plan: &CopyPlan) -> Result<Self, Trouble> {
        let Workload::Command(commands) = &plan.workload else {
            return Err(Trouble(format!(
                "the DR plan `{}` was kept by commands, and protects something else now: declare a \
                 plan of another name for it",
                plan.plan
            )));
        };
        let user = user(&commands.user)?;
        let writer = commands.run.as_ref().map(|run| Writer {
            command: run.command.clone(),
            stop_max: run.timeout.value(),
            user: user.clone(),
        });
        Ok(Self {
            commands: commands.clone(),
            user,
            writer,
        })
    }

    fn of(&self) -> Of {
        Of {
            path: String::new(),
            repository: String::new(),
        }
    }

    fn writer(&self) -> Option<&Writer> {
        self.writer.as_ref()
    }

    fn interval(&self) -> Duration {
        self.commands.interval.value()
    }

    async fn prepare(&self, at: &Situation<'_>) -> Result<(), Trouble> {
        self.verify(at).await
    }

    async fn receive(&self, at: &Situation<'_>) -> Result<Received, Trouble> {
        let mut replicate = of_plan(
            "replicate",
            &self.commands.replicate,
            &self.user,
            at.environment(),
        );
        if at.role() == "detached" {
            replicate.limit = replicate.limit.min(LAST_MAX);
        }
        replicate.call().await?;
        self.verify(at).await?;
        Ok(Received {
            branch: at.epoch(),
            offset_bytes: self.measure(at).await?,
        })
    }

    async fn publish(&self, at: &Situation<'_>) -> Result<u64, Trouble> {
        self.measure(at).await
    }

    async fn measure(&self, at: &Situation<'_>) -> Result<u64, Trouble> {
        // What it received last may have been cut off in the middle.
        if matches!(at.role(), "detached" | "stopped") {
            self.verify(at).await?;
        }
        let what = "learn how far this copy is";
        let lag = of_plan(what, &self.commands.lag, &self.user, at.environment());
        position(&lag.ask(PRINTED_MAX).await?).map_err(|why| {
            let program = self.commands.lag.command.first();
            Trouble(format!(
                "unable to {what}: {} is to print one whole number from 0 on, and {why}",
                program.map_or("lag", String::as_str)
            ))
        })
    }

    async fn promote(&self, at: &Situation<'_>) -> Result<(), Trouble> {
        self.call("promote this copy", &self.commands.promote, at)
            .await
    }

    async fn demote(&self, at: &Situation<'_>) -> Result<(), Trouble> {
        self.call("demote this copy", &self.commands.demote, at)
            .await
    }
}

impl Programs {
    async fn verify(&self, at: &Situation<'_>) -> Result<(), Trouble> {
        match &self.commands.verify {
            None => Ok(()),
            Some(verify) => self.call("verify this copy", verify, at).await,
        }
    }

    async fn call(&self, what: &str, call: &Call, at: &Situation<'_>) -> Result<(), Trouble> {
        let calling = of_plan(what, call, &self.user, at.environment());
        calling.call().await
    }
}

/// Holds a drill: no copy is made, and the user's own programs say whether this one is whole.
pub(crate) async fn practise(
    setup: &Setup,
    cage: &Cage,
    (order, plan, commands): (&DrillOrder, &CopyPlan, &Commands),
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let user = user(&commands.user)?;
    let memory = Kept::open(&setup.memory, &plan.plan, Memory::new)?;
    let memory = memory.get();
    let mut environment = Situation { plan, memory }.environment();
    environment.insert("HANSE_DRILL".to_owned(), order.number.to_string());
    let verify = commands.verify.as_ref();
    if verify.is_none() && order.command.is_empty() {
        return Err(Trouble(
            "nothing says whether this copy is whole: declare workload.command.verify or drill.command"
                .to_owned(),
        ));
    }
    if let Some(verify) = verify {
        let name = verify.command.first().cloned().unwrap_or_default();
        findings.say(&format!("{name} verifies this copy"));
        let since = Instant::now();
        // It is called as ever, and asks whatever it asks then; what it leaves goes with the drill.
        let command = [&cage.starter()[..], &user.words(), &verify.command].concat();
        let calling = Calling {
            what: "have this copy verified",
            command: &command,
            limit: verify.timeout.value(),
            runs: Runs::Here,
            environment: environment.clone(),
            folder: None,
            install: None,
        };
        findings.checked(&name, since, calling.call().await);
    }
    if order.command.is_empty() {
        return Ok(());
    }
    cage.cover_sockets(&[]).await?;
    drill::verify(cage, (order, &user), environment, findings).await;
    Ok(())
}

/// The position that was printed, or what was printed instead.
fn position(printed: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(printed).map_err(|_| "prints what is no text".to_owned())?;
    let text = text.trim();
    if text.is_empty() {
        return Err("prints nothing".to_owned());
    }
    if text.len() > POSITION_MAX {
        return Err(format!("prints {} bytes", text.len()));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.ok_or_else(|| format!("prints `{}`", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_one_whole_number_and_nothing_else() {
        assert_eq!(position(b"17\n"), Ok(17));
        assert_eq!(position(b"0"), Ok(0));
        assert_eq!(position(b" 18446744073709551615 \n"), Ok(u64::MAX));
        for printed in [
            &b""[..],
            b"\n",
            b"-1",
            b"+1",
            b"1.5",
            b"1 2",
            b"1\n2",
            b"18446744073709551616",
            b"0x10",
            b"lots",
            b"\xff\xfe",
            "\u{664}".as_bytes(),
            &[b'1'; 70],
        ] {
            let told = position(printed);
            assert!(told.is_err(), "{printed:?} was taken for {told:?}");
        }
    }
}
