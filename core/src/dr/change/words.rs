//! How a change of a plan is told.

use std::fmt;

use super::super::drill::DrillOutcome;
use super::PlanChange;
use crate::name::ClusterName;

impl fmt::Display for PlanChange {
    /// One sentence, without the plan.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed { cluster, node } => {
                write!(f, "its copy in `{cluster}` is on the node `{node}`")
            }
            Self::Unplaced { cluster } => write!(f, "it has no copy in `{cluster}` any more"),
            Self::Whole { cluster } => write!(f, "its copy in `{cluster}` is whole"),
            Self::Begun {
                kind,
                to,
                reason,
                allows_data_loss,
                ..
            } => {
                write!(f, "a {kind} begins")?;
                fmt_terms(f, to.as_ref(), *allows_data_loss)?;
                write!(f, ": {reason}")
            }
            Self::Insisted {
                to,
                allows_data_loss,
                reason,
            } => {
                f.write_str("its run is to go on")?;
                fmt_terms(f, to.as_ref(), *allows_data_loss)?;
                write!(f, ": {reason}")
            }
            Self::Fencing { reason } => write!(f, "the old primary is fenced: {reason}"),
            Self::Stopped { position } => {
                write!(
                    f,
                    "the old primary has stopped in good order, at {position}"
                )
            }
            Self::Promoted {
                cluster,
                lost_bytes,
                ..
            } => {
                write!(f, "`{cluster}` is promoted, ")?;
                match lost_bytes {
                    Some(0) => f.write_str("and lacks nothing that is known"),
                    Some(bytes) => write!(f, "and lacks {bytes} bytes that are known"),
                    None => f.write_str("and what it lacks is not known"),
                }
            }
            Self::Writes => f.write_str("the new primary takes writes"),
            Self::Ended { outcome } => write!(f, "its run ended: {outcome}"),
            Self::Marked { position } => write!(f, "its primary is at {position}"),
            Self::Set { promised, wanted } => {
                write!(f, "each commit waits for {wanted}")?;
                match promised == wanted {
                    true => Ok(()),
                    false => write!(f, ", and until that is in effect for {promised}"),
                }
            }
            Self::Fences(true) => f.write_str("the end of its lease stops its primary"),
            Self::Fences(false) => f.write_str("the end of its lease stops nothing"),
            Self::Paused(true) => f.write_str("it is paused: nothing happens by itself"),
            Self::Paused(false) => f.write_str("it is resumed"),
            Self::DrillBegun {
                number,
                cluster,
                reason,
                ..
            } => write!(f, "drill {number} begins in `{cluster}`: {reason}"),
            Self::DrillEnded { number, end } => match end.outcome {
                DrillOutcome::Passed => write!(f, "drill {number} passed"),
                DrillOutcome::Failed | DrillOutcome::Abandoned => {
                    write!(f, "drill {number} {}: {}", end.outcome, end.trouble)
                }
            },
            Self::FencedConfirmed { holder } => {
                write!(f, "somebody made sure that `{holder}` can't write")
            }
        }
    }
}

/// Where a run leads, and whether an operator said that data may be lost.
fn fmt_terms(
    f: &mut fmt::Formatter<'_>,
    to: Option<&ClusterName>,
    allows_data_loss: bool,
) -> fmt::Result {
    if let Some(to) = to {
        write!(f, " to `{to}`")?;
    }
    match allows_data_loss {
        true => f.write_str(", and data may be lost"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dr::record::{Phase, RunKind};

    const BY: &str = "spiffe://acme/user/admin asks for it";

    fn begun(to: Option<&str>, allows_data_loss: bool) -> PlanChange {
        PlanChange::Begun {
            kind: RunKind::Failover,
            phase: Phase::Fencing,
            to: to.map(|to| to.parse().unwrap()),
            reason: BY.to_owned(),
            asked: true,
            allows_data_loss,
        }
    }

    fn insisted(to: Option<&str>, allows_data_loss: bool) -> PlanChange {
        PlanChange::Insisted {
            to: to.map(|to| to.parse().unwrap()),
            allows_data_loss,
            reason: BY.to_owned(),
        }
    }

    #[test]
    fn a_run_says_where_it_leads_whether_data_may_be_lost_and_who_asked_for_it() {
        let table = [
            (begun(None, false), "a failover begins"),
            (begun(Some("b"), false), "a failover begins to `b`"),
            (begun(None, true), "a failover begins, and data may be lost"),
            (
                begun(Some("b"), true),
                "a failover begins to `b`, and data may be lost",
            ),
            (insisted(None, false), "its run is to go on"),
            (insisted(Some("c"), false), "its run is to go on to `c`"),
            (
                insisted(Some("c"), true),
                "its run is to go on to `c`, and data may be lost",
            ),
        ];
        for (change, said) in table {
            assert_eq!(change.to_string(), format!("{said}: {BY}"));
            assert!(change.has_reason(), "{change}");
        }
    }

    #[test]
    fn a_pause_a_resumption_and_a_fence_by_hand_can_be_told_apart() {
        let holder = "a-1".parse().unwrap();
        let table = [
            (
                PlanChange::Paused(true),
                "it is paused: nothing happens by itself",
            ),
            (PlanChange::Paused(false), "it is resumed"),
            (
                PlanChange::FencedConfirmed { holder },
                "somebody made sure that `a-1` can't write",
            ),
        ];
        for (change, said) in table {
            assert_eq!(change.to_string(), said);
            assert!(!change.has_reason(), "{change}");
        }
    }
}
