//! Which modules are programs, and what is said of those that are not.

use std::format;
use std::string::{String, ToString};
use std::vec;

use super::*;
use crate::limits::MODULE_LEN_MAX;
use crate::{Grant, ModuleError};

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

fn refusal_of(bytes: &[u8]) -> String {
    let refusal = Program::new(bytes, Grants::all()).expect_err("no program").to_string();
    assert!(!refusal.contains('\n') && refusal.len() < 500, "{refusal}");
    refusal
}

fn refusal(text: &str) -> String {
    refusal_of(&compile(&format!("(module {text})")))
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"#!/bin/sh", b"(module)", b"\0asm\x0d\0\x01\0"] {
        assert!(refusal_of(bytes).starts_with("this is no WebAssembly module"));
    }
    assert!(
        refusal_of(&vec![0; MODULE_LEN_MAX + 1]).starts_with("the module has 1048577 bytes: 1048576 at most")
    );
}

#[test]
fn truncated_modules_are_refused() {
    let whole = module(r#"(func (export "run") (call $result (i32.const 0) (i32.const 0)))"#);
    for len in 8..whole.len() {
        match Program::new(&whole[..len], Grants::all()) {
            Err(ModuleError::Invalid { reason }) => assert!(reason.contains("(at offset 0x"), "{reason}"),
            // Where a section ends the rest may be a module; and only names are left out of a program.
            Err(error) => assert_eq!(error, ModuleError::NoMemory),
            Ok(_) => assert_eq!(whole[len], 0, "a custom section"),
        }
    }
}

#[test]
fn invalid_code_is_refused() {
    for body in [
        "i32.add",
        "(i32.const 1)",
        "(drop (i64.add (i32.const 1) (i64.const 1)))",
        "(br 7)",
        "(local.get 1)",
    ] {
        let refusal = refusal(&format!("{MEMORY} (func (export \"run\") {body})"));
        assert!(refusal.starts_with("the module cannot be run: ") && refusal.contains("offset"), "{refusal}");
    }
}

#[test]
fn imports_are_those_there_are() {
    let refused = refusal(&format!(r#"(import "wasi" "fd_write" (func)) {MEMORY}"#));
    assert_eq!(refused, "the module imports wasi.fd_write: there are only the functions of module \"relix\"");
    assert!(refusal(&format!(r#"(import "relix" "exit" (func)) {MEMORY}"#)).contains("imports relix.exit"));
    let long = format!("(import \"relix\" \"\\1b[2J{}\" (func)) {MEMORY}", "x".repeat(5000));
    assert!(refusal(&long).contains("relix.?[2Jxxx"));
    for import in [
        r#"(func (param i32))"#,
        r#"(func (param i32 i32 i32 i32))"#,
        r#"(func (param i32 i32 i32 i64) (result i32))"#,
        r#"(global i32)"#,
        r#"(memory 1)"#,
        r#"(table 1 funcref)"#,
    ] {
        let refused = refusal(&format!(r#"(import "relix" "sql" {import})"#));
        let expected =
            "the module imports relix.sql as if it were of another type: it is (i32, i32, i32, i32) -> i32";
        assert_eq!(refused, expected);
    }
    let many = r#"(import "relix" "time" (func (result i64)))"#.repeat(65);
    assert_eq!(refusal(&format!("{many} {MEMORY}")), "the module has more than 64 imports");
}

#[test]
fn imports_are_granted() {
    let needed = [
        (Grant::Sql, r#"(import "relix" "sql" (func (param i32 i32 i32 i32) (result i32)))"#),
        (Grant::Log, r#"(import "relix" "log" (func (param i32 i32 i32)))"#),
        (Grant::Time, r#"(import "relix" "time" (func (result i64)))"#),
        (Grant::Random, r#"(import "relix" "random" (func (result i64)))"#),
        (Grant::Sleep, r#"(import "relix" "sleep_until" (func (param i64)))"#),
    ];
    for (grant, import) in needed {
        let module = compile(&format!("(module {import} {MEMORY})"));
        for granted in Grant::ALL {
            let made = Program::new(&module, Grants::NONE.with(granted));
            assert_eq!(made.is_ok(), granted == grant);
        }
        let refused = Program::new(&module, Grants::NONE).expect_err("not granted");
        let expected = format!("which needs the privilege \"{}\"", grant.name());
        assert!(refused.to_string().ends_with(&expected), "{refused}");
    }
    let free =
        r#"(import "relix" "arguments" (func (result i32))) (import "relix" "fail" (func (param i32 i32)))"#;
    assert!(Program::new(&compile(&format!("(module {free} {MEMORY})")), Grants::NONE).is_ok());
}

#[test]
fn a_memory_is_exported() {
    let expected = ModuleError::NoMemory.to_string();
    for text in ["", "(memory 1)", r#"(memory (export "mem") 1)"#, r#"(func (export "memory"))"#] {
        assert_eq!(refusal(text), expected);
    }
}

#[test]
fn start_functions_are_refused() {
    let refused = refusal(&format!("{MEMORY} (func $for_ever (loop (br 0))) (start $for_ever)"));
    assert_eq!(refused, ModuleError::StartFunction.to_string());
}

#[test]
fn what_makes_no_sense_here_is_refused() {
    for text in [
        "(memory 1)",
        "(memory i64 1)",
        "(func $f (result i32) return_call $f)",
        "(func (drop (v128.const i64x2 0 0)))",
        "(func (drop (i32.atomic.load (i32.const 0))))",
        "(tag)",
        "(memory 1 1 (pagesize 1))",
    ] {
        refusal(&format!("{MEMORY} {text}"));
    }
}

#[test]
fn what_would_take_too_long_is_refused() {
    let locals = |count: usize| format!("{MEMORY} (func (local {}))", "i64 ".repeat(count));
    assert!(Program::new(&compile(&format!("(module {})", locals(2000))), Grants::all()).is_ok());
    assert_eq!(refusal(&locals(2001)), "the module has more than 2000 locals in a function");
    let exports: String = (0..1000).map(|number| format!("(func (export \"f{number}\"))")).collect();
    assert_eq!(refusal(&format!("{MEMORY} {exports}")), "the module has more than 1000 exports");
    let elements = format!("{MEMORY} (table 1 funcref) (func $f) (elem func {})", "$f ".repeat(100_001));
    assert_eq!(refusal(&elements), "the module has more than 100000 elements in segments");
    let many = [
        ("(func)", 10_000, "functions"),
        ("(global i32 (i32.const 0))", 1000, "globals"),
        ("(data \"a\")", 1000, "data segments"),
        ("(elem func)", 1000, "element segments"),
    ];
    for (text, most, what) in many {
        let module = |count: usize| compile(&format!("(module {MEMORY} {})", text.repeat(count)));
        assert!(Program::new(&module(most), Grants::all()).is_ok());
        assert_eq!(refusal_of(&module(most + 1)), format!("the module has more than {most} {what}"));
    }
    for list in ["param", "result"] {
        let types = format!("{MEMORY} (type (func ({list} {})))", "i64 ".repeat(33));
        assert_eq!(refusal(&types), "the module has more than 32 parameters or results of a type");
    }
    // Deeper than a reader of text can go.
    let mut bytes = module(r#"(func (export "run") (drop (i32.const 0x12345)))"#);
    let is_code = |bytes: &[u8]| matches!(bytes, [10, _, 1]);
    let section = bytes.windows(3).rposition(is_code).expect("a code section with one function");
    bytes.truncate(section);
    let blocks = [&[0][..], &[2, 0x40].repeat(5001), &[0x0b].repeat(5002)].concat();
    let number = |value: usize| [value as u8 | 0x80, (value >> 7) as u8 | 0x80, (value >> 14) as u8];
    let code = [&[1][..], &number(blocks.len()), &blocks].concat();
    bytes.extend([&[10][..], &number(code.len()), &code].concat());
    assert_eq!(refusal_of(&bytes), "the module has more than 5000 blocks in one another");
}

#[test]
fn entries_are_without_parameters_and_results() {
    let program = program(
        r#"(func (export "run")) (func (export "again")) (func (export "of") (param i32))
        (func (export "to") (result i32) (i32.const 1)) (global (export "g") i32 (i32.const 1))"#,
    );
    let mut entries: Vec<&str> = program.entries().collect();
    entries.sort_unstable();
    assert_eq!(entries, ["again", "run"]);
    assert!(program.has_entry("again"));
    for entry in ["of", "to", "g", "memory", "none", ""] {
        assert!(!program.has_entry(entry));
        let run = Run::new(&program, entry, LIMITS, facts(), Box::new(Payer::new(usize::MAX)));
        assert_eq!(run.expect_err("no entry"), Trap::NoEntry { name: entry.to_string() });
    }
    assert!(program.memory_len() > module("").len());
}

#[test]
fn grants_are_text() {
    assert_eq!(Grants::all().to_string(), "sql,log,random,time,sleep,files");
    assert_eq!("".parse(), Ok(Grants::NONE));
    assert_eq!(" log, sql ".parse(), Ok(Grants::NONE.with(Grant::Sql).with(Grant::Log)));
    let unknown = "sql,rm".parse::<Grants>().expect_err("no grant").to_string();
    assert_eq!(unknown, "there is no privilege \"rm\": there are sql,log,random,time,sleep,files");
}
