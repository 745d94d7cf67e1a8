//! What docs/dr-errors.md says that users see is what they see.

use std::collections::BTreeMap;

use super::ask::{Ask, admit};
use super::machine::tests::{Case, copy};
use super::machine::{Next, next};
use super::quorum;
use super::sight::CopyRole;
use crate::command::Request;
use crate::name::{ClusterName, NodeName};
use crate::object::dr_plan::Fencing;
use crate::object::{DrPlan, Object};
use crate::testing::{Builder, dr_plan};
use crate::voters::vote::VoteRequest;

const PAGE: &str = include_str!("../../../docs/dr-errors.md");

#[track_caller]
fn is_on_the_page(sentence: &str) {
    assert!(PAGE.contains(&format!("| {sentence} |")), "{sentence}");
}

/// Three sites, a mesh, and a voter in each of the first.
fn federation(voters: usize) -> Builder {
    let sites = Builder::new().site("a").site("b").site("c");
    let mut federation = sites.mesh(&["10.0.0.0/24"]);
    for site in &["a", "b", "c"][..voters] {
        let request = Request::Enroll {
            node: format!("{site}-1").parse().unwrap(),
            cluster: site.parse().unwrap(),
            voter: true,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        };
        federation.ask(request).unwrap();
    }
    federation
}

/// The first thing that is wrong with a plan.
fn refused(voters: usize, change: impl FnOnce(&mut DrPlan)) -> String {
    let mut plan = DrPlan {
        automatic_failover: false,
        ..dr_plan()
    };
    change(&mut plan);
    let declared = federation(voters).try_declare(Object::DrPlan(Box::new(plan)));
    declared.unwrap_err().findings[0].detail.clone()
}

#[test]
fn of_plans() {
    let unknown = refused(1, |plan| plan.standbys = vec!["visby".parse().unwrap()]);
    is_on_the_page(&unknown);
    let two = refused(2, |plan| plan.automatic_failover = true);
    is_on_the_page(&two);
    let early = refused(1, |plan| {
        let mut timings = plan.timings();
        timings.stop_budget = timings.lease_ttl.clone();
        (plan.preset, plan.timings) = (None, Some(timings));
    });
    is_on_the_page(&early);
    let late = refused(3, |plan| {
        plan.automatic_failover = true;
        plan.rto = Some("15s".parse().unwrap());
    });
    is_on_the_page(&late);
    let nobody = refused(1, |plan| {
        let fence = Fencing::Command {
            command: Vec::new(),
            timeout: "30s".parse().unwrap(),
        };
        plan.fencing.insert("a".parse().unwrap(), fence);
    });
    is_on_the_page(&nobody);
}

#[test]
fn of_voters() {
    let mut federation = federation(3);
    federation.declare(Object::DrPlan(Box::new(dr_plan())));
    let request = VoteRequest::Dismiss {
        node: "c-1".parse().unwrap(),
        by_force: false,
    };
    let refused = federation.ask(Request::Vote(request)).unwrap_err();
    is_on_the_page(&refused.findings[0].detail);

    let voters: BTreeMap<NodeName, ClusterName> = ["a", "b"]
        .map(|site| (format!("{site}-1").parse().unwrap(), site.parse().unwrap()))
        .into();
    let copies = dr_plan().sites().cloned().collect();
    let lacks = quorum::check(&voters, &copies).unwrap_err();
    is_on_the_page(&lacks.to_string());
}

#[test]
fn of_moves() {
    let asked = |case: &Case, to: &str| {
        let ask = Ask::Switchover {
            to: to.parse().unwrap(),
        };
        let asked = admit(&case.terms, &case.record, &case.sight, (ask, String::new()));
        asked.unwrap_err().to_string()
    };
    is_on_the_page(&asked(&Case::new(), "visby"));
    let mut unknown = copy(CopyRole::Following, 490);
    unknown.position = None;
    is_on_the_page(&asked(&Case::new().copy("b", unknown), "b"));

    let mut unknown = Case::new().fenced();
    unknown.record.mark = None;
    for mut waits in [unknown, Case::new().written_on(3600)] {
        if let Some(run) = &mut waits.record.run {
            run.to = Some("b".parse().unwrap());
        }
        match next(&waits.terms, &waits.record, &waits.sight) {
            Next::Wait(reason) => is_on_the_page(&reason),
            other => panic!("{other:?}"),
        }
    }
}
