//! Where things of a copy are, beside what the plan says.

use std::path::PathBuf;

/// Where things of a copy are, beside what the plan says.
#[derive(Debug, Clone)]
pub struct Setup {
    /// A folder of root's, for what must not be forgotten.
    pub memory: PathBuf,
    /// A folder that is made for the server's user, with settings, keys and passwords. That user must
    /// be able to reach it.
    pub folder: PathBuf,
    /// A file that exists only for a server which the guard started.
    pub seal: PathBuf,
    /// What prints under the guard.
    pub log: PathBuf,
    /// Whose a server is that is made here.
    pub user: String,
    /// Where the distribution keeps the configuration of servers: `/etc/postgresql`.
    pub configurations: PathBuf,
    /// Where the server's socket is; unset: where its own configuration says. For hosts with several
    /// servers on one port.
    pub sockets: Option<PathBuf>,
}
