//! PostgreSQL: what a copy of it is made of, and each step that its keeper takes with it.

mod adopt;
mod alone;
mod announced;
pub(crate) mod backup;
mod basebackup;
mod behind;
mod certificate;
mod command;
mod configure;
mod control;
mod decide;
mod execute;
mod files;
mod hba;
mod holder;
mod keeper;
mod kept_aside;
mod lag;
mod layout;
mod listen;
mod log_files;
mod look;
mod lsn;
mod measured;
mod memory;
mod names;
mod observe;
mod practise;
mod provide;
mod rehearsal;
mod remarks;
mod rewind;
mod room;
mod seed;
mod session;
mod settings;
mod source;
mod tablespaces;
mod withdraw;

pub(crate) use command::check;
pub(crate) use configure::{Aim, Own, let_listen_early, others, reload};
pub(crate) use control::{Control, State};
pub(crate) use holder::Holder;
pub(crate) use keeper::Keeper;
pub(crate) use layout::Server;
pub(crate) use names::slot;
pub(crate) use observe::{Answer, Observer};
pub(crate) use practise::practise;
pub(crate) use provide::provide;
pub(crate) use session::Session;
pub(crate) use source::{Primary, ask, connection};

pub use observe::PostgresqlWatch;
pub use withdraw::withdraw;

use std::time::Duration;

/// How long a server may take to end in good order before it is killed.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(60);
/// The role under which copies receive from one another.
pub(crate) const ROLE: &str = "hanse_replication";
