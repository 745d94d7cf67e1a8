//! What an operator may ask of a plan, and why it is refused.
//!
//! Nothing here overrides fencing or the voters' majority: a failover that was asked for waits for the
//! old primary's end like any other, unless somebody says that it can't write.

use std::fmt;

use super::change::PlanChange;
use super::drill;
use super::machine::death;
use super::record::{Phase, PlanRecord, RunKind};
use super::sight::{LeaseSight, PLANNED_LAG_BYTES_MAX, Sight, Terms};
use crate::name::{ClusterName, NodeName};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A planned move.
    Switchover {
        /// Where to.
        to: ClusterName,
    },
    /// A planned move home.
    Failback,
    /// An unplanned one.
    Failover {
        /// Where to; none: whoever has most.
        to: Option<ClusterName>,
        /// Whether data may be lost.
        allows_data_loss: bool,
    },
    /// A drill.
    Drill {
        /// Where; none: on the standby that would be promoted last.
        on: Option<ClusterName>,
    },
    /// Nothing is to happen by itself.
    Pause,
    /// Things may happen by themselves again.
    Resume,
    /// A node that may still be primary can't write: somebody made sure.
    ConfirmFenced {
        /// The node.
        holder: NodeName,
    },
}

impl fmt::Display for Ask {
    /// What is asked for, as the audit log has it: which is one of a kind, and with which override.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switchover { to } => write!(f, "switchover to `{to}`"),
            Self::Failback => f.write_str("failback"),
            Self::Failover {
                to,
                allows_data_loss,
            } => {
                f.write_str("failover")?;
                if let Some(to) = to {
                    write!(f, " to `{to}`")?;
                }
                match allows_data_loss {
                    true => f.write_str(", and data may be lost"),
                    false => Ok(()),
                }
            }
            Self::Drill { on: None } => f.write_str("drill"),
            Self::Drill { on: Some(on) } => write!(f, "drill in `{on}`"),
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::ConfirmFenced { holder } => write!(f, "confirm-fenced of `{holder}`"),
        }
    }
}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One thing at a time.
    #[error("a {kind} is under way ({phase}); wait for its end: `hanse dr`")]
    Running {
        /// Which one.
        kind: RunKind,
        /// How far it is.
        phase: Phase,
    },
    /// The plan has no such site.
    #[error("the plan has no standby in `{0}`: it has {1}")]
    UnknownSite(ClusterName, String),
    /// It is there already.
    #[error("`{0}` is primary already")]
    AlreadyPrimary(ClusterName),
    /// Nobody was ever primary.
    #[error("nobody is primary yet: `hanse dr` tells what the plan waits for")]
    NotBegun,
    /// A planned move needs a primary that stops in good order.
    #[error("{0}; a switchover needs a primary that is well. Run: hanse failover")]
    PrimaryDead(String),
    /// An unplanned move is not for a primary that is well.
    #[error("the primary in `{0}` is well; move it with `hanse switchover`, which loses nothing")]
    PrimaryWell(ClusterName),
    /// The standby is not ready.
    #[error("the standby in `{cluster}` is not ready: {reason}")]
    NotReady {
        /// Which one.
        cluster: ClusterName,
        /// Why.
        reason: String,
    },
    /// One drill at a time.
    #[error("drill {number} is under way in `{cluster}`; wait for its end: `hanse dr`")]
    Drilling {
        /// Which one.
        number: u64,
        /// Where.
        cluster: ClusterName,
    },
    /// There is nothing to drill on.
    #[error("a drill needs a primary and a standby that are well: {0}")]
    NoDrill(String),
    /// The federation was restored.
    #[error(
        "`{0}` may be primary still, since this federation was restored: `hanse dr` tells more"
    )]
    Held(NodeName),
    /// Nobody waits for that word.
    #[error("nobody waits for `{0}` to be fenced")]
    NobodyHeld(NodeName),
}

/// Decides on what somebody asks for; `reason`: who asks, and why, in one sentence.
///
/// # Errors
///
/// It is refused.
pub fn admit(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (ask, reason): (Ask, String),
) -> Result<PlanChange, Refused> {
    match ask {
        Ask::Drill { on } => drill::admit(terms, record, sight, (on.as_ref(), reason)),
        Ask::Pause => Ok(PlanChange::Paused(true)),
        Ask::Resume => Ok(PlanChange::Paused(false)),
        Ask::ConfirmFenced { holder } => {
            let is_held = record.held.as_ref() == Some(&holder);
            let is_awaited = record.primary_node() == Some(&holder)
                && record
                    .run
                    .as_ref()
                    .is_some_and(|run| run.phase == Phase::Fencing);
            match is_held || is_awaited {
                true => Ok(PlanChange::FencedConfirmed { holder }),
                false => Err(Refused::NobodyHeld(holder)),
            }
        }
        Ask::Switchover { to } => {
            let kind = match to == terms.home {
                true => RunKind::Failback,
                false => RunKind::Switchover,
            };
            planned(terms, record, sight, (kind, to, reason))
        }
        Ask::Failback => planned(
            terms,
            record,
            sight,
            (RunKind::Failback, terms.home.clone(), reason),
        ),
        Ask::Failover {
            to,
            allows_data_loss,
        } => {
            if let Some(run) = &record.run
                && run.phase == Phase::Fencing
                && run.kind == RunKind::Failover
            {
                check_site(terms, record, to.as_ref())?;
                return Ok(PlanChange::Insisted {
                    to,
                    allows_data_loss,
                    reason,
                });
            }
            let primary = ready(terms, record, to.as_ref())?;
            let is_well =
                death(terms, record, sight, primary).is_none() && is_renewing(terms, sight);
            if is_well {
                return Err(Refused::PrimaryWell(primary.clone()));
            }
            Ok(PlanChange::Begun {
                kind: RunKind::Failover,
                phase: Phase::Fencing,
                to,
                reason,
                asked: true,
                allows_data_loss,
            })
        }
    }
}

fn planned(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (kind, to, reason): (RunKind, ClusterName, String),
) -> Result<PlanChange, Refused> {
    let primary = ready(terms, record, Some(&to))?;
    if let Some(death) = death(terms, record, sight, primary) {
        return Err(Refused::PrimaryDead(death));
    }
    check_target(terms, sight, primary, &to).map_err(|reason| Refused::NotReady {
        cluster: to.clone(),
        reason,
    })?;
    Ok(PlanChange::Begun {
        kind,
        phase: Phase::Demoting,
        to: Some(to),
        reason,
        asked: true,
        allows_data_loss: false,
    })
}

/// The primary's site, if a move may begin and the target is one of the plan's.
fn ready<'a>(
    terms: &Terms,
    record: &'a PlanRecord,
    to: Option<&ClusterName>,
) -> Result<&'a ClusterName, Refused> {
    if let Some(run) = &record.run {
        let (kind, phase) = (run.kind, run.phase);
        return Err(Refused::Running { kind, phase });
    }
    check_site(terms, record, to)
}

/// The primary's site, if the target is another one of the plan's.
pub(super) fn check_site<'a>(
    terms: &Terms,
    record: &'a PlanRecord,
    to: Option<&ClusterName>,
) -> Result<&'a ClusterName, Refused> {
    let primary = record.primary.as_ref().ok_or(Refused::NotBegun)?;
    let Some(to) = to else {
        return Ok(primary);
    };
    if to == primary {
        return Err(Refused::AlreadyPrimary(to.clone()));
    }
    if !terms.sites().any(|cluster| cluster == to) {
        let others = terms.sites().filter(|cluster| *cluster != primary);
        let others: Vec<_> = others.map(|cluster| format!("`{cluster}`")).collect();
        return Err(Refused::UnknownSite(to.clone(), others.join(", ")));
    }
    Ok(primary)
}

/// Why a planned move can't go there.
fn check_target(
    terms: &Terms,
    sight: &Sight,
    primary: &ClusterName,
    to: &ClusterName,
) -> Result<(), String> {
    let copy = sight.copies.get(to).ok_or("nothing was heard of it yet")?;
    if copy.ago >= terms.timings.lately() {
        return Err(format!("it has been silent for {} s", copy.ago.as_secs()));
    }
    if let Some(trouble) = &copy.trouble {
        return Err(trouble.clone());
    }
    if !copy.follows() {
        return Err("it does not receive what the primary writes".to_owned());
    }
    match sight.lag_bytes(to, primary) {
        None => Err("what it lacks is not known".to_owned()),
        Some(lag) if lag > PLANNED_LAG_BYTES_MAX => Err(format!(
            "it lacks {lag} bytes, and a planned move waits for {PLANNED_LAG_BYTES_MAX} at most"
        )),
        Some(_) => Ok(()),
    }
}

fn is_renewing(terms: &Terms, sight: &Sight) -> bool {
    match &sight.lease {
        LeaseSight::Free => false,
        LeaseSight::Held { silent_for, .. } => *silent_for < terms.timings.lately(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{Case, cluster, copy, node};
    use super::super::sight::CopyRole;
    use super::*;

    fn ask(case: &Case, ask: Ask) -> Result<PlanChange, String> {
        let asked = (ask, "a test asks".to_owned());
        let answer = admit(&case.terms, &case.record, &case.sight, asked);
        answer.map_err(|refused| refused.to_string())
    }

    fn failover(to: Option<&str>) -> Ask {
        Ask::Failover {
            to: to.map(cluster),
            allows_data_loss: false,
        }
    }

    fn switchover(to: &str) -> Ask {
        Ask::Switchover { to: cluster(to) }
    }

    #[track_caller]
    fn is_refused(case: &Case, wanted: Ask, reason: &str) {
        let refused = ask(case, wanted).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }

    #[test]
    fn everything_that_is_asked_for_says_what_where_and_with_which_override() {
        let lossy = |to: Option<&str>| Ask::Failover {
            to: to.map(cluster),
            allows_data_loss: true,
        };
        let holder = node("a-1");
        let table = [
            (switchover("b"), "switchover to `b`"),
            (Ask::Failback, "failback"),
            (failover(None), "failover"),
            (failover(Some("b")), "failover to `b`"),
            (lossy(None), "failover, and data may be lost"),
            (lossy(Some("b")), "failover to `b`, and data may be lost"),
            (Ask::Drill { on: None }, "drill"),
            (
                Ask::Drill {
                    on: Some(cluster("c")),
                },
                "drill in `c`",
            ),
            (Ask::Pause, "pause"),
            (Ask::Resume, "resume"),
            (Ask::ConfirmFenced { holder }, "confirm-fenced of `a-1`"),
        ];
        for (asked, said) in table {
            assert_eq!(asked.to_string(), said);
        }
    }

    #[test]
    fn a_planned_move_needs_a_primary_that_is_well_and_a_standby_that_is_near() {
        let well = Case::new();
        assert!(ask(&well, switchover("b")).is_ok());
        is_refused(&well, switchover("a"), "primary already");
        is_refused(&well, switchover("x"), "it has `b`, `c`");
        is_refused(&well, Ask::Failback, "primary already");
        let dead = Case::new().silent(60).heard(false);
        is_refused(&dead, switchover("b"), "Run: hanse failover");
        let away = Case::new().copy("b", copy(CopyRole::Detached, 490));
        is_refused(&away, switchover("b"), "does not receive");
        let mut silent = copy(CopyRole::Following, 490);
        silent.ago = std::time::Duration::from_secs(5);
        is_refused(
            &Case::new().copy("b", silent),
            switchover("b"),
            "silent for 5 s",
        );
        let far = copy(CopyRole::Primary, 1 << 30);
        is_refused(&Case::new().copy("a", far), switchover("b"), "it lacks");
        let mut unknown = copy(CopyRole::Following, 490);
        unknown.position = None;
        is_refused(
            &Case::new().copy("b", unknown),
            switchover("b"),
            "is not known",
        );
    }

    #[test]
    fn an_unplanned_move_is_not_for_a_primary_that_is_well() {
        is_refused(&Case::new(), failover(None), "hanse switchover");
        let silent = Case::new().silent(5);
        assert!(ask(&silent, failover(Some("c"))).is_ok());
        is_refused(&silent, failover(Some("x")), "no standby in `x`");
    }

    #[test]
    fn one_thing_happens_at_a_time() {
        let running = Case::new().fenced();
        for wanted in [switchover("b"), Ask::Failback] {
            is_refused(&running, wanted, "a failover is under way (fencing)");
        }
        assert!(ask(&running, Ask::Pause).is_ok());
        let promoting = Case::new().running(RunKind::Failover, Phase::Promoting, None);
        is_refused(
            &promoting,
            failover(None),
            "a failover is under way (promoting)",
        );
    }

    #[test]
    fn an_operator_may_insist_on_a_failover_that_waits() {
        let waits = Case::new().fenced();
        let insisted = ask(&waits, failover(Some("c"))).unwrap();
        assert!(matches!(insisted, PlanChange::Insisted { to: Some(_), .. }));
        is_refused(&waits, failover(Some("a")), "primary already");
    }

    #[test]
    fn a_fence_is_confirmed_only_where_somebody_waits_for_it() {
        let holder = || Ask::ConfirmFenced {
            holder: node("a-1"),
        };
        is_refused(&Case::new(), holder(), "nobody waits");
        assert!(ask(&Case::new().fenced(), holder()).is_ok());
        let other = Ask::ConfirmFenced {
            holder: node("b-1"),
        };
        is_refused(&Case::new().fenced(), other, "nobody waits");
    }
}
