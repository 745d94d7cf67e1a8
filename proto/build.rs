//! Compiles the .proto files with protox, so that no `protoc` is needed.

use std::path::Path;
use std::{env, fs};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=hanse");
    println!("cargo:rerun-if-changed=raft");
    let files = ["hanse/v1/api.proto", "raft/v1/consensus.proto"];
    let descriptors = protox::compile(files, ["."])?;
    let described = Path::new(&env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(described, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        // It holds a secret: see `lib.rs`.
        .skip_debug([".hanse.v1.PlanSecretValue"])
        .codec_path("crate::codec::SmallBuffers")
        .compile_fds(descriptors)?;
    Ok(())
}
