//! Rules of the text: what a reviewer would otherwise say again and again.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this is several files; tests may be longer, up to the second figure.
const LINES_MAX: usize = 450;
const TEST_LINES_MAX: usize = 500;

/// A file of the repository, as text.
struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Its lines with their numbers from 1, without the tests at its end.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
        lines.enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Every file that is text, but for what is built or kept by others.
fn sources() -> Vec<Source> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let skipped =
                name == "target" || name == "Cargo.lock" || (name.starts_with('.') && name != ".ci");
            if skipped {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(sources.len() > 100, "the whole tree is looked at");
    sources
}

fn rust() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(Source::is_rust)
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_are_short() {
    let long = rust().filter_map(|source| {
        let lines = source.text.lines().count();
        let most = if source.is_test() { TEST_LINES_MAX } else { LINES_MAX };
        (lines > most).then(|| format!("{}: {lines} lines, {most} at most: split it", source.path))
    });
    none(long.collect());
}

#[test]
fn nothing_is_left_undone() {
    // Put together here, so that this file does not find itself.
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    let marks = ["FIX", "XX"].map(|half| format!("{half}{}", if half == "FIX" { "ME" } else { "X" }));
    let mut complaints = Vec::new();
    for source in rust() {
        for (index, line) in source.text.lines().enumerate() {
            for word in words.iter().chain(&marks).filter(|word| line.contains(word.as_str())) {
                complaints.push(format!("{}:{}: {word}", source.path, index + 1));
            }
        }
    }
    none(complaints);
}

#[test]
fn the_product_does_not_unwrap() {
    let mut complaints = Vec::new();
    for source in rust().filter(|source| !source.is_test()) {
        for (number, line) in source.product_lines() {
            let comment = line.trim_start().starts_with("//");
            if line.contains(".unwrap()") && !comment {
                complaints
                    .push(format!("{}:{number}: say what is expected, or return an error", source.path));
            }
        }
    }
    none(complaints);
}

#[test]
fn names_say_what_is_inside() {
    let vague = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];
    let named = sources().into_iter().flat_map(|source| {
        let words: Vec<String> = source.path.split('/').map(str::to_string).collect();
        let stems = words.iter().map(|word| word.split('.').next().unwrap_or_default());
        let bad = stems.filter(|stem| vague.contains(stem)).map(|stem| format!("{}: '{stem}'", source.path));
        bad.collect::<Vec<_>>()
    });
    none(named.collect());
}

/// Packages where `unsafe` has its address: the hardware's, and the door out of a program.
const UNSAFE: [&str; 4] = ["kernel/arch", "drivers/virtio", "kernel/main", "programs/sdk"];

#[test]
fn unsafe_has_an_address() {
    let mut complaints = Vec::new();
    for source in rust() {
        let root = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
        let allowed = UNSAFE.iter().any(|folder| source.path.starts_with(folder));
        if root && !allowed && !source.text.contains("#![forbid(unsafe_code)]") {
            complaints.push(format!("{}: forbid(unsafe_code) is missing", source.path));
        }
    }
    none(complaints);
}

#[test]
fn no_package_registry_is_named() {
    // Whoever builds decides where packages come from. Put together here, so that this file does not find
    // itself.
    let hosts = ["crates", "static.crates", "index.crates"].map(|name| format!("{name}.{}", "io"));
    let others = ["py-pi.org", "files.python-hosted.org", "deb.deb-ian.org", "registry.npm-js.org"];
    let others = others.map(|name| name.replace('-', ""));
    let mut complaints = Vec::new();
    for source in sources() {
        for host in hosts.iter().chain(&others).filter(|host| source.text.contains(host.as_str())) {
            complaints.push(format!("{}: names {host}", source.path));
        }
    }
    none(complaints);
}

#[test]
fn crates_say_what_they_are() {
    let silent = rust().filter(|source| source.path.ends_with("src/lib.rs"));
    let silent = silent.filter(|source| !source.text.starts_with("//! "));
    none(silent.map(|source| format!("{}: begins with what the crate is", source.path)).collect());
}
