//! What must hold between real hosts.

use crate::laboratory::Laboratory;

pub(crate) type Scenario = fn();

pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("hosts_reach_each_other_on_both_families", hosts_reach_each_other_on_both_families),
];

fn hosts_reach_each_other_on_both_families() {
    let mut laboratory = Laboratory::new(3);
    laboratory.connect_all();
    for from in &laboratory.hosts {
        for to in &laboratory.hosts {
            for address in to.addresses() {
                assert_eq!(from.pings_lost(address, 5), 0, "{} to {address}", from.name);
            }
        }
    }
}
