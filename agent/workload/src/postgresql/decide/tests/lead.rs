//! Who makes the database, who leads, and under which lease.

use super::*;

#[test]
fn nobody_is_primary_yet() {
    table(vec![
        ("home makes it", nothing("wait"), "Create"),
        (
            "others wait",
            nothing("wait").but(|s| s.is_home = false),
            "Rest",
        ),
        (
            "what led once is not made again",
            nothing("wait").but(|s| s.memory.epoch = 5),
            "Rest",
        ),
        ("what is there stays", stopped("wait"), "Rest"),
        (
            "no guard",
            nothing("wait").but(|s| s.process = Run::Unknown("away")),
            "Wait",
        ),
    ]);
}

#[test]
fn a_copy_leads_only_under_its_lease_and_with_its_set() {
    let note = |is_promotion| format!("NoteLead {{ epoch: 7, is_promotion: {is_promotion} }}");
    let ordered = |stage: &mut Stage| {
        noted(stage);
        stage.ordered = Some(LEADS);
    };
    let leased = |stage: &mut Stage| {
        ordered(stage);
        stage.may_write_under = Some(7);
    };
    table(vec![
        ("no data is no empty database", nothing("lead"), "Trouble"),
        (
            "what was half rewound",
            stopped("lead").but(|s| s.memory.is_half_rewound = true),
            "Trouble",
        ),
        (
            "the set is first",
            standby("lead").but(|s| s.is_configured = false),
            "Configure",
        ),
        ("then what is promised", standby("lead"), &note(true)),
        ("a stopped primary", stopped("lead"), &note(false)),
        ("then the lease", standby("lead").but(noted), "Run under 7"),
        ("which is awaited", standby("lead").but(ordered), "Wait"),
        (
            "another lease is none",
            standby("lead")
                .but(ordered)
                .but(|s| s.may_write_under = Some(5)),
            "Wait",
        ),
        (
            "then it is promoted",
            standby("lead").but(leased),
            "Promote",
        ),
        (
            "a writer goes on under the new lease",
            writer("lead"),
            "Run under 7",
        ),
        (
            "and is on its branch once that is here",
            writer("lead").but(|s| (s.ordered, s.may_write_under) = (Some(LEADS), Some(7))),
            &note(false),
        ),
        (
            "its timeline",
            writer("lead").but(leased),
            "NoteTimeline { timeline: 1 }",
        ),
        (
            "its followers",
            writer("lead")
                .but(leased)
                .but(|s| (s.memory.promotes, s.is_provided) = (false, false)),
            "Provide",
        ),
        (
            "all is well",
            writer("lead")
                .but(leased)
                .but(|s| s.memory.promotes = false),
            "Rest",
        ),
        (
            "a lease that ends while it writes",
            writer("lead").but(leased).but(|s| s.may_write_under = None),
            "Wait",
        ),
        (
            "whoever runs outside ends first",
            writer("lead").but(|s| s.runs_outside = true),
            "StopOutside",
        ),
        (
            "it doesn't stay up",
            stopped("lead")
                .but(ordered)
                .but(|s| s.process = Run::GaveUp("no".into())),
            "Trouble",
        ),
    ]);
}
