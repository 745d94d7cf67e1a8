//! The agent of every node, the voter's API and the operator's command line.
//!
//! A voter keeps the federation's state and tells every node its plan; every agent, the voter's
//! own included, follows its plan over the same API and hands it to the data plane. What is
//! allowed and what follows from it is decided in `hanse-core`; what happens to the host's network
//! is `hanse-dataplane`'s.

pub mod audit;
pub mod bundle;
pub mod clock;
pub mod comeback;
pub mod command;
pub mod consensus;
pub mod copies;
pub mod data;
pub mod duty;
pub mod follower;
pub mod founding;
pub mod guard;
pub mod identity;
pub mod logging;
pub mod notify;
pub mod preshared;
pub mod run;
pub mod server;
