//! Names of the secrets of DR plans: whose, what for, and which one.

use std::fmt;
use std::str::FromStr;

use super::SecretNameError;
use crate::name::{ClusterName, HookName, PlanName};

const PLAN: &str = "plan";
const TSIG: &str = "tsig";
const ROUTE53: &str = "route53";
const HOOK: &str = "hook";
const FENCE: &str = "fence";
const BACKUP: &str = "backup";

/// A secret of a DR plan. Another version is another secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanSecret {
    /// Whose.
    pub plan: PlanName,
    /// What for.
    pub purpose: Purpose,
    /// Which one.
    pub version: u64,
}

/// What a plan's secret is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// To sign updates of a DNS server.
    Tsig,
    /// To sign requests to Route 53.
    Route53,
    /// To sign what a hook is told.
    Hook(HookName),
    /// To have a site's machine stopped by whoever runs it.
    Fence(ClusterName),
    /// To encrypt backups.
    Backup,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tsig => f.write_str(TSIG),
            Self::Route53 => f.write_str(ROUTE53),
            Self::Hook(name) => write!(f, "{HOOK}/{name}"),
            Self::Fence(site) => write!(f, "{FENCE}/{site}"),
            Self::Backup => f.write_str(BACKUP),
        }
    }
}

impl FromStr for Purpose {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let purpose = match text.split_once('/') {
            None if text == TSIG => Some(Self::Tsig),
            None if text == ROUTE53 => Some(Self::Route53),
            None if text == BACKUP => Some(Self::Backup),
            Some((HOOK, name)) => name.parse().ok().map(Self::Hook),
            Some((FENCE, site)) => site.parse().ok().map(Self::Fence),
            None | Some(_) => None,
        };
        purpose.ok_or_else(|| SecretNameError(text.to_owned()))
    }
}

impl fmt::Display for PlanSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plan,
            purpose,
            version,
        } = self;
        write!(f, "{PLAN}/{plan}/{purpose}/{version}")
    }
}

impl FromStr for PlanSecret {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let read = || {
            let (plan, rest) = text
                .strip_prefix(PLAN)?
                .strip_prefix('/')?
                .split_once('/')?;
            let (purpose, version) = rest.rsplit_once('/')?;
            let secret = Self {
                plan: plan.parse().ok()?,
                purpose: purpose.parse().ok()?,
                version: version.parse().ok()?,
            };
            // One name for one secret: `+1` and `01` are none.
            (secret.to_string() == text).then_some(secret)
        };
        read().ok_or_else(|| SecretNameError(text.to_owned()))
    }
}
