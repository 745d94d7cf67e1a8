//! What must hold of health, whatever is seen and in whatever order.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::admission::RefusalKind;
use crate::testing::Builder;

const NODE: &str = "a-1";

fn policy() -> HealthPolicy {
    HealthPolicy {
        check_interval: "5s".parse().unwrap(),
        failure_threshold: 3,
    }
}

fn sign(what: SignKind, ago_s: u64) -> Sign {
    Sign {
        by: "b-1".parse().unwrap(),
        what,
        ago: Duration::from_secs(ago_s),
    }
}

fn silent(silent_s: u64, sign: Option<Sign>) -> Sighting {
    Sighting {
        watched_for: Duration::from_secs(86_400),
        inherited: true,
        reported_ago: Some(Duration::from_secs(silent_s)),
        sign,
    }
}

/// A federation with one node, whose leader looks again and again.
struct Watched(Builder);

impl Watched {
    fn new() -> Self {
        let mut federation = Builder::new().site("a");
        federation.enroll(NODE, "a");
        Self(federation)
    }

    fn health(&self) -> NodeHealth {
        self.0.state.inventory().nodes[&NODE.parse::<NodeName>().unwrap()]
            .health
            .clone()
    }

    /// One look; how many transitions it committed.
    fn look(&mut self, sighting: &Sighting) -> usize {
        let sightings = BTreeMap::from([(NODE.parse().unwrap(), sighting.clone())]);
        let requests = step(self.0.state.inventory(), &sightings);
        let count = requests.len();
        for request in requests {
            self.0.ask(request).unwrap();
        }
        count
    }
}

#[test]
fn a_silent_node_is_suspect_with_the_reason_and_down_only_once_nobody_hears_it() {
    let mut watched = Watched::new();
    watched.0.now_unix_s = 1000;
    watched.look(&silent(20, Some(sign(SignKind::Mesh, 4))));
    let health = watched.health();
    assert_eq!((health.state, health.since_unix_s), (Health::Suspect, 1000));
    assert_eq!(
        health.reason,
        "silent for 20 s; b-1 heard from it over the mesh 4 s ago"
    );
    watched.look(&silent(3600, Some(sign(SignKind::Stream, 0))));
    assert_eq!(watched.health().state, Health::Suspect);
    watched.look(&silent(3620, Some(sign(SignKind::Mesh, 20))));
    let health = watched.health();
    assert_eq!(health.state, Health::Down, "an old sign is no sign");
    assert_eq!(
        health.reason,
        "silent for 3620 s, and for 20 s no voter held its stream and no node heard from it over a \
         mesh"
    );
    watched.look(&silent(0, None));
    assert_eq!(watched.health().state, Health::Healthy);
}

#[test]
fn a_sign_from_before_the_silence_says_nothing_about_it() {
    let mut watched = Watched::new();
    let before = |silent_s| silent(silent_s, Some(sign(SignKind::Mesh, silent_s + 1)));
    watched.look(&before(19));
    assert_eq!(
        watched.health().reason,
        "silent for 19 s; nobody else has heard from it since"
    );
    watched.look(&before(19));
    assert_eq!(watched.health().state, Health::Suspect, "others report too");
    watched.look(&before(20));
    assert_eq!(watched.health().state, Health::Down);
}

#[test]
fn the_nodes_of_a_mesh_have_the_time_that_a_proof_takes() {
    let quick = HealthPolicy {
        check_interval: "1s".parse().unwrap(),
        failure_threshold: 1,
    };
    assert_eq!(quick.unheard_max(false), Duration::from_secs(2));
    assert_eq!(quick.unheard_max(true), Duration::from_secs(21));
    assert_eq!(policy().unheard_max(true), Duration::from_secs(25));
}

#[test]
fn a_new_leader_gives_everybody_time_to_report() {
    let mut watched = Watched::new();
    let new = |watched_s| Sighting {
        watched_for: Duration::from_secs(watched_s),
        inherited: true,
        ..Sighting::default()
    };
    assert_eq!(watched.look(&new(14)), 0);
    assert!(is_live(Health::Healthy, &new(14), &policy()));
    assert!(!is_live(Health::Down, &new(14), &policy()));
    assert_eq!(watched.look(&new(15)), 1);
    assert!(!is_live(Health::Healthy, &new(15), &policy()));
}

#[test]
fn a_node_that_was_just_enrolled_is_not_live_before_it_reports() {
    let enrolled = Sighting::default();
    assert!(!is_live(Health::Healthy, &enrolled, &policy()));
    let reporting = silent(0, None);
    assert!(is_live(Health::Down, &reporting, &policy()));
}

#[test]
fn a_step_that_the_table_does_not_have_is_refused() {
    let mut watched = Watched::new();
    let refusal = watched.0.ask(Request::SetHealth {
        node: NODE.parse().unwrap(),
        health: Health::Down,
        reason: String::new(),
    });
    assert_eq!(refusal.unwrap_err().kind, RefusalKind::Conflict);
    let unknown = watched.0.ask(Request::SetHealth {
        node: "nobody".parse().unwrap(),
        health: Health::Suspect,
        reason: String::new(),
    });
    assert_eq!(unknown.unwrap_err().kind, RefusalKind::NotFound);
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let seconds = || (0_u64..100).prop_map(Duration::from_secs);
    let kind = prop_oneof![Just(SignKind::Stream), Just(SignKind::Mesh)];
    let sign = (kind, seconds()).prop_map(|(what, ago)| Sign {
        by: "b-1".parse().unwrap(),
        what,
        ago,
    });
    (
        seconds(),
        any::<bool>(),
        option::of(seconds()),
        option::of(sign),
    )
        .prop_map(|(watched_for, inherited, reported_ago, sign)| Sighting {
            watched_for,
            inherited,
            reported_ago,
            sign,
        })
}

proptest! {
    #[test]
    fn no_node_goes_down_by_one_signal(sightings in vec(any_sighting(), 1..40)) {
        let mut watched = Watched::new();
        for sighting in sightings {
            let before = watched.health().state;
            watched.look(&sighting);
            if before != Health::Down && watched.health().state == Health::Down {
                prop_assert!(sighting.silent_for() >= policy().silence_max());
                prop_assert!(sighting.watched_for >= policy().silence_max());
                let heard = |sign: &Sign| sign.ago < policy().unheard_max(false);
                prop_assert!(!sighting.sign.as_ref().is_some_and(heard));
                prop_assert_eq!(before, Health::Suspect, "never at one blow");
            }
        }
    }

    #[test]
    fn a_node_that_reports_is_healthy_after_one_look(sightings in vec(any_sighting(), 0..40)) {
        let mut watched = Watched::new();
        for sighting in sightings {
            watched.look(&sighting);
        }
        let reporting = Sighting { reported_ago: Some(Duration::ZERO), ..Sighting::default() };
        watched.look(&reporting);
        prop_assert_eq!(watched.health().state, Health::Healthy);
    }

    #[test]
    fn nothing_is_committed_while_nothing_changes(sighting in any_sighting(), again in 1..5_usize) {
        let mut watched = Watched::new();
        // Two looks take any node to where this sighting leads: by way of suspect, at most.
        watched.look(&sighting);
        watched.look(&sighting);
        let revision = watched.0.state.revision();
        for _ in 0..again {
            prop_assert_eq!(watched.look(&sighting), 0);
        }
        prop_assert_eq!(watched.0.state.revision(), revision);
    }

    #[test]
    fn flapping_is_bounded_by_the_silence_that_it_takes(
        reports in vec(any::<bool>(), 1..200),
    ) {
        let mut watched = Watched::new();
        let mut silent_s = 0;
        let mut changes = 0;
        for reports in &reports {
            silent_s = if *reports { 0 } else { silent_s + 1 };
            // Somebody hears it always: it goes to and fro between healthy and suspect.
            let heard = Some(sign(SignKind::Stream, 0));
            changes += watched.look(&silent(silent_s, heard));
        }
        let silences = reports.len() / 15;
        prop_assert!(changes <= 2 * silences, "{changes} in {} s", reports.len());
    }
}
