//! Compiles the protocol's `.proto` files in pure Rust, so that building needs no `protoc`.

use std::path::PathBuf;
use std::{env, error, fs};

use protox::prost::Message as _;

const FILES: [&str; 2] = ["proto/tfplugin/v6.proto", "proto/plugin/go_plugin.proto"];

fn main() -> Result<(), Box<dyn error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // A test compares the compiled descriptors with the table of facts.
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
