//! The examples, compiled from Rust.
//!
//! Whoever has the target by `rustup target add` compiles as a user does. Elsewhere the standard library is compiled first, from
//! its sources as Debian packages them, with the compiler that they belong to.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const TARGET: &str = "wasm32-unknown-unknown";

/// Where Debian has its compiler, which rustup's hides.
const OF_DEBIAN: &str = "/usr/bin/rustc";

/// A compiler, and whether it has the standard library as sources only.
struct Compiler {
    rustc: PathBuf,
    from_source: bool,
}

/// An example of `programs/examples`, as a module. All of them are compiled once.
///
/// # Panics
/// If there is no compiler, or it refuses them.
pub fn rust(example: &str) -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(build).join(format!("{example}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compiles all examples; where they are.
fn build() -> PathBuf {
    let compiler = find().unwrap_or_else(|why| panic!("{why}"));
    let kept = target_dir().join("programs");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "relix-program", "--examples", "--profile", "program", "--quiet"]);
    command.args(["--target", TARGET, "--target-dir"]).arg(&kept).current_dir(repository());
    command.env("RUSTC", &compiler.rustc);
    if compiler.from_source {
        println!("{TARGET} is compiled from source, with {}", compiler.rustc.display());
        // Cargo and the compiler let sources be compiled if they are told that they are not the stable ones.
        command.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
        command.env("RUSTC_BOOTSTRAP", "1");
        if let Some(linker) = linker() {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }
    let status = command.stdin(Stdio::null()).status().expect("cargo runs");
    assert!(status.success(), "the examples do not compile for {TARGET}");
    kept.join(TARGET).join("program/examples")
}

/// A compiler that has the target, or else one that has what the target is compiled from.
fn find() -> Result<Compiler, String> {
    ready().or_else(from_source).ok_or_else(|| {
        format!(
            "no Rust {} for {TARGET}: rustup target add {TARGET}, or on Debian: \
             apt-get update && apt-get install rustc-web rust-web-src",
            env!("CARGO_PKG_RUST_VERSION")
        )
    })
}

fn known() -> impl Iterator<Item = PathBuf> {
    ["rustc", OF_DEBIAN].map(PathBuf::from).into_iter().filter(|rustc| is_new_enough(rustc))
}

fn ready() -> Option<Compiler> {
    let has_target = |rustc: &PathBuf| {
        let dir = said(rustc, &["--print", "target-libdir", "--target", TARGET]);
        dir.is_some_and(|dir| Path::new(&dir).is_dir())
    };
    known().find(has_target).map(|rustc| Compiler { rustc, from_source: false })
}

fn from_source() -> Option<Compiler> {
    let has_sources = |rustc: &PathBuf| {
        let sysroot = said(rustc, &["--print", "sysroot"]);
        sysroot.is_some_and(|dir| Path::new(&dir).join("lib/rustlib/src/rust/library/Cargo.lock").is_file())
    };
    known().find(has_sources).map(|rustc| Compiler { rustc, from_source: true })
}

/// Whether it compiles what the workspace is written in.
fn is_new_enough(rustc: &Path) -> bool {
    let numbers = |version: &str| -> Option<(u32, u32)> {
        let mut numbers = version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let version = said(rustc, &["--version"]).and_then(|line| numbers(line.split(' ').nth(1)?));
    version.is_some_and(|version| Some(version) >= numbers(env!("CARGO_PKG_RUST_VERSION")))
}

/// The linker of the toolchain that the tests are compiled by. Debian packages it with LLVM.
fn linker() -> Option<PathBuf> {
    let sysroot = said(Path::new("rustc"), &["--print", "sysroot"])?;
    let host = said(Path::new("rustc"), &["--print", "host-tuple"])?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    linker.is_file().then_some(linker)
}

/// What a compiler prints, if it is there.
fn said(rustc: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new(rustc).args(words).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where cargo puts what it builds: a test runs from below of it.
pub(crate) fn target_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.map_or_else(|| repository().join("target"), Path::to_path_buf)
}
