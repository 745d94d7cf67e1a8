use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(required, requires_replacement)]
    name: Attr<String>,
}

fn main() {}
