//! Links the kernel as a static binary with its own layout and no C library.

fn main() {
    let layout = concat!(env!("CARGO_MANIFEST_DIR"), "/../arch/link.ld");
    for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{layout}");
    println!("cargo::rustc-link-arg-bins=-Wl,--build-id=none");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,max-page-size=4096");
    println!("cargo::rerun-if-changed={layout}");
    println!("cargo::rerun-if-changed=build.rs");
}
