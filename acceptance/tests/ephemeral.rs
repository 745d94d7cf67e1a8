//! Tokens and credentials that live as long as a run: they work, and are found nowhere afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use hanse_acceptance::{Agent, Federation, Laboratory, Terraform, Tool};

/// A provisioner may see what is ephemeral; it stands for the secret store of a cloud.
const HANDED_ON: &str = r#"
ephemeral "hanse_join_token" "new" {
  federation     = "test"
  member_cluster = "CLUSTER"
  ttl            = "10m"
}
ephemeral "hanse_credentials" "ci" {
  federation = "test"
  name       = "ci"
  role       = "viewer"
}
resource "terraform_data" "store" {
  provisioner "local-exec" {
    command = "umask 077; printf %s \"$TOKEN\" > token; printf %s \"$CREDENTIALS\" > ci.pem"
    environment = {
      TOKEN       = ephemeral.hanse_join_token.new.token
      CREDENTIALS = ephemeral.hanse_credentials.ci.credentials
    }
  }
}
"#;

#[test]
fn a_token_of_a_run_lets_a_machine_in_and_credentials_let_a_program_look() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise_on(&laboratory, 1)?;
    for (tool, host) in Tool::ALL.into_iter().zip([2, 3]) {
        let cluster = format!("site{host}");
        let mut configuration = federation.configuration();
        configuration.address_pools.clear();
        configuration.tail = HANDED_ON.replace("CLUSTER", &cluster);
        let terraform = federation
            .operator
            .terraform_with(&configuration.to_string())?
            .with(tool)
            .traced();
        terraform.init()?;
        terraform.run(["plan", "-out", "plan.bin"])?.success()?;
        terraform.apply()?;
        let token = read(&terraform, "token")?;
        let credentials = read(&terraform, "ci.pem")?;

        let mut late = Agent::join(laboratory.host(host), &token)?;
        late.start()?;
        late.wait_until_live(&federation.operator)?;

        let ci = terraform.folder().join("ci.pem");
        fs::set_permissions(&ci, fs::Permissions::from_mode(0o600))?;
        let looked = federation.configuration().to_string()
            + "data \"hanse_nodes\" \"all\" {\n  federation = \"test\"\n}\n";
        let viewer = federation
            .operator
            .terraform_with(&looked)?
            .with(tool)
            .env("HANSE_CREDENTIALS", &ci);
        viewer.init()?;
        viewer.run(["plan", "-no-color"])?.success()?;
        let refused = viewer.run(["apply", "-no-color", "-auto-approve"])?;
        assert!(!refused.succeeded(), "a viewer changes nothing");
        assert!(refused.stderr.contains("viewer"), "{}", refused.stderr);

        let key = credentials
            .lines()
            .rev()
            .find(|line| line.len() >= 40)
            .context("the bundle has a key")?;
        for file in ["plan.bin", "terraform.tfstate", "trace.log"] {
            let text = lossy(&terraform.folder().join(file))?;
            assert!(!text.contains(&token), "the token stands in {file}");
            assert!(!text.contains(key), "the key stands in {file}");
        }
        terraform.destroy()?;
    }
    Ok(())
}

fn read(terraform: &Terraform<'_>, name: &str) -> Result<String> {
    lossy(&terraform.folder().join(name))
}

fn lossy(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
