//! Any DR plan, and any copy of its workload.

use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::{CopyBackup, CopyPlace, CopyPlan, DrillOrder, Duty, Service};
use hanse_core::dr::position::Position;
use hanse_core::dr::sight::{CopyRole, CopySight};
use hanse_core::dr::timings::{Prediction, Preset, Timings};
use hanse_core::object::DrPlan;
use hanse_core::object::dr_backup::{Backup, Password};
use hanse_core::object::dr_fencing::{Ec2, Fingerprint, GuestKind, Proxmox};
use hanse_core::object::dr_plan::{
    Call, Commands, Directory, DrillCheck, DrillPolicy, Failback, Fencing, Keep, Postgresql,
    Workload,
};
use hanse_core::object::dr_redirect::{Dns, Hook, HookEvent, Route53, TsigAlgorithm};
use hanse_core::object::federation::{ReplicationMode, ReplicationPolicy};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::{address, name, span, word};

fn workload() -> impl Strategy<Value = Workload> {
    let postgresql = (".{1,6}", 1_u16.., option::of(".{1,6}")).prop_map(
        |(data_directory, port, bin_directory)| {
            Workload::Postgresql(Postgresql {
                data_directory,
                port,
                bin_directory,
            })
        },
    );
    prop_oneof![postgresql, directory(), commands()]
}

fn call() -> impl Strategy<Value = Call> {
    (vec(".{0,4}", 0..3), span()).prop_map(|(command, timeout)| Call { command, timeout })
}

fn keep() -> impl Strategy<Value = Keep> {
    any::<[u32; 4]>().prop_map(|[last, hourly, daily, weekly]| Keep {
        last,
        hourly,
        daily,
        weekly,
    })
}

fn directory() -> impl Strategy<Value = Workload> {
    let texts = (".{0,6}", ".{0,6}", ".{0,6}");
    let options = (option::of(".{1,6}"), option::of(".{1,6}"));
    let rest = (
        span(),
        option::of(keep()),
        vec(".{0,4}", 0..3),
        option::of(call()),
    );
    (texts, options, rest).prop_map(
        |(
            (path, repository, password_file),
            (environment_file, user),
            (interval, keep, exclude, run),
        )| {
            Workload::Directory(Directory {
                path,
                repository,
                password_file,
                environment_file,
                interval,
                keep,
                exclude,
                run,
                user,
            })
        },
    )
}

fn commands() -> impl Strategy<Value = Workload> {
    let calls = (call(), call(), call(), call());
    let options = (option::of(call()), option::of(call()));
    (".{0,6}", calls, options, span()).prop_map(
        |(user, (replicate, lag, promote, demote), (run, verify), interval)| {
            Workload::Command(Commands {
                user,
                run,
                replicate,
                lag,
                promote,
                demote,
                verify,
                interval,
            })
        },
    )
}

fn timings() -> impl Strategy<Value = Timings> {
    (span(), any::<u32>(), span(), span(), span()).prop_map(
        |(check_interval, failure_threshold, lease_ttl, stop_budget, promotion_timeout)| Timings {
            check_interval,
            failure_threshold,
            lease_ttl,
            stop_budget,
            promotion_timeout,
        },
    )
}

fn fencing() -> impl Strategy<Value = Fencing> {
    prop_oneof![
        Just(Fencing::Lease),
        Just(Fencing::Watchdog),
        (vec(".{0,4}", 0..3), span())
            .prop_map(|(command, timeout)| Fencing::Command { command, timeout }),
        proxmox().prop_map(Fencing::Proxmox),
        ec2().prop_map(Fencing::Ec2),
    ]
}

fn proxmox() -> impl Strategy<Value = Proxmox> {
    (
        vec(".{0,9}", 0..3),
        (".{0,4}", any::<u32>(), word::<GuestKind>(GuestKind::WORDS)),
        option::of(".{1,4}"),
        (".{0,4}", any::<u64>()),
        vec(any::<[u8; 32]>().prop_map(Fingerprint::from), 0..3),
        option::of(".{1,4}"),
        option::of(span()),
    )
        .prop_map(
            |(urls, (node, vmid, kind), name, token, fingerprints, ca, timeout)| Proxmox {
                urls,
                node,
                vmid,
                kind,
                name,
                token_id: token.0,
                token_secret_version: token.1,
                fingerprints,
                ca,
                timeout,
            },
        )
}

fn ec2() -> impl Strategy<Value = Ec2> {
    (
        (".{0,4}", ".{0,4}", ".{0,4}"),
        option::of(".{1,4}"),
        any::<u64>(),
        option::of(".{1,4}"),
        option::of(span()),
    )
        .prop_map(|(texts, name, version, endpoint, timeout)| Ec2 {
            instance_id: texts.0,
            region: texts.1,
            name,
            access_key_id: texts.2,
            secret_access_key_version: version,
            endpoint,
            timeout,
        })
}

fn dns() -> impl Strategy<Value = Dns> {
    (
        (
            "[a-z]{1,8}:[1-9][0-9]{1,3}",
            "[a-z]{1,4}",
            "[a-z]{1,4}",
            "[a-z]{1,4}",
        ),
        span(),
        word::<TsigAlgorithm>(TsigAlgorithm::WORDS),
        any::<u64>(),
        btree_map(name(), address(), 0..3),
    )
        .prop_map(
            |((server, zone, record, key), ttl, algorithm, version, addresses)| Dns {
                server: server.parse().unwrap(),
                zone: zone.parse().unwrap(),
                record: record.parse().unwrap(),
                ttl,
                tsig_key_name: key.parse().unwrap(),
                algorithm,
                tsig_secret_version: version,
                addresses,
            },
        )
}

fn route53() -> impl Strategy<Value = Route53> {
    (
        (".{0,4}", "[a-z]{1,4}", ".{0,4}"),
        span(),
        any::<u64>(),
        option::of(".{1,4}"),
        option::of(".{1,4}"),
        btree_map(name(), address(), 0..3),
    )
        .prop_map(
            |((zone_id, record, access_key_id), ttl, version, region, endpoint, addresses)| {
                Route53 {
                    zone_id,
                    record: record.parse().unwrap(),
                    ttl,
                    access_key_id,
                    secret_access_key_version: version,
                    region,
                    endpoint,
                    addresses,
                }
            },
        )
}

fn backup() -> impl Strategy<Value = Backup> {
    (
        prop_oneof!["/[a-z]{1,9}", "s3:https://[a-z]{1,9}/[a-z]{1,9}"],
        span(),
        span(),
        option::of("/[a-z]{1,9}"),
        any::<u64>(),
    )
        .prop_map(
            |(repository, interval, retention, environment_file, password_version)| Backup {
                repository: repository.parse().unwrap(),
                interval,
                retention,
                environment_file,
                password_version,
            },
        )
}

fn copy_backup() -> impl Strategy<Value = CopyBackup> {
    let password =
        "[!-~]{16,20}".prop_map(|password| Password::try_new(password.as_bytes()).unwrap());
    (backup(), option::of(password))
        .prop_map(|(declared, password)| CopyBackup { declared, password })
}

fn hook() -> impl Strategy<Value = Hook> {
    let events = btree_set(word::<HookEvent>(HookEvent::WORDS), 0..3);
    (".{0,9}", any::<u64>(), events).prop_map(|(url, secret_version, events)| Hook {
        url,
        secret_version,
        events,
    })
}

pub(super) fn dr_plan() -> impl Strategy<Value = DrPlan> {
    let replication = (
        word::<ReplicationMode>(ReplicationMode::WORDS),
        any::<u32>(),
    )
        .prop_map(|(mode, min_in_sync)| ReplicationPolicy { mode, min_in_sync });
    let first = (
        (name(), name(), name()),
        vec(name(), 0..3),
        btree_map(name(), name(), 0..3),
        workload(),
        option::of(replication),
        option::of(word::<Preset>(Preset::WORDS)),
        option::of(timings()),
    );
    let second = (
        option::of(span()),
        option::of(span()),
        any::<bool>(),
        word::<Failback>(Failback::WORDS),
        (0_u64..1000).prop_map(|size| format!("{size}KiB").parse().unwrap()),
        btree_map(name(), fencing(), 0..3),
        any::<bool>(),
        option::of(address()),
    );
    let third = (
        option::of(dns()),
        option::of(route53()),
        btree_map(name(), hook(), 0..3),
        (option::of(backup()), option::of(drill_policy())),
    );
    (first, second, third).prop_map(|(first, second, (dns, route53, hooks, (backup, drill)))| {
        let ((federation, name, home), standbys, nodes, workload, replication, preset, timings) =
            first;
        let (rpo, rto, automatic_failover, failback, max_lag_on_failover, fencing, accept, service) =
            second;
        DrPlan {
            federation,
            name,
            home,
            standbys,
            nodes,
            workload,
            replication,
            preset,
            timings,
            rpo,
            rto,
            automatic_failover,
            failback,
            max_lag_on_failover,
            fencing,
            accept_pause_risk: accept,
            service_address: service,
            dns,
            route53,
            drill,
            hooks,
            backup,
        }
    })
}

fn drill_checks() -> impl Strategy<Value = Vec<DrillCheck>> {
    let check = (".{0,4}", ".{0,4}", ".{1,4}");
    let check = check.prop_map(|(name, sql, database)| DrillCheck {
        name,
        sql,
        database,
    });
    vec(check, 0..3)
}

fn drill_policy() -> impl Strategy<Value = DrillPolicy> {
    let schedule = (0..60).prop_map(|minute| format!("{minute} 3 * * 0").parse().unwrap());
    let parts = (
        option::of(schedule),
        drill_checks(),
        vec(".{0,4}", 0..3),
        span(),
    );
    parts.prop_map(|(schedule, checks, command, timeout)| DrillPolicy {
        schedule,
        checks,
        command,
        timeout,
    })
}

fn drill_order() -> impl Strategy<Value = DrillOrder> {
    let parts = (
        (name(), name()),
        any::<(u64, u64, Option<u64>)>(),
        drill_checks(),
        vec(".{0,4}", 0..3),
        any::<[u32; 5]>(),
    );
    parts.prop_map(|((federation, node), numbers, checks, command, times)| {
        let times = times.map(|ms| Duration::from_millis(ms.into()));
        DrillOrder {
            federation,
            node,
            number: numbers.0,
            began_unix_s: numbers.1,
            lag_bytes: numbers.2,
            timeout: times[0],
            checks,
            command,
            predicted: Prediction {
                detection: times[1],
                fencing: times[2],
                promotion: times[3],
                redirect: times[4],
            },
        }
    })
}

fn sync_set() -> impl Strategy<Value = SyncSet> {
    (btree_set(name(), 0..3), any::<u32>())
        .prop_map(|(members, needed)| SyncSet { members, needed })
}

fn duty() -> impl Strategy<Value = Duty> {
    prop_oneof![
        Just(Duty::Wait),
        (any::<u64>(), any::<bool>(), sync_set(), vec(name(), 0..3)).prop_map(
            |(epoch, fences_itself, set, followers)| Duty::Lead {
                epoch,
                fences_itself,
                set,
                followers,
            }
        ),
        (name(), any::<u64>()).prop_map(|(primary, epoch)| Duty::Follow { primary, epoch }),
        any::<u64>().prop_map(|barrier| Duty::Detach { barrier }),
        any::<u64>().prop_map(|barrier| Duty::Stop { barrier }),
    ]
}

/// Any plan of a copy.
pub(crate) fn copy_plan() -> impl Strategy<Value = CopyPlan> {
    let place = (name(), option::of(address()))
        .prop_map(|(cluster, address)| CopyPlace { cluster, address });
    let service = address().prop_map(|address| Service {
        address,
        interface: "wg0".parse().unwrap(),
    });
    (
        (name(), name(), any::<bool>()),
        workload(),
        duty(),
        timings(),
        btree_map(name(), place, 0..3),
        (
            option::of(service),
            any::<bool>(),
            option::of(drill_order()),
        ),
        (option::of(any::<[u8; 32]>()), option::of(copy_backup())),
    )
        .prop_map(
            |(own, workload, duty, timings, places, (service, watchdog, drill), (key, backup))| {
                CopyPlan {
                    plan: own.0,
                    cluster: own.1,
                    is_home: own.2,
                    workload,
                    duty,
                    timings,
                    places,
                    service,
                    watchdog,
                    drill,
                    key: key.map(Into::into),
                    backup,
                }
            },
        )
}

/// Anything that a copy may tell.
pub(crate) fn copy_sight() -> impl Strategy<Value = CopySight> {
    let position = (any::<u64>(), any::<u64>()).prop_map(|(branch, offset_bytes)| Position {
        branch,
        offset_bytes,
    });
    (
        word::<CopyRole>(CopyRole::WORDS),
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()),
        any::<bool>(),
        option::of(position),
        sync_set(),
        option::of(".{1,9}"),
    )
        .prop_map(|(role, numbers, fences_itself, position, set, trouble)| {
            let (revision, barrier, epoch, received_epoch) = numbers;
            CopySight {
                ago: Duration::ZERO,
                role,
                revision,
                barrier,
                epoch,
                fences_itself,
                position,
                received_epoch,
                set,
                trouble,
            }
        })
}
