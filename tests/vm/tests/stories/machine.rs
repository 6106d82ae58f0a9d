//! A machine that is started by hand from an image, as a hypervisor does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests_vm::{relix, run, scratch_dir};

/// How long a machine may take until it says something. Firmware is slow when it is translated.
const PATIENCE: Duration = Duration::from_secs(180);

/// What QEMU is told beside disks and firmware.
const FIXED: &str = "-machine q35,usb=off,vmport=off -nodefaults -no-user-config -display none -accel tcg -cpu Nehalem \
                     -m 256 -device virtio-rng-pci";

/// What starts the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    SeaBios,
    Ovmf,
}

/// What it is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What it boots from; its node's disk, too, if there are no others. Else it is one that the kernel has no driver for.
    pub image: &'a Path,
    /// The image's, as QEMU calls it.
    pub format: &'a str,
    /// What starts it.
    pub firmware: Firmware,
    /// Raw virtio disks, in the order in which the kernel finds them.
    pub disks: &'a [&'a Path],
    /// Settings by fw_cfg, where a comma is doubled.
    pub settings: Option<&'a str>,
    /// A socket, and which end of it this machine is: the first has to be there before the second. Else it is alone on
    /// QEMU's own network.
    pub wire: Option<(&'a Path, u8)>,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        let (image, firmware) = (Path::new(""), Firmware::SeaBios);
        Parts { image, format: "raw", firmware, disks: &[], settings: None, wire: None }
    }
}

/// A machine whose console is a file. Its power fails when it goes out of scope.
pub struct Machine {
    qemu: Child,
    console: PathBuf,
}

impl Machine {
    /// Boots it.
    pub fn boot(parts: &Parts<'_>) -> Machine {
        let Parts { image, format, firmware, disks, settings, wire } = *parts;
        let console = image.with_extension("console");
        // What an earlier machine has said is not this one's.
        let _ = fs::remove_file(&console);
        let mut command = Command::new("qemu-system-x86_64");
        command.args(FIXED.split_whitespace());
        let (network, end) = match wire {
            None => ("user,id=wire,restrict=on".into(), 1),
            Some((socket, end)) => {
                let server = if end == 1 { "on" } else { "off" };
                let path = socket.display();
                (format!("stream,id=wire,server={server},addr.type=unix,addr.path={path}"), end)
            }
        };
        command.args(["-netdev", &network]);
        command.args(["-device", &format!("virtio-net-pci,netdev=wire,mac=52:54:00:00:00:0{end}")]);
        if let Some(settings) = settings {
            command.args(["-fw_cfg", &format!("name=opt/relix/settings,string={settings}")]);
        }
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
        match disks {
            [] => command.args(["-device", "virtio-blk-pci,drive=image"]),
            _ => command.args(["-device", "ide-hd,drive=image,bootindex=0"]),
        };
        for (number, path) in disks.iter().enumerate() {
            let id = format!("disk{number}");
            command.args(drive(&id, "raw", path));
            command.args(["-device", &format!("virtio-blk-pci,drive={id}")]);
        }
        let qemu = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("QEMU is here");
        Machine { qemu, console }
    }

    /// All that it has said.
    pub fn said(&self) -> String {
        fs::read(&self.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What it has said once it has said all of `words`.
    pub fn wait_for(&self, words: &[&str]) -> String {
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
    pub fn wait_until_off(mut self) -> String {
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
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new one.
    pub fn new(name: &str) -> Folder {
        let folder = scratch_dir(name);
        fs::create_dir_all(&folder).expect("a directory");
        Folder(folder)
    }

    /// Makes an image there, without settings.
    pub fn image(&self, name: &str, format: &str) -> PathBuf {
        self.image_with(name, format, "")
    }

    /// Makes an image there.
    pub fn image_with(&self, name: &str, format: &str, settings: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut command = Command::new(relix());
        command.args(["image", "build", "--format", format, "--settings", settings, "--out"]).arg(&path);
        print!("{}", run(&mut command).expect_success("relix image build"));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `relix image inspect` says.
pub fn inspect(path: &Path) -> String {
    run(Command::new(relix()).args(["image", "inspect"]).arg(path)).expect_success("relix image inspect")
}
