//! The mesh on the kernel's own WireGuard, in a guest, since the kernel here may have none.
//!
//! Everything else is proved with whatever this machine has, which on most that build software is
//! wireguard-go; so without this the backend of most real hosts would be proved by nothing.
#![cfg(feature = "long")]

use std::path::Path;

use anyhow::{Context, Result};
use hanse_acceptance::guest::{Guest, Report};

/// What the guest must prove, in this order.
const PROOFS: [&str; 10] = [
    "three nodes are enrolled and live",
    "one apply raises a mesh whose paths are all proved",
    "the kernel carries every device, and no daemon runs",
    "every pair pings on v4 and v6",
    "agents that are killed and started again lose no ping",
    "a peer that is removed by hand is put back",
    "2000 routes of one site are applied, and no ping is lost",
    "one of 2000 that is moved by hand is moved back",
    "2000 routes are taken away again, and no ping is lost",
    "a destroy leaves no interface and no route",
];

#[test]
fn the_kernels_wireguard_carries_a_mesh_through_everything() -> Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_kernel_guest"));
    let (guest, console) = Guest::boot(program)?;
    let mut proved = Vec::new();
    loop {
        let report = console.next();
        match report.with_context(|| guest.story())? {
            Report::Kernel(release) => println!("the guest's kernel is {release}"),
            Report::Proved(proof) => {
                println!("{:>7} ms  {}: {}", proof.elapsed_ms, proof.what, proof.seen);
                proved.push(proof.what);
            }
            Report::Failed(why) => panic!("{why}\n{}", guest.story()),
            Report::Done => break,
        }
    }
    assert_eq!(proved, PROOFS);
    Ok(())
}
