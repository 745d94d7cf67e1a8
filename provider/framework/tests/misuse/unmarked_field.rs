use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    name: Attr<String>,
}

fn main() {}
