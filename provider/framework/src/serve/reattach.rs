//! The debug mode: a provider started by hand tells how a Terraform started elsewhere reaches it.

use std::path::Path;
use std::process;

use serde_json::json;

/// What to set in the other Terraform's environment.
pub(super) fn instructions(address: &str, socket: &Path) -> String {
    let entry = json!({
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": process::id(),
        "Test": true,
        "Addr": { "Network": "unix", "String": socket.display().to_string() },
    });
    let providers = json!({ address: entry });
    format!(
        "Provider started. Run Terraform with this in its environment, and end the provider with \
         Ctrl-C:\n\nTF_REATTACH_PROVIDERS='{providers}'"
    )
}
