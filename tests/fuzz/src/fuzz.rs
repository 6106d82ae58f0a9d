//! What libFuzzer drives: the target that RELIX_FUZZ names.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod driven {
    use std::sync::LazyLock;

    /// More than this at once is a finding. The corpus does not count: it is libFuzzer's.
    const MEMORY_MAX: usize = 64 << 20;

    #[global_allocator]
    static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, MEMORY_MAX);

    static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
        let name = std::env::var("RELIX_FUZZ").expect("RELIX_FUZZ names a target");
        tests_fuzz::target(&name).expect("a target of that name: `seeds` lists them").run
    });

    libfuzzer_sys::fuzz_target!(|bytes: &[u8]| RUN(bytes));
}

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("This is built by tests/fuzz/run, which adds what coverage needs.");
    std::process::exit(2);
}
