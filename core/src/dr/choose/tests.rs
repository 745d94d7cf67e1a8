//! What [`choose`](super::choose) must never do, and what it must.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

fn cluster(number: usize) -> ClusterName {
    format!("c{number}").parse().unwrap()
}

fn standby(number: usize, offset_bytes: Option<u64>) -> Candidate {
    Candidate {
        cluster: cluster(number),
        position: offset_bytes.map(|offset_bytes| Position {
            branch: 7,
            offset_bytes,
        }),
        unfit: None,
    }
}

fn mark(offset_bytes: u64) -> Mark {
    Mark {
        position: Position {
            branch: 7,
            offset_bytes,
        },
        fork: Position::default(),
        at_unix_s: 0,
    }
}

fn set(members: &[usize], needed: u32) -> SyncSet {
    SyncSet {
        members: members.iter().copied().map(cluster).collect(),
        needed,
    }
}

fn demand<'a>(set: &'a SyncSet, mark: Option<&'a Mark>) -> Demand<'a> {
    Demand {
        set,
        mark,
        stale_s: None,
        lag_bytes_max: 100,
        allows_data_loss: false,
        only: None,
    }
}

#[test]
fn the_standby_that_has_most_is_promoted_and_the_order_breaks_ties() {
    let (none, mark) = (SyncSet::default(), mark(500));
    let all = [
        standby(0, Some(450)),
        standby(1, Some(490)),
        standby(2, Some(490)),
    ];
    let choice = choose(&all, &demand(&none, Some(&mark))).unwrap();
    assert_eq!((choice.cluster, choice.lag_bytes), (cluster(1), Some(10)));
}

#[test]
fn no_promotion_without_a_known_lag() {
    let none = SyncSet::default();
    let refused = choose(&[standby(0, Some(450))], &demand(&none, None)).unwrap_err();
    assert_eq!(
        refused,
        NoChoice::LagUnknown {
            cluster: cluster(0)
        }
    );
    let later = Mark {
        position: Position {
            branch: 9,
            offset_bytes: 10,
        },
        ..mark(0)
    };
    let refused = choose(&[standby(0, Some(450))], &demand(&none, Some(&later))).unwrap_err();
    assert_eq!(
        refused,
        NoChoice::LagUnknown {
            cluster: cluster(0)
        }
    );
}

#[test]
fn no_promotion_by_what_a_primary_told_before_it_wrote_on_alone() {
    let (none, mark) = (SyncSet::default(), mark(500));
    let mut demand = Demand {
        stale_s: Some(3600),
        ..demand(&none, Some(&mark))
    };
    let equal = [standby(0, Some(500))];
    let refused = choose(&equal, &demand).unwrap_err();
    let (cluster, stale_s) = (cluster(0), 3600);
    assert_eq!(refused, NoChoice::LagStale { cluster, stale_s });
    demand.allows_data_loss = true;
    assert_eq!(choose(&equal, &demand).unwrap().lag_bytes, None);
}

#[test]
fn a_synchronous_plan_needs_no_word_of_the_primary() {
    let (any_one, mark) = (set(&[0, 1], 1), mark(500));
    let demand = Demand {
        stale_s: Some(3600),
        ..demand(&any_one, Some(&mark))
    };
    let all = [standby(0, Some(490)), standby(1, Some(500))];
    assert_eq!(choose(&all, &demand).unwrap().cluster, cluster(1));
}

#[test]
fn no_promotion_beyond_the_lag_that_the_plan_allows_unless_an_operator_insists() {
    let (none, mark) = (SyncSet::default(), mark(500));
    let all = [standby(0, Some(399))];
    let mut demand = demand(&none, Some(&mark));
    let refused = choose(&all, &demand).unwrap_err();
    assert!(matches!(
        refused,
        NoChoice::LagTooLarge { lag_bytes: 101, .. }
    ));
    demand.allows_data_loss = true;
    assert_eq!(choose(&all, &demand).unwrap().lag_bytes, Some(101));
}

#[test]
fn a_synchronous_plan_waits_for_whoever_may_have_acknowledged_commits() {
    let (any_one, mark) = (set(&[0, 1, 2], 1), mark(500));
    let demand = demand(&any_one, Some(&mark));
    let two = [
        standby(0, Some(400)),
        standby(1, Some(450)),
        standby(2, None),
    ];
    let refused = choose(&two, &demand).unwrap_err();
    let missing = vec![cluster(2)];
    assert_eq!(refused, NoChoice::HoldersMissing { missing, needed: 1 });
    let three = [
        standby(0, Some(400)),
        standby(1, Some(450)),
        standby(2, Some(470)),
    ];
    assert_eq!(choose(&three, &demand).unwrap().cluster, cluster(2));
}

#[test]
fn nobody_is_promoted_past_one_that_has_more_and_is_unfit() {
    let (any_one, mark) = (set(&[0, 1], 1), mark(500));
    let ahead = Candidate {
        unfit: Some("its disk is full".to_owned()),
        ..standby(0, Some(500))
    };
    let all = [ahead, standby(1, Some(450))];
    let refused = choose(&all, &demand(&any_one, Some(&mark))).unwrap_err();
    let (cluster, ahead) = (cluster(1), cluster(0));
    assert_eq!(refused, NoChoice::Behind { cluster, ahead });
}

#[test]
fn an_asynchronous_plan_goes_past_one_that_is_unfit_as_far_as_the_lag_allows() {
    let (none, mark) = (SyncSet::default(), mark(300));
    let ahead = |offset| Candidate {
        unfit: Some("its disk is full".to_owned()),
        ..standby(0, Some(offset))
    };
    let near = [ahead(500), standby(1, Some(450))];
    let choice = choose(&near, &demand(&none, Some(&mark))).unwrap();
    assert_eq!((choice.cluster, choice.lag_bytes), (cluster(1), Some(50)));
    let far = [ahead(551), standby(1, Some(450))];
    let refused = choose(&far, &demand(&none, Some(&mark))).unwrap_err();
    assert!(matches!(
        refused,
        NoChoice::LagTooLarge { lag_bytes: 101, .. }
    ));
}

#[test]
fn only_the_one_that_was_asked_for_is_promoted() {
    let (none, mark) = (SyncSet::default(), mark(500));
    let (all, wanted) = ([standby(0, Some(500)), standby(1, Some(500))], cluster(1));
    let demand = Demand {
        only: Some(&wanted),
        ..demand(&none, Some(&mark))
    };
    assert_eq!(choose(&all, &demand).unwrap().cluster, wanted);
    let refused = choose(&all[..1], &demand).unwrap_err();
    assert!(refused.to_string().contains("`c0`: it is not the one"));
}

proptest! {
    #[test]
    fn whoever_is_promoted_without_anybodys_word_lacks_no_more_than_is_known_and_allowed(
        has in vec(proptest::option::of(0_u64..1000), 1..5),
        unfit in vec(any::<bool>(), 5),
        known in proptest::option::of(0_u64..1000),
        stale_s in proptest::option::of(0_u64..1000),
    ) {
        let candidates: Vec<Candidate> = has
            .iter()
            .enumerate()
            .map(|(number, offset)| Candidate {
                unfit: unfit[number].then(|| "unfit".to_owned()),
                ..standby(number, *offset)
            })
            .collect();
        let (none, mark) = (SyncSet::default(), known.map(mark));
        let demand = Demand {
            stale_s,
            ..demand(&none, mark.as_ref())
        };
        if let Ok(choice) = choose(&candidates, &demand) {
            prop_assert_eq!(stale_s, None);
            let most = has.iter().flatten().copied().chain(known).max().unwrap();
            let lacks = most.saturating_sub(choice.position.offset_bytes);
            prop_assert_eq!(choice.lag_bytes, Some(lacks));
            prop_assert!(lacks <= demand.lag_bytes_max && known.is_some());
        }
    }

    /// Commits are acknowledged once k of S have them; each member has a prefix of the history.
    #[test]
    fn no_acknowledged_commit_is_lost_in_a_synchronous_plan(
        has in vec(0_u64..1000, 1..6),
        answers in vec(any::<bool>(), 6),
        unfit in vec(any::<bool>(), 6),
        members in btree_set(0_usize..6, 1..6),
        needed in 1_u32..4,
        known in proptest::option::of(0_u64..1000),
    ) {
        let members: Vec<usize> = members.into_iter().filter(|n| *n < has.len()).collect();
        prop_assume!(members.len() >= needed as usize);
        let mut held: Vec<u64> = members.iter().map(|n| has[*n]).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let acknowledged = held[needed as usize - 1];
        let candidates: Vec<Candidate> = has
            .iter()
            .enumerate()
            .map(|(number, offset)| Candidate {
                unfit: unfit[number].then(|| "unfit".to_owned()),
                ..standby(number, answers[number].then_some(*offset))
            })
            .collect();
        let (set, mark) = (set(&members, needed), known.map(mark));
        if let Ok(choice) = choose(&candidates, &demand(&set, mark.as_ref())) {
            prop_assert!(choice.position.offset_bytes >= acknowledged);
        }
    }

    #[test]
    fn whatever_a_set_promises_holds_under_each_that_implies_it(
        small in btree_set(0_usize..5, 0..5),
        large in btree_set(0_usize..5, 0..5),
        k in 0_u32..4,
        j in 0_u32..4,
        has in vec(0_u64..10, 5),
    ) {
        let as_set = |members: &BTreeSet<usize>, needed| {
            set(&members.iter().copied().collect::<Vec<_>>(), needed)
        };
        let [one, other] = [as_set(&small, j), as_set(&large, k)];
        for set in [&one, &other] {
            prop_assume!(set.members.len() >= set.needed as usize);
        }
        // The latest commit that k of S hold.
        let acknowledged = |set: &SyncSet| {
            let of = |name: &ClusterName| (0..5).find(|n| cluster(*n) == *name).map(|n| has[n]);
            let mut held: Vec<u64> = set.members.iter().filter_map(of).collect();
            held.sort_unstable_by(|a, b| b.cmp(a));
            held[set.needed as usize - 1]
        };
        let either = one.either(&other);
        prop_assert!(either.is_implied_by(&one) && either.is_implied_by(&other));
        for (promised, configured) in [(&either, &one), (&either, &other), (&one, &other)] {
            if promised.is_implied_by(configured) && !promised.is_empty() {
                prop_assert!(acknowledged(configured) <= acknowledged(promised));
            }
        }
    }
}
