//! Links the addon against Node-API.

fn main() {
    // The audit log's thread may still end when Node unloads the addon with a worker: its code must stay.
    #[expect(clippy::disallowed_methods, reason = "cargo tells build scripts by variables")]
    let target = std::env::var("CARGO_CFG_TARGET_OS");
    if target.is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    napi_build::setup();
}
