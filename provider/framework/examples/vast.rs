//! A provider with a schema as large as one asks for, to see what becomes of messages that are too
//! large: `VAST_SCHEMA_MEBIBYTES` says how large.

use std::env;
use std::process::ExitCode;

use terraform_plugin::schema::{Attribute, Block, Shape};
use terraform_plugin::value::Type;
use terraform_plugin::{
    Cx, Diagnostics, Model, ObjectReader, ObjectWriter, Provider, Registry, Undecodable,
    async_trait,
};

/// A model is usually derived. One by hand may have any schema.
struct VastConfig;

impl Model for VastConfig {
    fn block() -> Block {
        let mebibytes = env::var("VAST_SCHEMA_MEBIBYTES").ok();
        let mebibytes = mebibytes.and_then(|text| text.parse().ok()).unwrap_or(1);
        let attributes = (0..mebibytes).map(|number: usize| {
            Attribute::new(format!("attribute_{number}"), Shape::Type(Type::String))
                .optional()
                .description("x".repeat(1 << 20))
        });
        Block {
            attributes: attributes.collect(),
            ..Block::default()
        }
    }

    fn from_object(_: ObjectReader) -> Result<Self, Undecodable> {
        Ok(Self)
    }

    fn into_object(self) -> ObjectWriter {
        ObjectWriter::default()
    }
}

struct Vast;

#[async_trait]
impl Provider for Vast {
    type Config = VastConfig;
    type Client = ();
    const ADDRESS: &'static str = "registry.terraform.io/example/vast";

    fn register(&self, _: &mut Registry<()>) {}

    async fn configure(&self, _: &Cx<()>, _: VastConfig) -> Result<(), Diagnostics> {
        Ok(())
    }
}

fn main() -> ExitCode {
    terraform_plugin::run(Vast)
}
