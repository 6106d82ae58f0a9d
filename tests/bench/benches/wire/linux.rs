//! The Linux guest: Debian's cloud kernel, its modules for virtio, and `tests/guest` as the first process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests_vm::{build, run};

use crate::cpio::Archive;
use crate::machine::Guest;

/// Debian's package that names the newest kernel for virtual machines.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// What the first process is compiled for, and how: alone in its file system, it has no shared libraries.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const LINKED: (&str, &str) = ("RUSTFLAGS", "-C target-feature=+crt-static");

/// Modules of the kernel, in the order in which each finds what it needs.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
];

/// Makes a guest, in `dir`; the error says why there is none.
pub fn prepare(dir: &Path, kvm: bool) -> Result<Guest, String> {
    let package = package()?;
    let unpacked = dir.join(&package);
    let version = package.strip_prefix("linux-image-").unwrap_or(&package);
    let kernel = unpacked.join("boot").join(format!("vmlinuz-{version}"));
    if !kernel.is_file() {
        unpack(dir, &package, &unpacked)?;
    }
    let modules = unpacked.join("lib/modules").join(version).join("kernel");
    let mut archive = Archive::default();
    archive.add_folder("modules");
    for (number, module) in MODULES.iter().enumerate() {
        let contents = read(&modules.join(format!("{module}.ko")))?;
        let name = module.rsplit('/').next().unwrap_or(module);
        archive.add_file(&format!("modules/{number}-{name}.ko"), &contents);
    }
    let init = build(&["-p", "tests-guest", "--release", "--target", TARGET], &[LINKED]);
    archive.add_file("init", &read(&init)?);
    // A name of its own for each process: benches may run beside each other.
    let initrd = dir.join(format!("initrd-{}", std::process::id()));
    fs::write(&initrd, archive.finish()).map_err(|error| format!("{}: {error}", initrd.display()))?;
    Ok(Guest { name: "Linux", kernel, initrd: Some(initrd), kvm, disk: None, append: line })
}

/// The command line of the kernel. Linux is given its best: no defence of the system against its one process, which costs
/// two changes of page tables a system call on this processor; and it has nothing to say.
fn line(role: &str, ip: &str) -> String {
    format!("console=ttyS0 quiet panic=-1 mitigations=off -- {role} {ip}")
}

/// The name of the package of the newest kernel.
fn package() -> Result<String, String> {
    let refused = |what: &str| {
        format!("apt knows no {META_PACKAGE} ({what}): is this Debian, and has 'apt-get update' run?")
    };
    let output = Command::new("apt-cache").args(["depends", META_PACKAGE]).output();
    let output = output.map_err(|error| refused(&error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    named.map(str::to_string).ok_or_else(|| refused("it depends on nothing"))
}

/// Fetches a package and unpacks it, which installs nothing: no hooks run, and the system keeps its kernels.
fn unpack(dir: &Path, package: &str, to: &Path) -> Result<(), String> {
    eprintln!(
        "A Linux kernel to compare with is fetched by 'apt-get download {package}', and not installed."
    );
    let outcome = run(Command::new("apt-get").args(["download", package]).current_dir(dir));
    if !outcome.success {
        return Err(format!("'apt-get download {package}' failed: {}", outcome.err.trim()));
    }
    let entries = fs::read_dir(dir).map_err(|error| error.to_string())?.flatten();
    let prefix = format!("{package}_");
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
    let file = entries.map(|entry| entry.path()).find(is_it).ok_or("apt-get has left no file")?;
    let outcome = run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(to));
    let _ = fs::remove_file(&file);
    if outcome.success { Ok(()) } else { Err(format!("dpkg-deb failed: {}", outcome.err.trim())) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
