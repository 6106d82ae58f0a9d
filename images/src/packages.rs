//! Programs that are not ours: installed by the system's package manager when they are missing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Failure;
use crate::image::grub;
use crate::qemu;

/// Makes sure that QEMU is there.
pub fn ensure_qemu() -> Result<(), Failure> {
    let is_there = || is_program(qemu::PROGRAM);
    ensure(qemu::PROGRAM, "QEMU", &["qemu-system-x86"], is_there, ", or use 'relix up --host'")
}

/// Makes sure that GRUB is there: what puts its images together, and what they are put together from.
pub fn ensure_grub() -> Result<(), Failure> {
    let files =
        ["i386-pc/boot.img", "x86_64-efi/multiboot2.mod"].map(|file| Path::new(grub::FOLDER).join(file));
    let is_there = || is_program(grub::PROGRAM) && files.iter().all(|file| file.is_file());
    ensure(grub::PROGRAM, "GRUB", &["grub-common", "grub-pc-bin", "grub-efi-amd64-bin"], is_there, "")
}

/// Makes sure that OVMF is there.
pub fn ensure_ovmf() -> Result<(), Failure> {
    let is_there = || qemu::OVMF.iter().all(|file| Path::new(file).is_file());
    ensure("OVMF", "OVMF", &["ovmf"], is_there, ", or use --firmware bios")
}

/// Installs `packages`, which give `program`, unless it is there; `otherwise` says how to do without.
fn ensure(
    program: &str,
    name: &str,
    packages: &[&str],
    is_there: impl Fn() -> bool,
    otherwise: &str,
) -> Result<(), Failure> {
    if is_there() {
        return Ok(());
    }
    let failed = |problem: String| Err(Failure::Program { program: program.into(), problem });
    if !is_program("apt-get") {
        return failed(format!("not found: install {name} for x86_64 with your package manager{otherwise}"));
    }
    let apt = [&["apt-get", "install", "-y", "--no-install-recommends"], packages].concat();
    eprintln!("{name} is missing: installing it with '{}'.", apt.join(" "));
    let root = rustix::process::geteuid().is_root();
    let installed = run(root, &apt) || (run(root, &["apt-get", "update"]) && run(root, &apt));
    if installed && is_there() {
        return Ok(());
    }
    let (noun, packages) = (if packages.len() == 1 { "package" } else { "packages" }, packages.join(", "));
    failed(format!("could not be installed: install the {noun} {packages} yourself{otherwise}"))
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

fn is_program(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| Path::new(&dir).join(program).is_file())
}
