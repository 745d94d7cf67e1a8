use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Host {
    #[attribute(optional, equivalent = order)]
    zone: Attr<String>,
}

fn order(before: &str, after: &str) -> std::cmp::Ordering {
    before.cmp(after)
}

fn main() {}
