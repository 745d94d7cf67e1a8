//! The servers: what is written, who receives it, and what is acknowledged.

use super::super::sight::CopyRole;
use super::network::Message;
use super::world::{COPIES, World, cluster, node};

impl World {
    pub(super) fn replicate(&mut self) {
        for number in 0..COPIES {
            if !self.hosts[number].is_awake() {
                continue;
            }
            let followed = self.followed_by(number);
            let source = followed.and_then(|primary| {
                let host = &self.hosts[primary];
                let database = host.disk.database.clone();
                (self.carries(primary, number) && host.writes())
                    .then_some((host.disk.epoch, database?))
            });
            let keeps_up = !self.once_in(4) && !self.stalled.contains(&number);
            let source = source.as_ref().map(|(epoch, database)| (*epoch, database));
            if self.hosts[number].is_to_stop() {
                self.send_the_rest(number);
            }
            self.hosts[number].obey(source, keeps_up);
            if let Some(primary) = followed {
                self.tell_what_it_has(number, primary);
            }
        }
    }

    /// The host that one is to follow.
    fn followed_by(&self, number: usize) -> Option<usize> {
        let primary = self.hosts[number].followed()?;
        (0..COPIES).find(|other| node(*other) == primary)
    }

    /// A standby that is on its primary's branch tells how far it is.
    fn tell_what_it_has(&mut self, standby: usize, primary: usize) {
        let host = &self.hosts[standby];
        let database = host.disk.database.as_ref();
        let follows = host.role == CopyRole::Following;
        if let Some(database) = database.filter(|_| follows) {
            let told = Message::Received {
                branch: database.branch,
                length: database.commits.len(),
            };
            self.send(standby, primary, told);
        }
    }

    /// A server that stops in good order ends once its followers have everything.
    fn send_the_rest(&mut self, primary: usize) {
        let database = self.hosts[primary].disk.database.clone();
        for number in (0..COPIES).filter(|number| *number != primary) {
            let is_connected = self.hosts[number].role == CopyRole::Following
                && self.followed_by(number) == Some(primary)
                && self.reaches(number, primary);
            if is_connected {
                self.hosts[number].disk.database.clone_from(&database);
            }
        }
    }

    /// Each writer writes, and acknowledges what enough others told to have.
    pub(super) fn write(&mut self) {
        for number in 0..COPIES {
            if !self.hosts[number].writes() {
                continue;
            }
            let commit = self.next_commit;
            self.next_commit += 1;
            let host = &mut self.hosts[number];
            let database = host.disk.database.as_mut().unwrap();
            database.commits.push_back(commit);
            let (branch, set) = (database.branch, &host.set);
            let has = |other: &usize, place: usize| {
                let told = host.received.get(other);
                let has_it = told.is_some_and(|(of, length)| *of == branch && *length > place);
                has_it && set.members.contains(&cluster(*other))
            };
            // From the newest back: all before one that is acknowledged are.
            for place in (0..database.commits.len()).rev() {
                let holders = (0..COPIES).filter(|other| has(other, place)).count();
                if (set.is_empty() || holders >= set.needed as usize)
                    && !self.acknowledged.insert(database.commits[place])
                {
                    break;
                }
            }
        }
    }
}
