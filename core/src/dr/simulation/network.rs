//! Links, and what is under way on them: it may come late, after what was sent later, or never.

use std::time::Duration;

use super::super::drill::DrillSight;
use super::super::duty::Duty;
use super::super::sight::CopySight;
use super::host::Renewal;
use super::world::{VOTERS, World};

/// How long something is under way at most, in ticks.
pub(super) const DELAY_MAX_TICKS: u32 = 30;
/// How long most of what is late is under way at most, in ticks.
const DELAY_TICKS: u32 = 5;
/// How long what is sent gets there still after the way back was cut, in ticks: then nobody waits for an
/// answer any more, and nobody connects.
const HALF_OPEN_TICKS: u32 = 50;

/// What one says to another.
#[derive(Debug)]
pub(super) enum Message {
    /// A guard asks the leader for its lease to be renewed.
    Renew(Renewal),
    /// The leader's answer to what was sent at a moment; none: the lease is another's.
    Renewed {
        epoch: u64,
        sent: Duration,
        ttl: Option<Duration>,
    },
    /// A copy tells the leader how it is.
    Report(CopySight),
    /// The leader tells what a copy has to be, and which drill it has.
    Duty {
        revision: u64,
        duty: Duty,
        drill: Option<u64>,
    },
    /// A copy tells the leader of its drill.
    Drilled(DrillSight),
    /// A copy gives a lease back.
    Release(u64),
    /// A standby tells its primary how far it is on a branch.
    Received { branch: u64, length: usize },
}

/// A message that is under way.
#[derive(Debug)]
pub(super) struct Letter {
    due_tick: u32,
    from: usize,
    to: usize,
    /// How often the one that it is for had been started.
    boots: u32,
    message: Message,
}

impl World {
    pub(super) fn is_up(&self, voter: usize) -> bool {
        match self.hosts.get(voter) {
            Some(host) => host.is_awake(),
            None => self.witness(voter).is_up,
        }
    }

    /// Whether both can talk: to connect needs both ways.
    pub(super) fn reaches(&self, a: usize, b: usize) -> bool {
        let is_whole = a == b || (self.cut[a][b].is_none() && self.cut[b][a].is_none());
        is_whole && self.is_up(a) && self.is_up(b)
    }

    /// Whether what one sends gets to the other. A connection outlives the loss of the way back a little.
    pub(super) fn carries(&self, from: usize, to: usize) -> bool {
        let half_open_ticks = if self.is_calm { 0 } else { HALF_OPEN_TICKS };
        let lives = |since: u32| self.tick - since < half_open_ticks;
        let is_whole = self.cut[from][to].is_none() && self.cut[to][from].is_none_or(lives);
        (from == to || is_whole) && self.is_up(from) && self.is_up(to)
    }

    pub(super) fn has_majority(&self, voter: usize) -> bool {
        let reached = (0..VOTERS).filter(|other| self.reaches(voter, *other));
        self.is_up(voter) && reached.count() > VOTERS / 2
    }

    /// From now on nothing that one sends gets to the other.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        let tick = self.tick;
        self.cut[from][to].get_or_insert(tick);
    }

    pub(super) fn cut_off(&mut self, alone: usize) {
        for other in 0..VOTERS {
            self.cut(alone, other);
            self.cut(other, alone);
        }
    }

    /// Sends something, which gets there at once or later.
    pub(super) fn send(&mut self, from: usize, to: usize, message: Message) {
        if !self.carries(from, to) {
            return;
        }
        let delay_ticks = self.delay_ticks();
        let letter = Letter {
            due_tick: self.tick + delay_ticks,
            from,
            to,
            boots: self.boots(to),
            message,
        };
        match delay_ticks {
            0 => self.deliver(letter),
            _ => self.letters.push(letter),
        }
    }

    fn delay_ticks(&mut self) -> u32 {
        if !self.once_in(8) {
            return 0;
        }
        let bound = match self.once_in(10) {
            true => DELAY_MAX_TICKS,
            false => DELAY_TICKS,
        };
        u32::try_from(self.random.below(u64::from(bound))).unwrap() + 1
    }

    pub(super) fn deliver_what_is_due(&mut self) {
        for letter in std::mem::take(&mut self.letters) {
            match letter.due_tick <= self.tick {
                true => self.deliver(letter),
                false => self.letters.push(letter),
            }
        }
    }

    fn deliver(&mut self, letter: Letter) {
        let (from, to) = (letter.from, letter.to);
        if self.boots(to) != letter.boots {
            return;
        }
        if !self.is_up(to) {
            // Whoever stands still finds it once it goes on; whoever is off never does.
            if self.hosts.get(to).is_some_and(|host| host.is_up) {
                self.letters.push(letter);
            }
            return;
        }
        let leads = self.leader == Some(to) && self.has_majority(to);
        match letter.message {
            Message::Renew(renewal) if leads => self.hear_renewal(from, renewal),
            Message::Report(copy) if leads => self.hear_report(from, copy),
            Message::Drilled(drill) if leads => self.hear_of_drill(from, drill),
            Message::Release(epoch) if leads => self.take_back(from, epoch),
            // It was for a leader that is none any more.
            Message::Renew(_) | Message::Report(_) | Message::Drilled(_) | Message::Release(_) => {}
            Message::Renewed { epoch, sent, ttl } => self.hosts[to].renewed((epoch, sent), ttl),
            Message::Duty {
                revision,
                duty,
                drill,
            } => self.hear_duty(to, (revision, duty), drill),
            Message::Received { branch, length } => {
                self.hosts[to].note_received(from, (branch, length));
            }
        }
    }

    fn boots(&self, voter: usize) -> u32 {
        self.hosts.get(voter).map_or(0, |host| host.boots)
    }
}
