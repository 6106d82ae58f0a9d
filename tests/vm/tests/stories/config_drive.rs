//! Machines that are told what they are by a config drive, and what they say of one that is wrong.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use drivers_cidata::volume;
use tests_vm::{relix, run, turn};

use crate::machine::{Folder, Machine, Parts, inspect};

/// Where QEMU's own network has a guest.
const ADDRESS: &str = "relix.ip=10.0.2.15/24";

/// A config drive, by the command.
fn config_drive(folder: &Folder, name: &str, words: &[&str]) -> PathBuf {
    let path = folder.0.join(name);
    let mut command = Command::new(relix());
    command.args(["image", "config", "--out"]).arg(&path).args(words);
    print!("{}", run(&mut command).expect_success("relix image config"));
    path
}

fn blank(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.0.join(name);
    File::create(&path).and_then(|file| file.set_len(64 << 20)).expect("room");
    path
}

/// From an image, with such disks.
fn boot(image: &Path, disks: &[&Path], settings: Option<&str>) -> Machine {
    Machine::boot(&Parts { image, disks, settings, ..Parts::default() })
}

#[test]
fn a_config_drive_says_which_node_a_machine_is_wherever_it_comes() {
    let _turn = turn();
    let folder = Folder::new("config-drive");
    let image = folder.image("boot.img", "raw");
    let data = blank(&folder, "data");
    let words = ["relix.node=1", "relix.size=1", "relix.cluster=driven", ADDRESS];
    let drive = config_drive(&folder, "drive.iso", &words);
    let before = fs::read(&drive).expect("the drive");
    let said = boot(&image, &[&data, &drive], None).wait_for(&[
        "settings come from the config drive disk1",
        "the data disk was blank",
        "has voters 1",
    ]);
    assert!(!said.contains("ERROR"), "{said}");
    let shown = inspect(&data);
    assert!(shown.contains("driven"), "{shown}");
    // What is on the drive is looked for, not where it is.
    let said = boot(&image, &[&drive, &data], None).wait_for(&[
        "settings come from the config drive disk0",
        "recovered the ledger up to version",
        "the leader is node 1",
    ]);
    assert!(!said.contains("ERROR") && !said.contains("blank"), "{said}");
    assert!(fs::read(&drive).expect("the drive") == before, "it was written to");
}

#[test]
fn a_config_drive_counts_below_fw_cfg_and_that_below_the_command_line() {
    let _turn = turn();
    let folder = Folder::new("config-drive-order");
    let image = folder.image_with("boot.img", "raw", "relix.node=1");
    let data = blank(&folder, "data");
    let words = ["relix.node=3", "relix.cluster=by-drive", "relix.size=2", ADDRESS];
    let drive = config_drive(&folder, "drive.iso", &words);
    let said = boot(&image, &[&drive, &data], Some("relix.node=2 relix.cluster=by-fw-cfg"))
        .wait_for(&["settings come from the config drive disk0", "waits for all of the nodes 1 to 2"]);
    assert!(said.contains("] n1 ") && !said.contains("ERROR"), "{said}");
    let shown = inspect(&data);
    assert!(shown.contains("by-fw-cfg") && !shown.contains("by-drive"), "{shown}");
}

#[test]
fn a_config_drive_that_is_wrong_is_named_in_one_line_and_nothing_is_written() {
    let _turn = turn();
    let folder = Folder::new("config-drive-wrong");
    let image = folder.image("boot.img", "raw");
    let data = blank(&folder, "data");
    let before = fs::read(&data).expect("the disk");
    let drive = |name: &str, bytes: &[u8]| {
        let path = folder.0.join(name);
        fs::write(&path, bytes).expect("room");
        path
    };
    let good = b"relix.node=1 relix.size=1 relix.ip=10.0.2.15/24\n";
    let unknown = drive("unknown.iso", &volume(b"#relix\nrelix.node=1 relix.nod=2\n", b""));
    let cloud = drive("cloud.iso", &volume(b"#cloud-config\nhostname: one\n", b""));
    let late = drive("late.iso", &volume(b"relix.node=1 relix.disk-cache=back", b""));
    let short = drive("short.iso", &volume(good, b"")[..25 * 2048]);
    let [one, two] = ["one.iso", "two.iso"].map(|name| drive(name, &volume(good, b"")));
    let cases: [(&[&Path], &str); 6] = [
        (
            &[&data, &unknown],
            "config drive disk1: unknown setting 'relix.nod': remove it or correct its name",
        ),
        (&[&cloud, &data], "config drive disk0: 'hostname:' among the settings is no relix.KEY=VALUE"),
        (&[&late, &data], "config drive disk0: 'relix.disk-cache=back' counts before disks are found"),
        (&[&short, &data], "config drive disk0: it is damaged or cut short: make it anew"),
        (&[&one, &data, &two], "disk0 and disk2 are config drives both: remove one of them"),
        (&[&one], "this machine has no virtio disk for data"),
    ];
    for (disks, line) in cases {
        let said = boot(&image, disks, None).wait_until_off();
        assert!(said.contains(&format!("ERROR {line}")), "'{line}' is missing in: {said}");
        assert_eq!(said.matches(" ERROR ").count(), 1, "one line: {said}");
        assert!(fs::read(&data).expect("the disk") == before, "it was written to: {said}");
        println!("{line}");
    }
}

#[test]
fn a_node_that_another_config_drive_names_too_says_so_and_keeps_what_it_has() {
    let _turn = turn();
    let folder = Folder::new("config-drive-twins");
    let wire = folder.0.join("wire");
    let [first, second] = [1, 2].map(|number| {
        let image = folder.image(&format!("boot{number}.img"), "raw");
        let (ip, size) = (format!("relix.ip=10.77.0.{number}/24"), format!("relix.size={number}"));
        let words = ["relix.cluster=twins", "relix.node=1", &size, &ip];
        let drive = config_drive(&folder, &format!("drive{number}.iso"), &words);
        (image, drive, blank(&folder, &format!("data{number}")))
    });
    let boot = |(image, drive, data): &(PathBuf, PathBuf, PathBuf), end| {
        Machine::boot(&Parts { image, disks: &[drive, data], wire: Some((&wire, end)), ..Parts::default() })
    };
    let one = boot(&first, 1);
    one.wait_for(&["the leader is node 1", "has voters 1"]);
    // It calls for the other founder, by the number that the first one has.
    let other = boot(&second, 2);
    let words = "10.77.0.2 uses this node's id: give every node of the cluster an id of its own";
    let said = one.wait_for(&[words]);
    assert_eq!(said.matches(words).count(), 1, "not for each datagram: {said}");
    drop((one, other));
    let shown = inspect(&first.2);
    assert!(shown.contains("twins") && shown.contains("versions 1 to "), "it has what it had: {shown}");
}
