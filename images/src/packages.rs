//! Programs that are not ours: installed by the system's package manager when they are missing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Failure;
use crate::qemu;

/// Makes sure that QEMU is there.
pub fn ensure_qemu() -> Result<(), Failure> {
    if is_there(qemu::PROGRAM) {
        return Ok(());
    }
    let apt = ["apt-get", "install", "-y", "--no-install-recommends", "qemu-system-x86"];
    if !is_there("apt-get") {
        let problem =
            "not found: install QEMU for x86_64 with your package manager, or use 'relix up --host'";
        return Err(Failure::Program { program: qemu::PROGRAM.into(), problem: problem.into() });
    }
    eprintln!("QEMU is missing: installing it with '{}'.", apt.join(" "));
    let root = rustix::process::geteuid().is_root();
    let installed = run(root, &apt) || (run(root, &["apt-get", "update"]) && run(root, &apt));
    if installed && is_there(qemu::PROGRAM) {
        return Ok(());
    }
    let problem =
        "could not be installed: install the package qemu-system-x86 yourself, or use 'relix up --host'";
    Err(Failure::Program { program: qemu::PROGRAM.into(), problem: problem.into() })
}

/// Runs a command, by sudo unless we are root; its output is shown only if it fails.
fn run(root: bool, words: &[&str]) -> bool {
    let words = if root { words.to_vec() } else { [&["sudo"], words].concat() };
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::inherit())
        .output();
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(_) => false,
    }
}

fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| Path::new(&dir).join(program).is_file())
}
