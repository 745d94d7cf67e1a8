use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(required, sensitive, identity)]
    serial: Attr<String>,
}

fn main() {}
