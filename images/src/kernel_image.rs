//! The kernel: built in a cargo invocation of its own, so that no feature of a host crate leaks into it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::ProgressBar;
use object::{Object, ObjectSymbol, SymbolKind};

use crate::error::Failure;

/// Builds the kernel and says where it is. Cargo's own words become the progress line.
pub fn build(progress: &ProgressBar) -> Result<PathBuf, Failure> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let failed = |problem: String| Failure::Program { program: cargo.clone(), problem };
    let mut child = Command::new(&cargo)
        .args([
            "build",
            "-p",
            "kernel-main",
            "--profile",
            "kernel",
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let messages = child.stdout.take().map(|stdout| {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(stdout).read_to_string(&mut text);
            text
        })
    });
    let mut told = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            progress.set_message(format!("building the kernel: {}", line.trim()));
            told.push(line);
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let messages = messages.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if !status.success() {
        progress.finish_and_clear();
        told.iter().for_each(|line| eprintln!("{line}"));
        return Err(failed("the kernel could not be built".into()));
    }
    executable(&messages).ok_or_else(|| failed("the build names no kernel".into()))
}

fn executable(messages: &str) -> Option<PathBuf> {
    let values = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executables = values.filter_map(|value| Some(PathBuf::from(value.get("executable")?.as_str()?)));
    executables.reduce(|_, later| later)
}

/// Writes the kernel's function symbols in the form its backtraces read.
pub fn write_symbols(kernel: &Path, to: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(kernel).map_err(Failure::file("read", kernel))?;
    std::fs::write(to, symbols(&bytes)?).map_err(Failure::file("write", to))
}

/// The function symbols of a kernel, whose file is `bytes`, in that form.
pub fn symbols(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let file = object::File::parse(bytes).map_err(|error| Failure::Program {
        program: "the kernel image".into(),
        problem: error.to_string(),
    })?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let named = functions.filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?)));
    let named: Vec<(u64, String)> =
        named.map(|(address, name)| (address, format!("{:#}", rustc_demangle::demangle(name)))).collect();
    Ok(kernel_core::symbols::encode(named.iter().map(|(address, name)| (*address, name.as_str()))))
}
