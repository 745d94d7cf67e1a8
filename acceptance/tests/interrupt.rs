//! Ctrl-C in the middle of an apply: what was done is kept, and only the wait is given up.

use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Federation, Laboratory, Tool};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn an_interrupted_wait_for_proof_keeps_the_mesh_in_the_state() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    for tool in Tool::ALL {
        // Both reach the voter, which is the first, and the second's tunnel goes nowhere.
        let mut configuration = federation.configuration();
        configuration.site("site1").endpoint = "10.99.0.199:51820".to_owned();
        configuration.site("site2").endpoint = "10.99.0.198:51820".to_owned();
        let terraform = federation.terraform(&configuration)?.with(tool);
        terraform.init()?;
        let mut apply = laboratory.spawn(
            &format!("apply-{tool:?}"),
            terraform.invocation(["apply", "-no-color", "-auto-approve"])?,
        )?;
        wait_until_true("the mesh is declared and waited for", PATIENCE, || {
            let meshes = federation.operator.hanse_json(["status"])?["vpn_meshes"].to_string();
            Ok(meshes.contains("backbone"))
        })?;
        apply.interrupt()?;
        apply.wait(PATIENCE)?;
        let said = apply.log()?;
        assert!(said.contains("Interrupted"), "{said}");
        let state = terraform.run(["state", "list"])?.success()?.stdout;
        assert!(state.contains("hanse_vpn_mesh.this"), "{state}\n{said}");
        let plan = terraform.plan()?;
        assert!(!plan.has_changes, "{}", plan.output.stdout);
        terraform.destroy()?;
    }
    Ok(())
}
