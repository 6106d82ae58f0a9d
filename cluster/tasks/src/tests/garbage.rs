//! Bytes that are no module, or nearly one: none of them panics, and what is a program ends.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// With something of everything.
const BODY: &str = r#"
    (table 10 funcref) (elem (i32.const 1) $busy $quiet) (global $g (mut i32) (i32.const 5))
    (data (i32.const 8) "SELECT 1")
    (func $quiet (param i32) (result i32) (block (br_table 0 0 0 (local.get 0))) (i32.const 7))
    (func $busy (export "run") (local $i i32) (local $f f64)
        (loop $again
            (local.set $f (f64.add (local.get $f) (f64.convert_i32_s (local.get $i))))
            (i32.store (local.get $i) (i32.trunc_sat_f64_s (local.get $f)))
            (drop (call_indirect (param i32) (result i32) (local.get $i) (i32.const 2)))
            (memory.copy (i32.const 100) (i32.const 0) (i32.const 50))
            (global.set $g (select (local.get $i) (global.get $g) (i32.eqz (global.get $g))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 10))))
        (drop (call $sql (i32.const 8) (i32.const 8) (i32.const 0) (i32.const 0)))
        (call $log (i32.const 1) (i32.const 8) (i32.const 8))
        (call $result (i32.const 8) (i32.const 8)))
"#;

/// Runs all entries of what is a program, for a little while.
fn try_to_run(bytes: &[u8]) {
    let program = match Program::new(bytes, Grants::all()) {
        Ok(program) => program,
        Err(error) => return assert!(!error.to_string().contains('\n')),
    };
    let limits = Limits { memory_len_max: 1 << 20, fuel_max: 20_000 };
    for entry in program.entries() {
        let run = |slice: u64| {
            let run = Run::new(&program, entry, limits, facts(), Box::new(Payer::new(1 << 19)));
            run.map(|run| finish(run, &[slice]).0)
        };
        let whole = run(u64::MAX);
        let unknown = match &whole {
            Err(trap) => Some(trap),
            Ok(Outcome { end: Step::Trap(trap), .. }) => Some(trap),
            Ok(_) => None,
        };
        assert!(!matches!(unknown, Some(Trap::Interpreter { .. })), "{unknown:?}");
        assert_eq!(whole, run(20));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        try_to_run(&bytes);
        try_to_run(&[b"\0asm\x01\0\0\0", &bytes[..]].concat());
    }

    #[test]
    fn a_module_that_was_changed(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
    ) {
        let mut bytes = module(BODY);
        for (at, value, kind) in &changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = *value,
                1 => bytes[at] ^= 1 << (value % 8),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        try_to_run(&bytes);
    }
}

/// Each byte of a module, changed in every way.
#[test]
fn every_byte_changed() {
    let module = module(BODY);
    for at in 8..module.len() {
        // All values would take minutes.
        let values: Vec<u8> =
            (0..8).map(|bit| module[at] ^ (1 << bit)).chain([0, 0x7f, 0x80, 0xff, 0x0b]).collect();
        for value in values {
            let mut bytes = module.clone();
            bytes[at] = value;
            try_to_run(&bytes);
        }
    }
}
