//! What goes wrong: hosts die and come back, stand still with or without their clocks, and links are cut,
//! one way or both.

use super::world::{COPIES, VOTERS, World};

impl World {
    /// A minute of peace, then five of faults.
    pub(super) fn suffer(&mut self) {
        self.run_for_ticks(200);
        self.suffer_for_ticks(1500);
    }

    /// So many ticks of faults.
    pub(super) fn suffer_for_ticks(&mut self, ticks: u32) {
        for _ in 0..ticks {
            if self.random.below(40) == 0 {
                self.fault();
            }
            self.run_for_ticks(1);
        }
    }

    fn fault(&mut self) {
        match self.random.below(9) {
            0 | 1 => {
                let host = self.random.pick(COPIES);
                if self.hosts[host].is_up {
                    self.crash(host);
                }
            }
            2 | 3 => {
                let host = self.random.pick(COPIES);
                if !self.hosts[host].is_up {
                    self.restart(host);
                }
            }
            4 => {
                let (a, b) = (self.random.pick(VOTERS), self.random.pick(VOTERS));
                self.tell(format!("cut {a} → {b}"));
                self.cut(a, b);
            }
            5 => {
                let alone = self.random.pick(VOTERS);
                self.tell(format!("cut off {alone}"));
                self.cut_off(alone);
            }
            6 => {
                self.tell("links are whole".to_owned());
                self.cut = Default::default();
            }
            7 => self.stand_still(),
            _ => {
                let witness = COPIES + self.random.pick(VOTERS - COPIES);
                let is_up = &mut self.witness_mut(witness).is_up;
                *is_up = !*is_up;
            }
        }
    }

    /// A host's processes stand still, or all of its machine.
    fn stand_still(&mut self) {
        let host = self.random.pick(COPIES);
        if !self.hosts[host].is_awake() {
            return;
        }
        if self.has_pauses && self.random.below(2) == 0 {
            self.tell(format!("the machine of c{host} is paused"));
            self.hosts[host].is_paused = true;
            return;
        }
        self.tell(format!("c{host} stands still"));
        self.hosts[host].frozen_for_ticks = Some(0);
    }

    pub(super) fn heal(&mut self) {
        self.tell("everything heals".to_owned());
        self.cut = Default::default();
        for witness in &mut self.witnesses {
            witness.is_up = true;
        }
        for number in 0..COPIES {
            self.wake(number);
            let host = &mut self.hosts[number];
            host.is_up = true;
            host.frozen_for_ticks = None;
        }
    }

    /// A machine that was paused goes on as if nothing had been.
    pub(super) fn wake(&mut self, number: usize) {
        if self.hosts[number].is_paused {
            self.tell(format!("the machine of c{number} goes on"));
            let tick = self.tick;
            let host = &mut self.hosts[number];
            host.is_paused = false;
            host.woke_tick = Some(tick);
        }
    }
}
