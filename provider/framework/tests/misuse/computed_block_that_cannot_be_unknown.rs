use terraform_plugin::{Attr, Model};

#[derive(Model)]
struct Route {
    #[attribute(required)]
    target: Attr<String>,
}

#[derive(Model)]
struct Host {
    #[block(computed)]
    routes: Vec<Route>,
}

fn main() {}
