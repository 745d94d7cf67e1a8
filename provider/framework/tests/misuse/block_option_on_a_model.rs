use terraform_plugin::{Attr, Model};

#[derive(Model)]
#[block(min = 1)]
struct Host {
    #[attribute(required)]
    name: Attr<String>,
}

fn main() {}
