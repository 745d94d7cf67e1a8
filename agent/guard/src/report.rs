//! What a guard tells of itself, out of what it decided.

use std::time::Duration;

use crate::machine::Machine;
use crate::order::{Process, Status};

impl Machine {
    /// What is told now.
    pub(crate) fn status(&mut self, now: Duration) -> Option<Status> {
        let order = self.order.as_ref();
        // That a lease's end fences is true once the kernel's timer is set, and not before.
        if let Some(order) = order.filter(|_| self.is_covered()) {
            self.serial = order.serial;
        }
        let lease = order.and_then(|order| order.lease.as_ref());
        Some(Status {
            serial: self.serial,
            epoch: lease.map(|terms| terms.epoch),
            may_write: self.may_write(now),
            is_lost: self.lease.as_ref().is_some_and(|held| held.is_lost),
            process: self.process(),
            observed: self.observed.clone(),
            trouble: None,
            watchdog: false,
        })
    }

    fn process(&self) -> Process {
        match (&self.copy, &self.gave_up) {
            (Some(copy), _) if !copy.is_wanted() => Process::Stopping,
            (Some(copy), _) => match copy.pid {
                Some(pid) => Process::Running {
                    start: copy.start,
                    pid,
                },
                None => Process::Stopped {
                    ended: self.ended.clone(),
                },
            },
            (None, Some(reason)) => Process::GaveUp {
                reason: reason.clone(),
            },
            (None, None) => Process::Stopped {
                ended: self.ended.clone(),
            },
        }
    }
}
