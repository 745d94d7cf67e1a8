use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(optional, write_only, equivalent = same)]
    password: Attr<String>,
}

fn same(before: &str, after: &str) -> bool {
    before == after
}

fn main() {}
