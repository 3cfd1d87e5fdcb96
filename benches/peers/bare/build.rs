//! The stubs, from the protos that the library compiles too, with `Bytes` fields as it has them.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = "../../../proto";
    println!("cargo::rerun-if-changed={protos}");
    let descriptors = protox::compile(["rpc.proto"], [protos])?;
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .disable_comments(["."])
        .include_file("stubs.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
