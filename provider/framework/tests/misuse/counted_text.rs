use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(required, min = 1)]
    name: Attr<String>,
}

fn main() {}
