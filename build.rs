//! Links the addon against Node-API.

fn main() {
    if variable("CARGO_CFG_TARGET_OS") == "linux" {
        // The audit log's thread may still end when Node unloads the addon with a worker: its code must stay.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    // Equal functions of different types become one. Only the linker that Rust brings for this target knows how.
    let target = ["OS", "ENV", "ARCH"].map(|part| variable(&format!("CARGO_CFG_TARGET_{part}")));
    if target == ["linux", "gnu", "x86_64"] {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all");
    }
    napi_build::setup();
}

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts by variables")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
