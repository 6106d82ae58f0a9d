//! The kernel tries itself: its memory functions and its heap, a disk, a wire and the clock, on both machines.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use tests_vm::{Cluster, turn};

/// What QEMU is told beside the machine and its bus.
const FIXED: [&str; 16] = [
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-accel",
    "tcg",
    "-cpu",
    "Nehalem",
    "-m",
    "128",
    "-serial",
    "stdio",
    "-global",
    "virtio-mmio.force-legacy=false",
    "-netdev",
    "user,id=wire,restrict=on",
];

/// Boots the kernel with its self-test: what it says on its console.
fn boot(kernel: &str, disk: &Path, machine: &str, bus: &str) -> String {
    let mut qemu = Command::new("timeout");
    qemu.args(["120", "qemu-system-x86_64", "-machine", machine]).args(FIXED);
    qemu.args(["-kernel", kernel, "-append", "relix.selftest=1 relix.panic=off"]);
    qemu.args(["-drive", &format!("if=none,id=data,format=raw,file={}", disk.display())]);
    for device in ["blk-BUS,drive=data", "net-BUS,netdev=wire", "rng-BUS"] {
        qemu.args(["-device", &format!("virtio-{}", device.replace("BUS", bus))]);
    }
    let output = qemu.output().expect("QEMU is here: the cluster has run in it");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn memory_disk_wire_and_clock_are_what_the_kernel_takes_them_for() {
    let _turn = turn();
    let cluster = Cluster::start("selftest", &["--nodes", "1"]);
    let settings = fs::read(cluster.dir().join("cluster.json")).expect("the cluster's settings");
    let settings: serde_json::Value = serde_json::from_slice(&settings).expect("JSON");
    let kernel = settings["runner"]["vm"]["kernel"].as_str().expect("the kernel that it runs").to_owned();
    let disk = cluster.dir().join("selftest.img");
    File::create(&disk).and_then(|file| file.set_len(64 << 20)).expect("room for a disk");
    for (machine, bus) in [("q35,usb=off,vmport=off", "pci"), ("microvm,pic=off,pit=off,rtc=on", "device")] {
        let said = boot(&kernel, &disk, machine, bus);
        assert!(said.contains("selftest passed"), "on {machine}: {said}");
    }
}
