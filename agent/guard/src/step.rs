//! What the guard does at a moment, given everything that [`Machine`] knows: one rule after another,
//! the fence first.

use std::time::Duration;

use hanse_core::dr::guard::GuardStep;

use crate::copy::{Copy, Ending, Silence};
use crate::held::Held;
use crate::machine::{Command, INTERVAL, Machine};
use crate::message::milliseconds;
use crate::restart::Next;
use crate::seams::Renewal;
use crate::store::Back;

/// The loop turns at least once in a second; one that did not for so long stood still.
const GAP_MAX: Duration = Duration::from_secs(2);

impl Machine {
    /// What is to be done now.
    pub(crate) fn step(&mut self, now: Duration) -> Vec<Command> {
        let mut commands = Vec::new();
        self.turned(now);
        self.fence(now, &mut commands);
        self.stop(now, &mut commands);
        self.start(now, &mut commands);
        self.arm(&mut commands);
        self.renew(now, &mut commands);
        self.give_back(now, &mut commands);
        self.observe(now, &mut commands);
        commands
    }

    /// While this did not turn, nobody can tell whether the server answered.
    fn turned(&mut self, now: Duration) {
        let before = self.turned_at.replace(now);
        let stood_still = before.is_some_and(|before| now.saturating_sub(before) > GAP_MAX);
        if let Some(copy) = self.copy.as_mut().filter(|_| stood_still) {
            copy.silence = Silence::default();
        }
    }

    fn fence(&mut self, now: Duration, commands: &mut Vec<Command>) {
        let Some(copy) = self.copy.as_ref().filter(|copy| !copy.is_killed()) else {
            return;
        };
        let is_lost = self.lease.as_ref().is_some_and(|held| held.is_lost);
        let why = if is_lost && (copy.is_leased || self.terms().is_some()) {
            "its lease is another's"
        } else if copy.is_leased && self.ruling().is_none_or(|held| !held.may_run(now)) {
            "its lease was not renewed in time"
        } else {
            return;
        };
        self.kill(why.to_owned(), now, commands);
    }

    fn stop(&mut self, now: Duration, commands: &mut Vec<Command>) {
        let wanted = self.wanted();
        let has_lease = self.terms().is_some();
        let Some(copy) = self.copy.as_ref() else {
            return;
        };
        let is_wanted = wanted.is_some_and(|wanted| wanted.is_alike(&copy.program));
        let must_go = !is_wanted || copy.is_leased && !has_lease;
        let stop_max = Duration::from_millis(copy.program.stop_max_ms);
        let fences = self.fences();
        let interval = self.terms().map_or(0, |terms| terms.check_interval_ms);
        let silent_for = copy
            .silent_for(now, Duration::from_millis(interval))
            .filter(|_| copy.is_leased && fences);
        match copy.ending {
            Some(Ending::Killed { .. }) => {}
            Some(Ending::Asked { kill_at }) if now >= kill_at => {
                let why = format!("it did not stop within {} ms", stop_max.as_millis());
                self.kill(why, now, commands);
            }
            Some(Ending::Asked { .. }) => {}
            // It isn't there to be asked.
            None if must_go && copy.pid.is_none() => {
                self.kill("it was stopped before it began".to_owned(), now, commands);
            }
            None if must_go => {
                commands.push(Command::Ask(copy.program.stop_signal));
                let kill_at = now.saturating_add(stop_max);
                if let Some(copy) = &mut self.copy {
                    copy.ending = Some(Ending::Asked { kill_at });
                }
            }
            None if silent_for.is_some() => {
                let seconds = silent_for.unwrap_or_default().as_secs();
                let why = format!(
                    "it has not answered for {seconds} s; see its log {}",
                    copy.program.log.display()
                );
                match self.restarts.ended(now.saturating_sub(copy.since), fences) {
                    Next::Again { .. } => self.is_restart = true,
                    Next::Enough => self.gave_up = Some(why.clone()),
                }
                self.kill(why, now, commands);
            }
            None if fences && copy.writes_by.is_some_and(|by| now >= by) => {
                let why = format!(
                    "it was started again and did not write in time; see its log {}",
                    copy.program.log.display()
                );
                self.gave_up = Some(why.clone());
                self.kill(why, now, commands);
            }
            None => {}
        }
    }

    fn start(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if self.copy.is_some() || now < self.not_before || !self.may_start(now) {
            return;
        }
        let Some(program) = self.wanted().cloned() else {
            return;
        };
        let terms = self.terms();
        let is_leased = terms.is_some();
        let writes_by = terms
            .filter(|_| self.is_restart && self.fences())
            .map(|terms| now.saturating_add(Duration::from_millis(terms.restart_max_ms)));
        let held = self.lease.as_ref().filter(|_| is_leased);
        let at_ms = held.and_then(Held::kernel_stops_at).map(milliseconds);
        self.is_restart = false;
        self.last_start += 1;
        commands.push(Command::Start {
            start: self.last_start,
            program: Box::new(program.clone()),
            at_ms,
        });
        self.copy = Some(Copy {
            start: self.last_start,
            program,
            pid: None,
            since: now,
            is_leased,
            asked_ms: at_ms,
            armed_ms: None,
            ending: None,
            writes_by,
            wrote_at: None,
            silence: Silence::default(),
        });
    }

    fn arm(&mut self, commands: &mut Vec<Command>) {
        let at_ms = self
            .ruling()
            .and_then(Held::kernel_stops_at)
            .map(milliseconds);
        if let Some(copy) = &mut self.copy
            && copy.is_leased
            && !copy.is_killed()
            && copy.asked_ms != at_ms
        {
            copy.asked_ms = at_ms;
            commands.push(Command::Arm { at_ms });
        }
    }

    fn renew(&mut self, now: Duration, commands: &mut Vec<Command>) {
        let runs = self.runs_under_lease();
        let observed = self.observed.clone();
        let renews = self.renews();
        let Some(held) = self.lease.as_mut().filter(|_| renews) else {
            return;
        };
        match held.step(now, runs) {
            GuardStep::Renew | GuardStep::RenewStopped => {
                held.asked(now);
                commands.push(Command::Renew(Renewal {
                    epoch: held.epoch(),
                    observed,
                    fences_itself: held.terms().fences_itself,
                    answer_max: held.answer_max(),
                }));
            }
            GuardStep::Rest { .. } | GuardStep::Stop => {}
        }
    }

    fn give_back(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if !self.gives_back() || now < self.give_back_at {
            return;
        }
        self.give_back_at = now + INTERVAL;
        if let Some(held) = &mut self.lease {
            held.goes_back = true;
            self.back = Some(Back {
                epoch: held.epoch(),
                is_known: false,
            });
            commands.push(Command::GiveBack {
                epoch: held.epoch(),
            });
        }
    }

    fn observe(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if let Some(copy) = &mut self.copy
            && copy.pid.is_some()
            && !copy.is_killed()
            && now >= self.observe_at
        {
            copy.silence.asked(now);
            // The answer sets the next moment; this one is for when none comes.
            self.observe_at = now + 2 * INTERVAL;
            commands.push(Command::Observe { start: copy.start });
        }
    }

    fn kill(&mut self, why: String, at: Duration, commands: &mut Vec<Command>) {
        if let Some(copy) = &mut self.copy {
            copy.ending = Some(Ending::Killed { why, at });
            commands.push(Command::Kill);
        }
    }
}
