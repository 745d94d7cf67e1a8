use std::collections::BTreeMap;

use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(required, identity)]
    labels: Attr<BTreeMap<String, String>>,
}

fn main() {}
