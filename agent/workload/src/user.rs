//! Users of the system.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Users that were looked up: each turn asks for one, and a program tells.
static KNOWN: Mutex<BTreeMap<String, User>> = Mutex::new(BTreeMap::new());

/// A user of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) group_id: u32,
    /// All groups that it is in.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

impl User {
    /// A user by name or number, as it was when this process first asked; none: there is none.
    pub(crate) fn find(who: &str) -> Option<Self> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = known.get(who) {
            return Some(user.clone());
        }
        let user = look_up(who)?;
        known.insert(who.to_owned(), user.clone());
        Some(user)
    }

    /// What a program and its arguments are added to, to run as this user; it dies with whoever started
    /// it.
    pub(crate) fn words(&self) -> Vec<String> {
        vec![
            "setpriv".to_owned(),
            format!("--reuid={}", self.id),
            format!("--regid={}", self.group_id),
            "--init-groups".to_owned(),
            "--pdeathsig=KILL".to_owned(),
            "--".to_owned(),
        ]
    }

    /// The same as a command.
    pub(crate) fn starts(&self) -> tokio::process::Command {
        let words = self.words();
        let mut command = tokio::process::Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }
}

fn look_up(who: &str) -> Option<User> {
    let text = said("getent", &["passwd", "--", who])?;
    let fields: Vec<&str> = text.trim().split(':').collect();
    let name = (*fields.first()?).to_owned();
    let groups = said("id", &["-G", "--", &name])?;
    Some(User {
        id: fields.get(2)?.parse().ok()?,
        group_id: fields.get(3)?.parse().ok()?,
        groups: groups
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect(),
        home: (*fields.get(5)?).to_owned(),
        name,
    })
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()
}
