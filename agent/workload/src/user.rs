//! Users of the system.

use std::process::Command;

/// A user of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) group_id: u32,
    pub(crate) home: String,
}

impl User {
    /// A user by name or number; none: there is none.
    pub(crate) fn find(who: &str) -> Option<Self> {
        let output = Command::new("getent").args(["passwd", "--", who]).output();
        let text = String::from_utf8(output.ok()?.stdout).ok()?;
        let fields: Vec<&str> = text.trim().split(':').collect();
        Some(Self {
            name: (*fields.first()?).to_owned(),
            id: fields.get(2)?.parse().ok()?,
            group_id: fields.get(3)?.parse().ok()?,
            home: (*fields.get(5)?).to_owned(),
        })
    }
}
