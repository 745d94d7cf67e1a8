use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(required, identity = "maybe")]
    serial: Attr<String>,
}

fn main() {}
