//! Images boot by BIOS and by EFI, whatever their format; their node has its data again, and more room if the disk has.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use drivers_gpt::{BOOT_CODE_LEN, EFI_SYSTEM, Guid, NewPartition, Table};
use tests_vm::{Cluster, relix, run, turn};

use crate::machine::{Firmware, Folder, Machine, Parts, inspect};

const SECTOR: u64 = 512;

const SETTINGS: &str =
    "relix.node=1 relix.size=1 relix.ip=10.0.2.15/24 relix.panic=off relix.peers=2@10.0.2.16,,3@10.0.2.17";

/// Boots `image`. Without `data`, that is the node's disk; else it is one that the kernel has no driver for, and `data` is
/// the node's.
fn boot(image: &Path, format: &str, firmware: Firmware, data: Option<&Path>) -> Machine {
    let settings = Some(SETTINGS);
    Machine::boot(&Parts { image, format, firmware, disks: data.as_slice(), settings, ..Parts::default() })
}

fn lengthen(path: &Path, mebibytes: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("the image");
    file.set_len(mebibytes << 20).expect("a longer file");
}

#[test]
fn an_image_boots_by_bios_and_by_efi_in_either_format_and_keeps_its_data() {
    let _turn = turn();
    let folder = Folder::new("images");
    let first = folder.image("first.img", "raw");
    let second = folder.image("second.img", "raw");
    assert!(fs::read(&first).expect("an image") == fs::read(&second).expect("an image"), "images differ");
    let shown = inspect(&first);
    assert!(shown.contains("Relix data") && shown.contains("blank"), "{shown}");
    let [third, fourth] = ["third.qcow2", "fourth.qcow2"].map(|name| folder.image(name, "qcow2"));
    assert!(fs::read(&third).expect("an image") == fs::read(&fourth).expect("an image"), "images differ");
    // The disk that an image is copied to is larger, as a rule.
    [&first, &second].into_iter().for_each(|image| lengthen(image, 400));
    let boots = [
        (&first, "raw", Firmware::SeaBios),
        (&second, "raw", Firmware::Ovmf),
        (&third, "qcow2", Firmware::SeaBios),
        (&fourth, "qcow2", Firmware::Ovmf),
    ];
    for (image, format, firmware) in boots {
        let began = Instant::now();
        let machine = boot(image, format, firmware, None);
        let said = machine.wait_for(&["the data disk was blank", "the leader is node 1", "has voters 1"]);
        println!("{format} by {firmware:?}: a leader after {:.1} s", began.elapsed().as_secs_f64());
        assert_eq!(said.contains("the data partition grows"), format == "raw", "{said}");
        assert!(!said.contains("ERROR") && !said.contains(" WARN "), "{said}");
        drop(machine);
        let machine = boot(image, format, firmware, None);
        let said = machine.wait_for(&["recovered the ledger up to version", "the leader is node 1"]);
        assert!(!said.contains("blank") && !said.contains("grows"), "{said}");
        drop(machine);
        let shown = inspect(image);
        assert!(shown.contains("cluster") && shown.contains("versions 1 to "), "{shown}");
    }
}

#[test]
fn a_disk_that_cannot_be_the_nodes_is_left_alone() {
    let _turn = turn();
    let folder = Folder::new("image-disks");
    let image = folder.image("boot.img", "raw");
    let disk = folder.0.join("disk");
    let started = |disk: &Path| boot(&image, "raw", Firmware::SeaBios, Some(disk));
    // One with a table, but without a partition for data.
    let sectors = (64 << 20) / SECTOR;
    let partition =
        NewPartition { kind: EFI_SYSTEM, id: Guid([7; 16]), name: "EFI", first: 2048, sectors: Some(2048) };
    let table = Table::new(sectors, Guid([9; 16]), &[partition]).expect("it fits");
    let file = File::create(&disk).expect("a file");
    file.set_len(sectors * SECTOR).expect("room");
    for write in table.format(&[0; BOOT_CODE_LEN]) {
        file.write_all_at(&write.bytes, write.sector * SECTOR).expect("room");
    }
    let before = fs::read(&disk).expect("the disk");
    let said = started(&disk).wait_until_off();
    assert!(said.contains("ERROR the disk has a partition table, but no partition of type"), "{said}");
    assert!(fs::read(&disk).expect("the disk") == before, "it was written to");
    let error =
        run(Command::new(relix()).args(["image", "inspect"]).arg(&disk)).expect_one_line_error("inspect");
    assert!(error.contains("no partition of type"), "{error}");
    // One that was cut short.
    fs::copy(&image, &disk).expect("room");
    OpenOptions::new()
        .write(true)
        .open(&disk)
        .and_then(|file| file.set_len(100 << 20))
        .expect("a shorter file");
    let said = started(&disk).wait_until_off();
    assert!(
        said.contains("ERROR the disk has 102400 KiB where its partition table says 262144 KiB"),
        "{said}"
    );
    // One without a table is used whole.
    File::create(&disk).and_then(|file| file.set_len(64 << 20)).expect("room");
    let said = started(&disk).wait_for(&["the data disk was blank", "the leader is node 1"]);
    assert!(!said.contains("partition"), "{said}");
}

/// Three VMs from one image, which has no settings: they are told only their cluster's name and size.
fn one_image_is_three_nodes(name: &str, format: &str, firmware: &str) {
    let _turn = turn();
    let folder = Folder::new(&format!("{name}-image"));
    let image = folder.image(&format!("relix.{format}"), format);
    let image = image.to_str().expect("a path");
    let began = Instant::now();
    let cluster =
        Cluster::start(name, &["--discover", "--image", image, "--firmware", firmware, "--memory", "256"]);
    println!("{name}: three nodes serve after {:.1} s", began.elapsed().as_secs_f64());
    cluster.client(1).query("CREATE TABLE t AS SELECT 7 AS a").expect("it serves");
    let leader = cluster.leader();
    cluster.fault(&["kill", &leader.to_string()]);
    let other = cluster.others(leader)[0];
    cluster.wait("the others go on", || cluster.client(other).query("INSERT INTO t VALUES (8)").ok());
    cluster.fault(&["restart", &leader.to_string()]);
    cluster.catches_up(leader);
    assert_eq!(cluster.client(leader).row("SELECT sum(a) FROM t"), Ok("15".into()));
    assert!(cluster.log(1).contains("the data partition grows"), "{}", cluster.log(1));
}

#[test]
fn one_image_is_three_nodes_by_bios() {
    one_image_is_three_nodes("three-by-bios", "raw", "bios");
}

#[test]
fn one_image_is_three_nodes_by_efi() {
    one_image_is_three_nodes("three-by-efi", "qcow2", "uefi");
}
