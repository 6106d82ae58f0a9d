//! The arrows between packages, read from the manifests.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A package of the workspace, and those of them it depends on.
struct Package {
    name: String,
    /// Its folder, from the root of the repository.
    path: String,
    /// With dev-dependencies, which may point where others may not.
    depends_on: Vec<Dependency>,
    has_program: bool,
    /// Whether cargo means it if nobody names a package.
    is_default: bool,
}

struct Dependency {
    name: String,
    for_tests: bool,
}

fn packages() -> Vec<Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(&root).output().expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo gives JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_string();
    let defaults = metadata["workspace_default_members"].as_array().expect("a list");
    let package = |package: &Value| {
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().expect("a folder");
        let path = folder.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        let ours = package["dependencies"].as_array().expect("a list").iter();
        let ours = ours.filter(|dependency| dependency["path"].is_string());
        let depends_on = ours.map(|dependency| Dependency {
            name: text(&dependency["name"]),
            for_tests: dependency["kind"] == "dev",
        });
        let mut targets = package["targets"].as_array().expect("a list").iter();
        let is_program =
            |target: &Value| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bin".into()));
        Package {
            name: text(&package["name"]),
            path,
            depends_on: depends_on.collect(),
            has_program: targets.any(is_program),
            is_default: defaults.contains(&package["id"]),
        }
    };
    let packages: Vec<Package> =
        metadata["packages"].as_array().expect("a list").iter().map(package).collect();
    assert!(packages.len() > 10, "the whole workspace is looked at");
    packages
}

/// The crate that programs are written with; its users see its name.
const PROGRAM: &str = "relix-program";

/// Whether a package may import another.
fn may_import(from: &str, to: &str) -> bool {
    let layer = |name: &str| name.split('-').next().unwrap_or_default().to_string();
    match (layer(from).as_str(), layer(to).as_str()) {
        // What programs are written with is on the other side of the sandbox: neither it nor the system knows the other.
        _ if from == PROGRAM => false,
        _ if to == PROGRAM => layer(from) == "tests",
        // The roots join what they run.
        _ if from == "kernel-main" => to != "relix" && layer(to) != "tests",
        // The simulator is a feature of the command: users run it. Its clients and checks come with it.
        ("relix", "tests") => to == "tests-sim",
        ("relix", _) => to != "kernel-main" && to != "kernel-arch" && to != "drivers-virtio",
        ("tests", other) => other != "relix",
        // Pure: they see hardware only as the contract.
        ("cluster", "cluster") => true,
        ("cluster", _) => to == "drivers-api",
        ("drivers", "drivers") => to == "drivers-api",
        ("drivers", _) => false,
        // The pure core is below the machine and knows devices as the contract only.
        ("kernel", "kernel") => to == "kernel-core",
        ("kernel", _) => to == "drivers-api",
        _ => false,
    }
}

#[test]
fn arrows_point_down() {
    for package in packages() {
        for Dependency { name, for_tests } in &package.depends_on {
            // Unit tests of a pure crate may stand it on simulated devices.
            let on_simulation = *for_tests && name == "drivers-sim";
            let (from, to) = (&package.name, name);
            assert!(on_simulation || may_import(from, to), "{from} must not import {to}");
        }
    }
}

#[test]
fn packages_are_named_after_their_path() {
    for Package { name, path, .. } in packages() {
        // Those that users name.
        let expected = match &*path {
            "images" => "relix".to_string(),
            "programs/sdk" => PROGRAM.to_string(),
            path => path.replace('/', "-"),
        };
        assert_eq!(name, expected, "the package in {path}");
    }
}

#[test]
fn the_rule_itself_says_no() {
    let forbidden = [
        ("cluster-node", "drivers-host"),
        ("cluster-sql", "kernel-core"),
        ("kernel-core", "kernel-arch"),
        ("kernel-core", "drivers-virtio"),
        ("kernel-arch", "cluster-format"),
        ("drivers-virtio", "cluster-format"),
        ("drivers-virtio", "kernel-arch"),
        ("kernel-main", "relix"),
        ("kernel-main", "tests-sim"),
        ("relix", "kernel-main"),
        ("relix", "tests-vm"),
        ("tests-sim", "relix"),
        ("cluster-node", "tests-sim"),
        ("relix-program", "cluster-tasks"),
        ("cluster-tasks", "relix-program"),
        ("relix", "relix-program"),
    ];
    forbidden.iter().for_each(|(from, to)| assert!(!may_import(from, to), "{from} -> {to}"));
    let allowed = [
        ("kernel-main", "cluster-node"),
        ("relix", "cluster-net"),
        ("relix", "tests-sim"),
        ("cluster-node", "drivers-api"),
        ("cluster-node", "cluster-store"),
        ("tests-sim", "drivers-sim"),
        ("tests-programs", "relix-program"),
    ];
    allowed.iter().for_each(|(from, to)| assert!(may_import(from, to), "{from} -> {to}"));
}

/// Or `cargo run`, as the README has it, would not know which one to run.
#[test]
fn there_is_one_program_that_cargo_runs() {
    let programs = packages().into_iter().filter(|package| package.is_default && package.has_program);
    assert_eq!(programs.map(|package| package.name).collect::<Vec<_>>(), ["relix"]);
}
