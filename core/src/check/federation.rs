//! Rules of the federation's settings.

use std::time::Duration;

use super::reachability;
use crate::finding::{Finding, Path};
use crate::inventory::Inventory;

const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);
const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(300);
const FAILURE_THRESHOLD_MAX: u32 = 100;
const CERTIFICATE_LIFETIME_MIN: Duration = Duration::from_secs(10);
/// Long enough that a node that renews at two thirds sits out the restart of a voter.
const CERTIFICATE_LIFETIME_SAFE: Duration = Duration::from_secs(600);
const CERTIFICATE_LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

const REJOIN_WINDOW_MIN: Duration = Duration::from_secs(3600);
const REJOIN_WINDOW_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Checks the federation's settings among everything else.
pub(super) fn check(inventory: &Inventory, findings: &mut Vec<Finding>) {
    let federation = &inventory.federation.spec;
    let interval = &federation.health.check_interval;
    if !(CHECK_INTERVAL_MIN..=CHECK_INTERVAL_MAX).contains(&interval.value()) {
        findings.push(Finding::error(
            Path::of("health").attribute("check_interval"),
            "Check interval out of range",
            format!("`{interval}` is not between 1s and 5m."),
        ));
    }
    let threshold = federation.health.failure_threshold;
    if !(1..=FAILURE_THRESHOLD_MAX).contains(&threshold) {
        findings.push(Finding::error(
            Path::of("health").attribute("failure_threshold"),
            "Failure threshold out of range",
            format!("{threshold} is not between 1 and {FAILURE_THRESHOLD_MAX}."),
        ));
    }
    if federation.replication.min_in_sync == 0 {
        findings.push(Finding::error(
            Path::of("replication").attribute("min_in_sync"),
            "No standby in sync",
            "At least one standby must have a write before it counts as done. For none, write \
             mode = \"async\".",
        ));
    }
    let lifetime = &federation.certificate_lifetime;
    if !(CERTIFICATE_LIFETIME_MIN..=CERTIFICATE_LIFETIME_MAX).contains(&lifetime.value()) {
        findings.push(Finding::error(
            Path::of("certificate_lifetime"),
            "Certificate lifetime out of range",
            format!("`{lifetime}` is not between 10s and 8784h (366 days)."),
        ));
    } else if lifetime.value() < CERTIFICATE_LIFETIME_SAFE {
        findings.push(Finding::warning(
            Path::of("certificate_lifetime"),
            "Short certificate lifetime",
            format!(
                "With `{lifetime}` a node's certificate may end while no voter can be reached for \
                 a few minutes. The node goes on with its last plan, and renews once one can."
            ),
        ));
    }
    let window = &federation.rejoin_window;
    if !(REJOIN_WINDOW_MIN..=REJOIN_WINDOW_MAX).contains(&window.value()) {
        findings.push(Finding::error(
            Path::of("rejoin_window"),
            "Rejoin window out of range",
            format!("`{window}` is not between 1h and 8760h (365 days)."),
        ));
    }
    for stored in inventory
        .meshes
        .values()
        .filter(|stored| stored.spec.shape.is_none())
    {
        let broken = reachability::check(inventory, &stored.spec);
        if let Some(finding) = broken.into_iter().find(Finding::is_error) {
            findings.push(Finding::error(
                Path::of("topology"),
                "Breaks a VPN mesh",
                format!(
                    "The VPN mesh `{}` takes its shape from the topology and would no longer \
                     connect: {}",
                    stored.spec.name, finding.detail
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Federation;

    fn findings(lifetime: &str) -> Vec<(bool, String)> {
        let mut spec = Federation::defaults("test".parse().unwrap());
        spec.certificate_lifetime = lifetime.parse().unwrap();
        let mut inventory = Inventory::new(spec.name.clone());
        inventory.federation.spec = spec;
        let mut findings = Vec::new();
        check(&inventory, &mut findings);
        let told = findings.iter();
        told.map(|finding| (finding.is_error(), finding.summary.clone()))
            .collect()
    }

    #[test]
    fn certificates_of_minutes_are_worth_a_warning_and_of_less_than_seconds_an_error() {
        assert_eq!(findings("10m"), []);
        let short = (false, "Short certificate lifetime".to_owned());
        assert_eq!(findings("10s"), [short]);
        let wrong = (true, "Certificate lifetime out of range".to_owned());
        assert_eq!(findings("9s"), findings("9000h"));
        assert_eq!(findings("9000h"), [wrong]);
    }
}
