//! Copies of workloads: what a node is told of its own, and what it tells.

use std::collections::BTreeMap;
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::{CopyPlace, CopyPlan, Duty, Service};
use hanse_core::dr::position::Position;
use hanse_core::dr::sight::CopySight;
use hanse_core::finding::{Finding, Path};
use hanse_core::key::PresharedKey;
use hanse_core::name::{NodeName, PlanName};

use super::collector::Collector;
use super::dr_backup;
use super::dr_plan::{read_timings, timings_to_proto};
use super::drill;
use super::workload::{read_workload, workload_to_proto};
use crate::proto::{self, duty};

/// A copy's plan for the wire. It holds what copies show to one another.
#[must_use]
pub fn copy_plan_to_proto(revision: u64, plan: &CopyPlan) -> proto::CopyPlan {
    proto::CopyPlan {
        revision,
        plan: plan.plan.to_string(),
        member_cluster: plan.cluster.to_string(),
        home: plan.is_home,
        workload: Some(workload_to_proto(&plan.workload)),
        duty: Some(proto::Duty {
            kind: Some(duty_to_proto(&plan.duty)),
        }),
        timings: Some(timings_to_proto(&plan.timings)),
        places: plan
            .places
            .iter()
            .map(|(node, place)| (node.to_string(), place_to_proto(place)))
            .collect(),
        service: plan.service.as_ref().map(|service| proto::Service {
            address: service.address.to_string(),
            interface: service.interface.to_string(),
        }),
        key: plan
            .key
            .as_ref()
            .map_or_else(Vec::new, |key| key.as_bytes().to_vec()),
        watchdog: plan.watchdog,
        backup: plan.backup.as_ref().map(dr_backup::copy_backup_to_proto),
        drill: plan.drill.as_ref().map(drill::order_to_proto),
    }
}

/// A copy's plan from the wire, with its revision, or everything that is wrong with it.
pub fn copy_plan_from_proto(plan: &proto::CopyPlan) -> Result<(u64, CopyPlan), Vec<Finding>> {
    let mut collector = Collector::default();
    let name = collector.parse(Path::of("plan"), "name", &plan.plan);
    let cluster = collector.parse(Path::of("member_cluster"), "name", &plan.member_cluster);
    let workload = read_workload(
        &mut collector,
        &Path::of("workload"),
        plan.workload.as_ref(),
    );
    let duty = read_duty(&mut collector, plan.duty.as_ref());
    let timings = plan.timings.clone().unwrap_or_default();
    let timings = read_timings(&mut collector, &Path::of("timings"), &timings);
    let places = read_places(&mut collector, &plan.places);
    let service = match &plan.service {
        None => Some(None),
        Some(service) => read_service(&mut collector, service).map(Some),
    };
    let backup = dr_backup::read_copy_backup(&mut collector, plan.backup.as_ref());
    let drill = match &plan.drill {
        None => Some(None),
        Some(order) => drill::read_order(&mut collector, order).map(Some),
    };
    let key = match plan.key.as_slice() {
        [] => Some(None),
        bytes => match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) => Some(Some(PresharedKey::from(bytes))),
            Err(_) => {
                let detail = format!("It has {} bytes and not 32.", bytes.len());
                collector.fault(Path::of("key"), "Invalid key".to_owned(), detail);
                None
            }
        },
    };
    let read = || {
        let plan = CopyPlan {
            plan: name?,
            cluster: cluster?,
            is_home: plan.home,
            workload: workload?,
            duty: duty?,
            timings: timings?,
            places: places?,
            service: service?,
            watchdog: plan.watchdog,
            drill: drill?,
            key: key?,
            backup: backup?,
        };
        Some(plan)
    };
    let read = read();
    Ok((plan.revision, collector.finish(read)?))
}

/// What a copy is, for the wire. `progress`: how far a long step is, in words.
#[must_use]
pub fn copy_status_to_proto(
    plan: &PlanName,
    copy: &CopySight,
    progress: Option<&str>,
) -> proto::CopyStatus {
    proto::CopyStatus {
        plan: plan.to_string(),
        role: copy.role.to_string(),
        revision: copy.revision,
        barrier: copy.barrier,
        epoch: copy.epoch,
        fences_itself: copy.fences_itself,
        position: copy.position.as_ref().map(position_to_proto),
        received_epoch: copy.received_epoch,
        set: Some(sync_set_to_proto(&copy.set)),
        trouble: copy.trouble.clone().unwrap_or_default(),
        progress: progress.unwrap_or_default().to_owned(),
        backup: None,
        watchdog: None,
        lag_s: None,
        warnings: Vec::new(),
    }
}

/// What a copy is, from the wire, or everything that is wrong with it.
pub fn copy_status_from_proto(
    status: &proto::CopyStatus,
) -> Result<(PlanName, CopySight), Vec<Finding>> {
    let mut collector = Collector::default();
    let plan = collector.parse(Path::of("plan"), "name", &status.plan);
    let role = collector.parse(Path::of("role"), "role", &status.role);
    let set = read_set(&mut collector, &Path::of("set"), status.set.as_ref());
    let read = || {
        let copy = CopySight {
            ago: Duration::ZERO,
            role: role?,
            revision: status.revision,
            barrier: status.barrier,
            epoch: status.epoch,
            fences_itself: status.fences_itself,
            position: status.position.as_ref().map(position_from_proto),
            received_epoch: status.received_epoch,
            set: set?,
            trouble: Some(status.trouble.clone()).filter(|text| !text.is_empty()),
        };
        Some((plan?, copy))
    };
    let read = read();
    collector.finish(read)
}

/// A position for the wire.
#[must_use]
pub fn position_to_proto(position: &Position) -> proto::Position {
    proto::Position {
        branch: position.branch,
        offset_bytes: position.offset_bytes,
    }
}

/// Who has each commit, for the wire.
#[must_use]
pub fn sync_set_to_proto(set: &SyncSet) -> proto::SyncSet {
    proto::SyncSet {
        members: set.members.iter().map(ToString::to_string).collect(),
        needed: set.needed,
    }
}

fn position_from_proto(position: &proto::Position) -> Position {
    Position {
        branch: position.branch,
        offset_bytes: position.offset_bytes,
    }
}

fn duty_to_proto(duty: &Duty) -> duty::Kind {
    match duty {
        Duty::Wait => duty::Kind::Wait(true),
        Duty::Lead {
            epoch,
            fences_itself,
            set,
            followers,
        } => duty::Kind::Lead(duty::Lead {
            epoch: *epoch,
            fences_itself: *fences_itself,
            set: Some(sync_set_to_proto(set)),
            followers: followers.iter().map(ToString::to_string).collect(),
        }),
        Duty::Follow { primary, epoch } => duty::Kind::Follow(duty::Follow {
            primary: primary.to_string(),
            epoch: *epoch,
        }),
        Duty::Detach { barrier } => duty::Kind::Detach(*barrier),
        Duty::Stop { barrier } => duty::Kind::Stop(*barrier),
    }
}

fn read_duty(collector: &mut Collector, duty: Option<&proto::Duty>) -> Option<Duty> {
    let path = Path::of("duty");
    let Some(kind) = duty.and_then(|duty| duty.kind.as_ref()) else {
        let detail = "The message holds no duty that is known here.".to_owned();
        collector.fault(path, "Unknown duty".to_owned(), detail);
        return None;
    };
    Some(match kind {
        duty::Kind::Wait(_) => Duty::Wait,
        duty::Kind::Lead(lead) => {
            let set = read_set(collector, &path.clone().attribute("set"), lead.set.as_ref());
            let followers = collector.list(&path.attribute("followers"), "name", &lead.followers);
            Duty::Lead {
                epoch: lead.epoch,
                fences_itself: lead.fences_itself,
                set: set?,
                followers: followers?,
            }
        }
        duty::Kind::Follow(follow) => Duty::Follow {
            primary: collector.parse(path.attribute("primary"), "name", &follow.primary)?,
            epoch: follow.epoch,
        },
        duty::Kind::Detach(barrier) => Duty::Detach { barrier: *barrier },
        duty::Kind::Stop(barrier) => Duty::Stop { barrier: *barrier },
    })
}

fn read_set(
    collector: &mut Collector,
    path: &Path,
    set: Option<&proto::SyncSet>,
) -> Option<SyncSet> {
    let Some(set) = set else {
        return Some(SyncSet::default());
    };
    let members = collector.list(&path.clone().attribute("members"), "name", &set.members);
    Some(SyncSet {
        members: members?.into_iter().collect(),
        needed: set.needed,
    })
}

fn place_to_proto(place: &CopyPlace) -> proto::CopyPlace {
    proto::CopyPlace {
        member_cluster: place.cluster.to_string(),
        address: place
            .address
            .map(|address| address.to_string())
            .unwrap_or_default(),
    }
}

fn read_places(
    collector: &mut Collector,
    places: &BTreeMap<String, proto::CopyPlace>,
) -> Option<BTreeMap<NodeName, CopyPlace>> {
    let read: Vec<_> = places
        .iter()
        .map(|(node, place)| {
            let path = Path::of("places").key(node);
            let node = collector.parse(path.clone(), "name", node);
            let at = path.clone().attribute("member_cluster");
            let cluster = collector.parse(at, "name", &place.member_cluster);
            let address = collector.optional(path.attribute("address"), "address", &place.address);
            let place = CopyPlace {
                cluster: cluster?,
                address: address?,
            };
            Some((node?, place))
        })
        .collect();
    read.into_iter().collect()
}

fn read_service(collector: &mut Collector, service: &proto::Service) -> Option<Service> {
    let path = Path::of("service");
    let address = path.clone().attribute("address");
    let address = collector.parse(address, "address", &service.address);
    let interface = path.attribute("interface");
    let interface = collector.parse(interface, "interface name", &service.interface);
    Some(Service {
        address: address?,
        interface: interface?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::strategies;

    proptest! {
        #[test]
        fn a_copys_plan_that_crosses_the_wire_is_the_same(
            revision in any::<u64>(),
            plan in strategies::copy_plan(),
        ) {
            let told = copy_plan_to_proto(revision, &plan);
            prop_assert_eq!(copy_plan_from_proto(&told), Ok((revision, plan)));
        }

        #[test]
        fn what_a_copy_tells_arrives_as_it_was_told(
            plan in strategies::name::<PlanName>(),
            copy in strategies::copy_sight(),
        ) {
            let told = copy_status_to_proto(&plan, &copy, None);
            prop_assert_eq!(copy_status_from_proto(&told), Ok((plan, copy)));
        }
    }
}
