//! The servers: what is written, who receives it, and what is acknowledged.

use super::super::sight::CopyRole;
use super::world::{COPIES, World, cluster, node};

impl World {
    pub(super) fn replicate(&mut self) {
        for number in 0..COPIES {
            if !self.hosts[number].is_awake() {
                continue;
            }
            let source = self.hosts[number].followed().and_then(|primary| {
                let primary = (0..COPIES).find(|n| node(*n) == primary)?;
                let host = &self.hosts[primary];
                (self.reaches(number, primary) && host.writes())
                    .then(|| (host.disk.epoch, host.disk.database.clone()))
            });
            let keeps_up = !self.once_in(4) && !self.stalled.contains(&number);
            let source = source.and_then(|(epoch, database)| Some((epoch, database?)));
            let source = source.as_ref().map(|(epoch, database)| (*epoch, database));
            if self.hosts[number].is_to_stop() {
                self.send_the_rest(number);
            }
            self.hosts[number].obey(source, keeps_up);
        }
    }

    /// A server that stops in good order ends once its followers have everything.
    fn send_the_rest(&mut self, primary: usize) {
        let database = self.hosts[primary].disk.database.clone();
        for number in (0..COPIES).filter(|number| *number != primary) {
            let is_connected = self.hosts[number].role == CopyRole::Following
                && self.hosts[number].followed() == Some(node(primary))
                && self.reaches(number, primary);
            if is_connected {
                self.hosts[number].disk.database.clone_from(&database);
            }
        }
    }

    /// Each writer writes, and acknowledges what enough others have.
    pub(super) fn write(&mut self) {
        for number in 0..COPIES {
            if !self.hosts[number].writes() {
                continue;
            }
            let commit = self.next_commit;
            self.next_commit += 1;
            let database = self.hosts[number].disk.database.as_mut().unwrap();
            database.commits.push_back(commit);
            let branch = database.branch;
            let commits = database.commits.clone();
            let set = self.hosts[number].set.clone();
            let has = |other: &usize, place: usize| {
                let database = self.hosts[*other].disk.database.as_ref();
                let is_here = set.members.contains(&cluster(*other));
                is_here
                    && self.hosts[*other].role == CopyRole::Following
                    && database.is_some_and(|database| {
                        database.branch == branch && database.commits.len() > place
                    })
            };
            // From the newest back: all before one that is acknowledged are.
            for place in (0..commits.len()).rev() {
                let holders = (0..COPIES).filter(|other| has(other, place)).count();
                if (set.is_empty() || holders >= set.needed as usize)
                    && !self.acknowledged.insert(commits[place])
                {
                    break;
                }
            }
        }
    }
}
