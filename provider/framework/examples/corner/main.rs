//! A provider that has one of everything, so that each feature can be seen at work under a real
//! Terraform. What it manages are JSON files in a folder, which may be changed by hand.

mod everything;
mod fragile;
mod functions;
mod nested;
mod planned;
mod same;
mod secret;
mod shout;
mod store;
mod stored;
mod token;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use terraform_plugin::{Attr, Cx, Diagnostics, Model, Provider, Registry, async_trait};

use store::Store;

/// Where the objects are.
#[derive(Model)]
pub struct Config {
    /// The folder that holds them. The temporary folder by default.
    #[attribute(optional)]
    pub folder: Attr<String>,
}

struct Corner;

#[async_trait]
impl Provider for Corner {
    type Config = Config;
    type Client = Store;
    const ADDRESS: &'static str = "registry.terraform.io/example/corner";

    fn register(&self, registry: &mut Registry<Store>) {
        everything::register(registry);
        fragile::register(registry);
        functions::register(registry);
        nested::register(registry);
        planned::register(registry);
        same::register(registry);
        secret::register(registry);
        shout::register(registry);
        stored::register(registry);
        token::register(registry);
    }

    async fn configure(&self, _: &Cx<()>, config: Config) -> Result<Store, Diagnostics> {
        let folder = config.folder.into_known();
        Ok(Store::at(folder.map_or_else(env::temp_dir, PathBuf::from)))
    }
}

fn main() -> ExitCode {
    terraform_plugin::run(Corner)
}
