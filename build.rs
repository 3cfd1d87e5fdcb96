//! Compiles the protos under `proto/` in pure Rust: no `protoc` on the machine.

use std::error::Error;

const PROTOS: [&str; 6] =
    ["archive.proto", "auth.proto", "kv.proto", "rpc.proto", "v3election.proto", "v3lock.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        // The comments are written for Go's generator; rustdoc would read their code as doctests.
        .disable_comments(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
