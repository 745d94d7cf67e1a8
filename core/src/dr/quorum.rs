//! Whether a failover may happen without anybody's word: rule 6.
//!
//! The voters grant leases, so a site whose loss takes their majority with it could never be failed
//! over from; and a site that has a majority by itself could go on alone while the others believe that
//! it is gone. So a majority must be outside each single site that holds a copy.
//!
//! That is asked where a plan is declared and where a voter goes. Who comes is let in wherever it is:
//! voters are added one at a time, and on the way from three to five a site may have too many for a
//! moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::Inventory;
use crate::name::{ClusterName, NodeName, PlanName};

/// With fewer voters the death of one ends every decision.
const VOTERS_MIN: usize = 3;

/// Why a failover needs somebody's word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumTrouble {
    /// There are too few voters.
    #[error(
        "the federation has {0} of the {VOTERS_MIN} voters that an automatic failover needs; add \
         some: hanse voter add NODE"
    )]
    TooFew(usize),
    /// One site has too many of them.
    #[error(
        "of {all} voters {inside} are in `{cluster}`, which holds a copy: without that site no \
         majority would be left; add voters elsewhere, for example in a site with the role witness"
    )]
    Lopsided {
        /// The site.
        cluster: ClusterName,
        /// How many are there.
        inside: usize,
        /// How many there are.
        all: usize,
    },
}

/// Who is to vote, each in its member cluster: whoever was dismissed counts no more.
#[must_use]
pub fn voters_to_be(inventory: &Inventory) -> BTreeMap<NodeName, ClusterName> {
    let voters = inventory.nodes.iter();
    voters
        .filter(|(_, record)| record.shall_vote())
        .map(|(node, record)| (node.clone(), record.cluster.clone()))
        .collect()
}

/// The plans that fail over by themselves and could no more without a voter, each with the reason. Those
/// that can't with it either are not among them: it takes nothing from them.
#[must_use]
pub fn lost_without(inventory: &Inventory, node: &NodeName) -> Vec<(PlanName, QuorumTrouble)> {
    let with = voters_to_be(inventory);
    let mut without = with.clone();
    without.remove(node);
    let plans = inventory.dr_plans.values().map(|stored| &stored.spec);
    let automatic = plans.filter(|plan| plan.automatic_failover);
    automatic
        .filter_map(|plan| {
            let copies = plan.sites().cloned().collect();
            check(&with, &copies).ok()?;
            let trouble = check(&without, &copies).err()?;
            Some((plan.name.clone(), trouble))
        })
        .collect()
}

/// Whether the voters, each in its member cluster, suffice for copies in these sites.
///
/// # Errors
///
/// They don't.
pub fn check(
    voters: &BTreeMap<NodeName, ClusterName>,
    copies: &BTreeSet<ClusterName>,
) -> Result<(), QuorumTrouble> {
    let all = voters.len();
    if all < VOTERS_MIN {
        return Err(QuorumTrouble::TooFew(all));
    }
    let inside = |cluster: &ClusterName| voters.values().filter(|site| *site == cluster).count();
    let lopsided = copies
        .iter()
        .map(|cluster| (cluster, inside(cluster)))
        .find(|(_, inside)| (all - inside) * 2 <= all);
    match lopsided {
        None => Ok(()),
        Some((cluster, inside)) => Err(QuorumTrouble::Lopsided {
            cluster: cluster.clone(),
            inside,
            all,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn cluster(number: usize) -> ClusterName {
        format!("c{number}").parse().unwrap()
    }

    fn voters(sites: &[usize]) -> BTreeMap<NodeName, ClusterName> {
        let voters = sites.iter().enumerate();
        voters
            .map(|(n, site)| (format!("n{n}").parse().unwrap(), cluster(*site)))
            .collect()
    }

    fn trouble(sites: &[usize]) -> Option<String> {
        let copies = [cluster(0), cluster(1)].into();
        check(&voters(sites), &copies).err().map(|e| e.to_string())
    }

    #[test]
    fn three_voters_in_three_sites_suffice() {
        assert_eq!(trouble(&[0, 1, 2]), None);
        assert_eq!(trouble(&[0, 0, 1, 1, 2]), None);
        assert_eq!(trouble(&[2, 2, 2]), None, "no copy is there");
    }

    #[test]
    fn two_voters_and_two_of_three_in_one_site_do_not() {
        assert!(trouble(&[0, 1]).unwrap().contains("has 2 of the 3"));
        assert!(
            trouble(&[0, 0, 1])
                .unwrap()
                .contains("of 3 voters 2 are in `c0`")
        );
        assert!(
            trouble(&[0, 0, 1, 1])
                .unwrap()
                .contains("of 4 voters 2 are in `c0`")
        );
    }

    proptest! {
        #[test]
        fn whatever_site_with_a_copy_is_lost_a_majority_is_left(sites in vec(0_usize..4, 0..8)) {
            if trouble(&sites).is_none() {
                for lost in 0..2 {
                    let left = sites.iter().filter(|site| **site != lost).count();
                    prop_assert!(left > sites.len() / 2);
                }
            }
        }

        #[test]
        fn a_removal_that_takes_a_quorum_away_would_make_no_majority_smaller(
            sites in vec(0_usize..4, 1..8),
            gone in 0_usize..7,
        ) {
            let mut left = sites.clone();
            left.remove(gone % sites.len());
            let is_lost = trouble(&sites).is_none() && trouble(&left).is_some();
            if is_lost {
                prop_assert_eq!(left.len() / 2, sites.len() / 2);
            }
        }
    }
}
