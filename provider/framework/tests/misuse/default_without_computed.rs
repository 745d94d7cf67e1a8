use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(optional, default = 1)]
    port: Attr<i64>,
}

fn main() {}
