//! Programs in the text format of WebAssembly, and a host that answers what they ask for.

mod garbage;
mod hostile;
mod imports;
mod modules;
mod slices;

use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use crate::{Answer, Call, Facts, FileCall, Grants, Limits, Memory, Program, Run, Step, Trap};

/// Every import, under its own name.
const IMPORTS: &str = r#"
    (import "relix" "arguments" (func $arguments (result i32)))
    (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
    (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
    (import "relix" "result" (func $result (param i32 i32)))
    (import "relix" "fail" (func $fail (param i32 i32)))
    (import "relix" "log" (func $log (param i32 i32 i32)))
    (import "relix" "time" (func $time (result i64)))
    (import "relix" "random" (func $random (result i64)))
    (import "relix" "sleep_until" (func $sleep_until (param i64)))
    (import "relix" "wait_for" (func $wait_for (param i32 i32 i64)))
    (import "relix" "step" (func $step (param i32 i32) (result i32)))
    (import "relix" "step_done" (func $step_done (param i32 i32)))
    (import "relix" "file_read" (func $file_read (param i32 i32 i64 i32) (result i32)))
    (import "relix" "file_write" (func $file_write (param i32 i32 i64 i32 i32) (result i32)))
    (import "relix" "file_remove" (func $file_remove (param i32 i32) (result i32)))
    (import "relix" "file_rename" (func $file_rename (param i32 i32 i32 i32) (result i32)))
    (import "relix" "file_mkdir" (func $file_mkdir (param i32 i32) (result i32)))
"#;

const LIMITS: Limits = Limits { memory_len_max: 1 << 20, fuel_max: 1_000_000 };

fn compile(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text of a module")
}

/// A module with all imports, a page of memory, and this besides.
fn module(body: &str) -> Vec<u8> {
    compile(&format!("(module {IMPORTS} (memory (export \"memory\") 1) {body})"))
}

fn program(body: &str) -> Program {
    Program::new(&module(body), Grants::all()).expect("a program")
}

/// A program whose entry has this body.
fn main(body: &str) -> Program {
    program(&format!("(func (export \"run\") {body})"))
}

/// Grants memory up to a length, and notes what it is asked for.
#[derive(Clone)]
struct Payer {
    most: usize,
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Payer {
    fn new(most: usize) -> Payer {
        Payer { most, asked: Arc::default() }
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().expect("no test panics").clone()
    }
}

impl Memory for Payer {
    fn resize(&mut self, len: usize) -> bool {
        self.asked.lock().expect("no test panics").push(len);
        len <= self.most
    }
}

fn facts() -> Facts {
    Facts { arguments: "[1,2]".to_string(), time_micros: 1_700_000_000_000_000, seed: 7 }
}

fn begin(program: &Program, limits: Limits) -> Result<Run, Trap> {
    Run::new(program, "run", limits, facts(), Box::new(Payer::new(usize::MAX)))
}

/// What a run did.
#[derive(Debug, PartialEq)]
struct Outcome {
    calls: Vec<Call>,
    end: Step,
    fuel_used: u64,
}

/// Statements are answered with themselves and their parameters, or refused if they say so.
fn answer(text: &str, parameters: &str) -> Answer {
    match text {
        "refuse" => Answer::Failed("refused".to_string()),
        _ => Answer::Response(format!("{text}|{parameters}")),
    }
}

/// Steps to the end, with slices that are given again and again. Also counts the steps.
fn finish(mut run: Run, slices: &[u64]) -> (Outcome, usize) {
    let mut calls = Vec::new();
    let mut count = 0;
    for slice in slices.iter().cycle() {
        count += 1;
        match run.step(*slice) {
            Step::Yield => {}
            Step::Call(call) => {
                match &call {
                    Call::Sql { text, parameters } => run.answer(answer(text, parameters)),
                    Call::Step { name } if name == "done" => {
                        run.answer(Answer::Response("before".to_string()))
                    }
                    Call::Step { .. } => run.answer(Answer::Nothing),
                    Call::StepDone { .. } => run.answer(Answer::Done(1_800_000_000_000_000)),
                    Call::File(FileCall::Read { .. }) => run.answer(Answer::Bytes([0, 255, 10].into())),
                    Call::File(_) => run.answer(Answer::Failed("no".to_string())),
                    Call::Log { .. } => {}
                }
                calls.push(call);
            }
            end => return (Outcome { calls, end, fuel_used: run.fuel_used() }, count),
        }
        assert!(count < 10_000_000, "it ends");
    }
    unreachable!("there are slices")
}

/// In one slice.
fn run(program: &Program) -> Outcome {
    match begin(program, LIMITS) {
        Ok(run) => finish(run, &[u64::MAX]).0,
        Err(trap) => Outcome { calls: Vec::new(), end: Step::Trap(trap), fuel_used: 0 },
    }
}

fn trap(program: &Program) -> Trap {
    match run(program).end {
        Step::Trap(trap) => trap,
        other => panic!("it should end badly: {other:?}"),
    }
}

/// What it set as its result.
fn result(program: &Program) -> String {
    match run(program).end {
        Step::Done(Some(result)) => result,
        other => panic!("it should have a result: {other:?}"),
    }
}
