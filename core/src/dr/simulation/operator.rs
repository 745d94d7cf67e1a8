//! Somebody who sees to a plan that does nothing by itself, and never says what isn't so.

use super::super::ask::{self, Ask};
use super::world::{COPIES, World, node};

impl World {
    /// Asks for a failover once the plan says that it waits for one, makes sure that the old primary is off
    /// before saying so, and accepts a loss now and then.
    pub(super) fn operate(&mut self) {
        let is_manual = !self.is_calm && !self.terms.automatic_failover;
        if !is_manual || self.random.below(self.patience_ticks) > 0 {
            return;
        }
        if !self.leader.is_some_and(|leader| self.has_majority(leader)) {
            return;
        }
        let Some(why) = self.waits_for.clone() else {
            return;
        };
        let failover = |allows_data_loss| Ask::Failover {
            to: None,
            allows_data_loss,
        };
        let asked = if why.contains("run `hanse failover`") {
            failover(false)
        } else if why.contains("--allow-data-loss") && self.random.below(3) == 0 {
            failover(true)
        } else if why.contains("`hanse dr confirm-fenced`") {
            let Some(holder) = self.record.primary_node().cloned() else {
                return;
            };
            let number = (0..COPIES).find(|number| node(*number) == holder);
            self.power_off(number.unwrap());
            Ask::ConfirmFenced { holder }
        } else {
            return;
        };
        let sight = self.sight();
        let asked = (asked, "somebody asks".to_owned());
        if let Ok(change) = ask::admit(&self.terms, &self.record, &sight, asked) {
            self.commit(&change);
        }
    }

    /// Whatever it does, it does no more.
    pub(super) fn power_off(&mut self, number: usize) {
        if self.hosts[number].is_up {
            self.crash(number);
        }
    }
}
