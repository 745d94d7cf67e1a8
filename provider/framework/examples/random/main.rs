//! A provider with the schema of `hashicorp/random`, so that the two can be measured side by side
//! (`scripts/bench provider`). It is a tour of small resources, too: defaults, validators,
//! replacement under a condition, a hook, sensitive results, ephemeral resources.
//!
//! Each file is one kind of random thing; what all of them have in common is in `drawn`.

mod bytes;
mod characters;
mod digits;
mod drawn;
mod id;
mod integer;
mod keepers;
mod password;
mod password_secret;
mod pet;
mod shuffle;
mod source;
mod string;
mod uuid;

use std::process::ExitCode;

use terraform_plugin::{Cx, Diagnostics, Empty, Provider, Registry, async_trait};

use drawn::Drawn;

struct Random;

#[async_trait]
impl Provider for Random {
    type Config = Empty;
    type Client = ();
    const ADDRESS: &'static str = "registry.terraform.io/example/random";

    fn register(&self, registry: &mut Registry<()>) {
        registry
            .resource(Drawn(bytes::Bytes))
            .resource(Drawn(id::Id))
            .resource(Drawn(integer::Integer))
            .resource(Drawn(password::Password))
            .resource(Drawn(pet::Pet))
            .resource(Drawn(shuffle::Shuffle))
            .resource(Drawn(string::Text))
            .resource(Drawn(uuid::Uuid))
            .resource(Drawn(uuid::Uuid4))
            .resource(Drawn(uuid::Uuid7))
            .ephemeral_resource(bytes::Secret)
            .ephemeral_resource(password_secret::Secret);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

fn main() -> ExitCode {
    terraform_plugin::run(Random)
}
