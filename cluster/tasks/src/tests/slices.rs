//! However fuel is sliced, a run does the same.

use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Calls, loops, floats, memory, tables, bulk instructions and every import that goes on, with a checksum as result.
const BUSY: &str = r#"
    (table $callees 4 funcref)
    (elem (table $callees) (i32.const 0) func $double $fib $double $fib)
    (type $unary (func (param i64) (result i64)))
    (global $sum (mut i64) (i64.const 0))
    (data (i32.const 0) "SELECT 1[2]refuse")
    (func $double (type $unary) (i64.mul (local.get 0) (i64.const 2)))
    (func $fib (type $unary)
        (if (result i64) (i64.lt_u (local.get 0) (i64.const 2)) (then (local.get 0))
            (else (i64.add (call $fib (i64.sub (local.get 0) (i64.const 1)))
                (call $fib (i64.sub (local.get 0) (i64.const 2)))))))
    (func $add (param i64)
        (global.set $sum (i64.add (i64.mul (global.get $sum) (i64.const 31)) (local.get 0))))
    (func $floats (param $left i32) (result f64) (local $sum f64) (local $small f32)
        (local.set $small (f32.const 1.5))
        (loop $again
            (local.set $small (f32.sqrt (f32.add (local.get $small) (f32.const 0.25))))
            (local.set $sum (f64.add (f64.mul (local.get $sum) (f64.const 1.0001))
                (f64.promote_f32 (local.get $small))))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))
        (local.get $sum))
    (func $digits (param $number i64) (local $at i32)
        (loop $again
            (i32.store8 (i32.add (i32.const 1000) (local.get $at))
                (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $number) (i64.const 15)))))
            (local.set $number (i64.shr_u (local.get $number) (i64.const 4)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $at) (i32.const 16)))))
    (func (export "run") (local $round i32)
        (loop $rounds
            (call $add (call_indirect (type $unary) (i64.const 9)
                (i32.and (local.get $round) (i32.const 3))))
            (call $add (i64.reinterpret_f64 (call $floats (i32.const 500))))
            (memory.fill (i32.const 2000) (local.get $round) (i32.const 30000))
            (memory.copy (i32.const 2100) (i32.const 2050) (i32.const 20000))
            (call $add (i64.load (i32.const 22093)))
            (call $add (i64.extend_i32_s (memory.grow (i32.const 1))))
            (call $add (i64.extend_i32_s (table.grow $callees (ref.null func) (i32.const 1))))
            (table.copy $callees $callees (i32.const 1) (i32.const 0) (i32.const 3))
            (call $add (i64.extend_i32_s (call $arguments)))
            (call $add (i64.extend_i32_s (call $response_read (i32.const 500) (i32.const 1) (i32.const 3))))
            (call $add (i64.add (call $random) (call $time)))
            (call $add (i64.extend_i32_s
                (call $sql (i32.const 0) (i32.const 8) (i32.const 8) (local.get $round))))
            (call $add (i64.extend_i32_s (call $response_read (i32.const 600) (i32.const 0) (i32.const 99))))
            (call $add (i64.load (i32.const 603)))
            (call $add (i64.extend_i32_s
                (call $sql (i32.const 11) (i32.const 6) (i32.const 0) (i32.const 0))))
            (call $digits (global.get $sum))
            (call $log (local.get $round) (i32.const 1000) (i32.const 16))
            (local.set $round (i32.add (local.get $round) (i32.const 1)))
            (br_if $rounds (i32.lt_u (local.get $round) (i32.const 4))))
        (call $digits (global.get $sum))
        (call $result (i32.const 1000) (i32.const 16)))
"#;

fn busy(fuel_max: u64, slices: &[u64]) -> (Outcome, usize) {
    finish(begin(&program(BUSY), Limits { fuel_max, ..LIMITS }).expect("a run"), slices)
}

#[test]
fn thousands_of_slices_are_as_good_as_one() {
    let (whole, steps) = busy(LIMITS.fuel_max, &[u64::MAX]);
    assert!(matches!(whole.end, Step::Done(Some(_))), "{:?}", whole.end);
    assert_eq!(whole.calls.len(), 12);
    assert_eq!(steps, 13);
    let (sliced, steps) = busy(LIMITS.fuel_max, &[1]);
    assert_eq!(sliced, whole);
    assert!(steps > 1000, "{steps}");
    // Nothing is given, and it still goes on.
    assert_eq!(busy(LIMITS.fuel_max, &[0]).0, whole);
}

#[test]
fn the_limit_is_exact() {
    let whole = busy(LIMITS.fuel_max, &[u64::MAX]).0;
    for slice in [u64::MAX, 1, 77] {
        assert_eq!(busy(whole.fuel_used, &[slice]).0, whole);
        let short = busy(whole.fuel_used - 1, &[slice]).0;
        assert_eq!(short.end, Step::Trap(Trap::OutOfFuel { limit: whole.fuel_used - 1 }));
    }
}

#[test]
fn memory_is_asked_for_once_however_fuel_ends() {
    let program = main("(drop (memory.grow (i32.const 3))) (drop (memory.grow (i32.const 0)))");
    for slice in [u64::MAX, 0, 1, 1000] {
        let payer = Payer::new(usize::MAX);
        let run = Run::new(&program, "run", LIMITS, facts(), Box::new(payer.clone())).expect("a run");
        assert_eq!(finish(run, &[slice]).0.end, Step::Done(None));
        assert_eq!(payer.asked(), [65536, 4 * 65536]);
    }
}

#[test]
fn a_loop_is_sliced_evenly() {
    let program = main("(loop (br 0))");
    let mut run = begin(&program, LIMITS).expect("a run");
    let mut before = run.fuel_used();
    for _ in 0..500 {
        assert_eq!(run.step(1000), Step::Yield);
        let used = run.fuel_used() - before;
        assert!((900..=1000).contains(&used), "{used}");
        before = run.fuel_used();
    }
    let end = finish(run, &[1000]).0;
    assert_eq!(end.end, Step::Trap(Trap::OutOfFuel { limit: LIMITS.fuel_max }));
    assert!(end.fuel_used <= LIMITS.fuel_max);
}

#[test]
fn instructions_that_need_more_than_a_slice_get_through() {
    let program = main(
        r#"(drop (memory.grow (i32.const 15)))
        (memory.fill (i32.const 0) (i32.const 97) (i32.const 1048576))
        (memory.copy (i32.const 0) (i32.const 1) (i32.const 1048575))
        (call $result (i32.const 0) (i32.const 3))"#,
    );
    let (outcome, steps) = finish(begin(&program, LIMITS).expect("a run"), &[5]);
    assert_eq!(outcome.end, Step::Done(Some("aaa".to_string())));
    assert!(outcome.fuel_used > 3 * (1 << 20) / 64 - 2000, "{}", outcome.fuel_used);
    assert!(steps < 100, "{steps}");
}

#[test]
fn runs_share_nothing() {
    let program = program(BUSY);
    let alone = run(&program);
    let mut runs: Vec<(Run, Vec<Call>)> =
        (0..3).map(|_| (begin(&program, LIMITS).expect("a run"), Vec::new())).collect();
    let mut ends = Vec::new();
    let mut turn: usize = 0;
    while !runs.is_empty() {
        let at = turn % runs.len();
        let (run, calls) = &mut runs[at];
        turn += 1;
        match run.step(13 + turn as u64 % 100) {
            Step::Yield => {}
            Step::Call(call) => {
                if let Call::Sql { text, parameters } = &call {
                    run.answer(answer(text, parameters));
                }
                calls.push(call);
            }
            end => {
                let (run, calls) = runs.swap_remove(at);
                ends.push(Outcome { calls, end, fuel_used: run.fuel_used() });
            }
        }
    }
    assert_eq!(ends.len(), 3);
    ends.iter().for_each(|end| assert_eq!(*end, alone));
}

#[test]
fn a_run_can_be_dropped_half_way() {
    let program = program(BUSY);
    let whole = run(&program);
    for steps in 0..60 {
        let mut run = begin(&program, LIMITS).expect("a run");
        for _ in 0..steps {
            if let Step::Call(Call::Sql { text, parameters }) = run.step(200) {
                run.answer(answer(&text, &parameters));
            }
        }
    }
    assert_eq!(run(&program), whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_slices_do_the_same(
        slices in proptest::collection::vec(prop_oneof![0..20u64, 0..2000u64, 0..50_000u64], 1..40),
        fuel_max in prop_oneof![Just(LIMITS.fuel_max), 1000..60_000u64],
    ) {
        let whole = busy(fuel_max, &[u64::MAX]).0;
        prop_assert_eq!(busy(fuel_max, &slices).0, whole);
    }
}

#[test]
fn not_a_numbers_have_the_same_bits() {
    // Of whatever operands, the result is the canonical one, positive.
    let divide = |operands: &str| {
        format!("(i32.ne (i32.reinterpret_f32 (f32.div {operands})) (i32.const 0x7fc00000))")
    };
    let operands = ["(f32.const 0) (f32.const 0)", "(f32.const -nan:0x200001) (f32.const 1)"];
    let checks: String =
        operands.iter().map(|operands| format!("(if {} (then unreachable))", divide(operands))).collect();
    assert_eq!(run(&main(&checks)).end, Step::Done(None));
}
