//! The systems that the bench knows: one line each.

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::auto_failover::{self, AutoFailover};
use super::cluster::{Cluster, Replication, Variant};
use super::fault::Fault;
use super::hanse::{self, Hanse};
use super::in_guest::InGuest;
use super::patroni::{self, Patroni};
use crate::laboratory::Laboratory;

/// A system under test.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Patroni with etcd.
    Patroni,
    /// This project.
    Hanse,
    /// The same, and the primary's home is a machine of its own.
    HanseInGuest,
    /// pg_auto_failover with its monitor.
    #[value(name = "pg_auto_failover")]
    PgAutoFailover,
}

impl System {
    /// How many hosts it needs.
    #[must_use]
    pub fn hosts(self) -> u8 {
        match self {
            Self::Hanse | Self::HanseInGuest => hanse::HOSTS,
            Self::Patroni => patroni::HOSTS,
            Self::PgAutoFailover => auto_failover::HOSTS,
        }
    }

    /// A laboratory that it can stand in.
    ///
    /// # Errors
    ///
    /// When the machine lacks something; the message names the command that mends it.
    pub fn laboratory(self) -> Result<Laboratory> {
        match self {
            // Its servers run as `postgres`, as on any host.
            Self::Hanse | Self::HanseInGuest => Laboratory::start_with_users(self.hosts()),
            Self::Patroni | Self::PgAutoFailover => Laboratory::start(self.hosts()),
        }
    }

    /// Whether there is such a thing: what decides may stand apart from every copy for good.
    #[must_use]
    pub fn can_suffer(self, fault: Fault) -> bool {
        match self {
            Self::HanseInGuest => fault.is_of_guests(),
            Self::Hanse => !fault.is_of_guests(),
            Self::Patroni => !fault.is_ours_alone() && !fault.is_of_witness(),
            Self::PgAutoFailover => !fault.is_ours_alone() && !fault.is_of_both(),
        }
    }

    /// Raises it in a laboratory with that many hosts, ready to suffer a fault.
    ///
    /// # Errors
    ///
    /// When it doesn't become whole; a program that is missing is named with what fetches it.
    pub fn raise<'l>(
        self,
        laboratory: &'l Laboratory,
        variant: Variant,
        replication: Replication,
        fault: Fault,
    ) -> Result<Box<dyn Cluster + 'l>> {
        Ok(match self {
            Self::Hanse => Box::new(Hanse::raise(laboratory, variant, replication)?),
            Self::HanseInGuest => {
                Box::new(InGuest::raise(laboratory, variant, replication, fault)?)
            }
            Self::Patroni => Box::new(Patroni::raise(laboratory, variant, replication)?),
            Self::PgAutoFailover => {
                Box::new(AutoFailover::raise(laboratory, variant, replication)?)
            }
        })
    }
}
