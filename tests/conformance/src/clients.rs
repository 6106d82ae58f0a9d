//! Drivers of other languages: installed once and kept with what is built, pinned by the files beside their scripts.
//!
//! `clients/` has a script for each driver, which holds the expectations; `requirements.txt` and `package-lock.json` say which
//! versions are installed. A machine that cannot install them says that the test was skipped, and why.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests_vm::{Cluster, is_installed, repository, run, scratch_dir};

/// What a script prints at its end.
const END: &str = "all expectations hold\n";

fn folder() -> PathBuf {
    repository().join("tests/conformance/clients")
}

/// Tests a Python driver by its script, against three host processes.
///
/// # Panics
/// If an expectation does not hold.
pub fn test_python(driver: &str) {
    match python() {
        Ok(python) => test(driver, Command::new(python).arg(folder().join(format!("{driver}_client.py")))),
        Err(why) => println!("skipped: {driver} cannot be installed: {why}"),
    }
}

/// Tests a driver of Node by its script, against three host processes.
///
/// # Panics
/// If an expectation does not hold.
pub fn test_node(driver: &str) {
    match node_modules() {
        Ok(modules) => {
            let script = folder().join(format!("{driver}_client.cjs"));
            test(driver, Command::new("node").env("NODE_PATH", modules).arg(script));
        }
        Err(why) => println!("skipped: {driver} cannot be installed: {why}"),
    }
}

fn test(driver: &str, command: &mut Command) {
    let cluster = Cluster::start(driver, &["--host"]);
    let ports = (1..=3).map(|node| cluster.port(node).to_string());
    let said = run(command.args(ports)).expect_success(&format!("the script of {driver}"));
    print!("{said}");
    assert!(said.ends_with(END), "the script of {driver} came to its end");
}

/// A Python that has what `requirements.txt` says.
fn python() -> Result<PathBuf, String> {
    let environment = kept("python-clients");
    let python = environment.join("bin/python");
    let requirements = folder().join("requirements.txt");
    let (path, program) = (environment.to_string_lossy(), python.to_string_lossy());
    let install = ["-m", "pip", "install", "--quiet", "--no-deps", "-r", &requirements.to_string_lossy()];
    let steps = [("python3", &["-m", "venv", &path][..]), (&program, &install)];
    installed("python3", &environment, &requirements, |_| steps.to_vec())?;
    Ok(python)
}

/// A folder of modules as `package-lock.json` says.
fn node_modules() -> Result<PathBuf, String> {
    let environment = kept("node-clients");
    let lock = folder().join("package-lock.json");
    let path = environment.to_string_lossy();
    let install = ["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", &path];
    installed("npm", &environment, &lock, |environment| {
        std::fs::create_dir_all(environment).expect("a folder for modules");
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(folder().join(file), environment.join(file)).expect("a copy");
        }
        vec![("npm", &install[..])]
    })?;
    Ok(environment.join("node_modules"))
}

/// Where something stays between tests.
fn kept(name: &str) -> PathBuf {
    scratch_dir(name).with_file_name(name)
}

/// Installs what a file says, unless that has been done from the same file.
fn installed<'a>(
    needs: &str,
    environment: &Path,
    pins: &Path,
    steps: impl FnOnce(&Path) -> Vec<(&'a str, &'a [&'a str])>,
) -> Result<(), String> {
    if !is_installed(needs) {
        return Err(format!("{needs} is not installed"));
    }
    let pinned = std::fs::read(pins).expect("the file of versions");
    let done = environment.join("installed");
    if std::fs::read(&done).is_ok_and(|before| before == pinned) {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(environment);
    for (program, words) in steps(environment) {
        let outcome = run(Command::new(program).args(words));
        if !outcome.success {
            return Err(outcome.err.lines().last().unwrap_or("no reason given").to_string());
        }
    }
    std::fs::write(done, pinned).expect("a note of what is installed");
    Ok(())
}
