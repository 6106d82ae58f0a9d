//! Images boot by BIOS and by EFI, whatever their format; their node has its data again, and more room if the disk has.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drivers_gpt::{BOOT_CODE_LEN, EFI_SYSTEM, Guid, NewPartition, Table};
use tests_vm::{Cluster, relix, run, scratch_dir, turn};

/// How long a machine may take until it says something. Firmware is slow when it is translated.
const PATIENCE: Duration = Duration::from_secs(180);

const SECTOR: u64 = 512;

/// What QEMU is told beside disks and firmware. The image itself has no settings. A comma is doubled.
const FIXED: &str = "-machine q35,usb=off,vmport=off -nodefaults -no-user-config -display none -accel tcg -cpu Nehalem \
                     -m 256 -netdev user,id=wire,restrict=on -device virtio-net-pci,netdev=wire -device virtio-rng-pci";
const SETTINGS: &str =
    "relix.node=1 relix.size=1 relix.ip=10.0.2.15/24 relix.panic=off relix.peers=2@10.0.2.16,,3@10.0.2.17";

/// What starts the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Firmware {
    SeaBios,
    Ovmf,
}

/// A machine whose console is a file. Its power fails when it goes out of scope.
struct Machine {
    qemu: Child,
    console: PathBuf,
}

impl Machine {
    /// Boots `image`. Without `data`, that is the node's disk; else it is one that the kernel has no driver for, and `data`
    /// is the node's.
    fn boot(image: &Path, format: &str, firmware: Firmware, data: Option<&Path>) -> Machine {
        let console = image.with_extension("console");
        let mut command = Command::new("qemu-system-x86_64");
        command.args(FIXED.split_whitespace());
        command.args(["-fw_cfg", &format!("name=opt/relix/settings,string={SETTINGS}")]);
        command.args(["-serial", &format!("file:{}", console.display())]);
        if firmware == Firmware::Ovmf {
            let [code, variables] =
                ["OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"].map(|name| format!("/usr/share/OVMF/{name}"));
            assert!(Path::new(&code).is_file(), "{code} is missing: install the package ovmf");
            command.args(["-drive", &format!("if=pflash,format=raw,readonly=on,file={code}")]);
            command.args(["-drive", &format!("if=pflash,format=raw,snapshot=on,file={variables}")]);
        }
        let drive = |id: &str, format: &str, path: &Path| {
            ["-drive".into(), format!("if=none,id={id},format={format},file={}", path.display())]
        };
        command.args(drive("image", format, image));
        match data {
            None => command.args(["-device", "virtio-blk-pci,drive=image"]),
            Some(data) => {
                command.args([
                    "-device",
                    "ide-hd,drive=image,bootindex=0",
                    "-device",
                    "virtio-blk-pci,drive=data",
                ]);
                command.args(drive("data", "raw", data))
            }
        };
        let qemu = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("QEMU is here");
        Machine { qemu, console }
    }

    fn said(&self) -> String {
        fs::read(&self.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What it has said once it has said all of `words`.
    fn wait_for(&self, words: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let said = self.said();
            let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
            if missing.is_empty() {
                return said;
            }
            assert!(began.elapsed() < PATIENCE, "nothing of {missing:?}: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it has said when it has switched itself off.
    fn wait_until_off(mut self) -> String {
        let began = Instant::now();
        while self.qemu.try_wait().expect("a process").is_none() {
            assert!(began.elapsed() < PATIENCE, "it stays on: {}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.said()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let _ = fs::remove_file(&self.console);
    }
}

/// A directory that goes with its story.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = scratch_dir(name);
        fs::create_dir_all(&folder).expect("a directory");
        Folder(folder)
    }

    /// Makes an image there.
    fn image(&self, name: &str, format: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut command = Command::new(relix());
        command.args(["image", "build", "--format", format, "--out"]).arg(&path);
        print!("{}", run(&mut command).expect_success("relix image build"));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn inspect(path: &Path) -> String {
    run(Command::new(relix()).args(["image", "inspect"]).arg(path)).expect_success("relix image inspect")
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
        let machine = Machine::boot(image, format, firmware, None);
        let said = machine.wait_for(&["the data disk was blank", "the leader is node 1", "has voters 1"]);
        println!("{format} by {firmware:?}: a leader after {:.1} s", began.elapsed().as_secs_f64());
        assert_eq!(said.contains("the data partition grows"), format == "raw", "{said}");
        assert!(!said.contains("ERROR") && !said.contains(" WARN "), "{said}");
        drop(machine);
        let machine = Machine::boot(image, format, firmware, None);
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
    let started = |disk: &Path| Machine::boot(&image, "raw", Firmware::SeaBios, Some(disk));
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
