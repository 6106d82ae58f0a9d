//! Modules that users bring.

use cluster_tasks::{Answer, Call, Facts, Grants, Limits, Memory, Program, Run, Step};

/// What a run may take.
const LIMITS: Limits = Limits { memory_len_max: 1 << 20, fuel_max: 100_000 };

struct Bounded;

impl Memory for Bounded {
    fn resize(&mut self, len: usize) -> bool {
        assert!(len <= LIMITS.memory_len_max, "no more is asked for than is allowed");
        true
    }
}

/// How a run ends must not depend on how its fuel is sliced.
pub fn program(bytes: &[u8]) {
    let Ok(program) = Program::new(bytes, Grants::all()) else { return };
    assert_eq!(run(&program, u64::MAX), run(&program, 100));
}

/// How a run ends, what it has asked for, and the fuel that it has used.
fn run(program: &Program, slice: u64) -> (Vec<String>, u64) {
    let facts = Facts { arguments: "{\"a\": 1}".into(), time_micros: 1_000_000, seed: 7 };
    let mut did = Vec::new();
    let mut run = match Run::new(program, "run", LIMITS, facts, Box::new(Bounded)) {
        Ok(run) => run,
        Err(trap) => return ([trap.to_string()].into(), 0),
    };
    loop {
        match run.step(slice) {
            Step::Yield => {}
            Step::Call(call) => {
                did.push(format!("{call:?}"));
                run.answer(match call {
                    Call::StepDone { .. } => Answer::Done(2_000_000),
                    Call::Step { .. } if did.len() % 2 == 0 => Answer::Nothing,
                    Call::File(_) if did.len() % 2 == 0 => Answer::Bytes([0, 255].into()),
                    _ if did.len() % 2 == 0 => Answer::Response("[]".into()),
                    _ => Answer::Failed("no".into()),
                });
            }
            step => {
                did.push(format!("{step:?}"));
                return (did, run.fuel_used());
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        include_str!("../../../cluster/tasks/examples/statement.wat"),
        include_str!("../../../cluster/tasks/examples/order.wat"),
        r#"(module (memory (export "memory") 1) (func (export "run") (loop (br 0))))"#,
        r#"(module
            (import "relix" "time" (func $time (result i64)))
            (import "relix" "random" (func $random (result i64)))
            (import "relix" "log" (func $log (param i32 i32 i32)))
            (import "relix" "sleep_until" (func $sleep_until (param i64)))
            (memory (export "memory") 1 4)
            (global $at (mut i32) (i32.const 8))
            (table 2 funcref) (elem (i32.const 0) $grow $grow)
            (data (i32.const 0) "a line")
            (func $grow (drop (memory.grow (i32.const 1))))
            (func (export "run")
              (call $log (i32.const 2) (i32.const 0) (i32.const 6))
              (memory.fill (global.get $at) (i32.const 1) (i32.const 5000))
              (call_indirect (i32.const 1))
              (i64.store (i32.const 64) (call $random))
              (call $sleep_until (i64.add (call $time) (i64.const 5)))))"#,
    ];
    texts.into_iter().map(|text| wat::parse_str(text).expect("valid")).collect()
}
