//! Generates the gRPC code from the `.proto` files, without `protoc`.

use std::path::Path;

const FILES: [&str; 3] = [
    "heliograph/upload/v1/upload.proto",
    "heliograph/thumbnail/v1/thumbnail.proto",
    "heliograph/federation/v1/federation.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, [Path::new(".")])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
