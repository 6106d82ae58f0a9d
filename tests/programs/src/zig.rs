//! The example in Zig, whose compiler comes as a Python package: installed once, and kept with what is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::compiler::{repository, target_dir};

/// An example of `programs/examples`, as a module; or why there is no compiler.
///
/// # Panics
/// If the compiler refuses it.
pub fn zig(example: &str) -> Result<Vec<u8>, String> {
    let kept = target_dir().join("zig");
    let python = install(&kept)?;
    let source = repository().join("programs/examples").join(format!("{example}.zig"));
    let module = kept.join(format!("{example}.wasm"));
    let mut command = Command::new(python);
    command.args(["-m", "ziglang", "build-exe", "-target", "wasm32-freestanding", "-fno-entry", "-rdynamic"]);
    command.args(["-O", "ReleaseSmall"]).arg(source).arg(format!("-femit-bin={}", module.display()));
    command.arg("--cache-dir").arg(kept.join("cache")).arg("--global-cache-dir").arg(kept.join("cache"));
    run(&mut command).unwrap_or_else(|error| panic!("{example}.zig: {error}"));
    Ok(std::fs::read(module).expect("the compiler has written it"))
}

/// A Python that has what `requirements.txt` says, unless that has been installed from the same file.
fn install(kept: &Path) -> Result<PathBuf, String> {
    let pins = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements.txt");
    let (environment, pinned) = (kept.join("python"), std::fs::read(&pins).expect("the file of versions"));
    let (python, done) = (environment.join("bin/python"), kept.join("installed"));
    if std::fs::read(&done).is_ok_and(|before| before == pinned) {
        return Ok(python);
    }
    println!("The compiler of Zig is installed into {}", kept.display());
    let _ = std::fs::remove_dir_all(kept);
    run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]).arg(pins))?;
    std::fs::write(done, pinned).expect("a note of what is installed");
    Ok(python)
}

/// Runs a command to its end; what it says last, if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    if output.status.success() { Ok(()) } else { Err(said) }
}
