use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(optional, equivalent = same_number)]
    zone: Attr<String>,
}

fn same_number(before: &i64, after: &i64) -> bool {
    before == after
}

fn main() {}
