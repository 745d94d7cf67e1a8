use terraform_plugin::Model;

#[derive(Model)]
struct Host {
    #[attribute(required)]
    name: String,
}

fn main() {}
