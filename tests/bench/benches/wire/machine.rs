//! Two VMs on one wire.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cluster_throughput::{Measured, PARTS, ROUNDS};

const PROGRAM: &str = "qemu-system-x86_64";

/// Of both machines.
pub const MEMORY_MIB: u32 = 256;
pub const MTU: u16 = 9000;

/// How long a machine may be silent before it is given up.
const PATIENCE: Duration = Duration::from_secs(45);

/// What is said once it is served.
const SERVED: &str = "throughput is served";

/// A system that can be either end.
pub struct Guest {
    pub name: &'static str,
    pub kernel: PathBuf,
    pub initrd: Option<PathBuf>,
    /// Whether the processor itself runs it, instead of QEMU's translator.
    pub kvm: bool,
    /// A disk that the kernel wants to see, though nothing is done with it.
    pub disk: Option<u64>,
    /// The kernel's command line, by the role and the address.
    pub append: fn(role: &str, ip: &str) -> String,
}

/// How QEMU joins two cards: each frame is a write of the one and a read of the other, with no switch between them.
#[derive(Clone, Copy, Debug)]
pub enum Wire {
    /// A stream between them, which holds hundreds of frames.
    Stream,
    /// Datagrams, as `relix up` has them. A socket holds ten, and QEMU is not told when there is room again.
    Datagrams,
}

impl Wire {
    /// The end of node 1 or 2.
    fn ends(self, dir: &Path, node: u8) -> String {
        let socket = |node: u8| dir.join(format!("{node}.wire")).display().to_string();
        match self {
            Wire::Stream => {
                let (server, path) = (if node == 1 { "on" } else { "off" }, socket(1));
                format!("stream,id=wire,server={server},addr.type=unix,addr.path={path}")
            }
            Wire::Datagrams => {
                let (ours, theirs) = (socket(node), socket(3 - node));
                let _ = fs::remove_file(&ours);
                format!(
                    "dgram,id=wire,local.type=unix,local.path={ours},remote.type=unix,remote.path={theirs}"
                )
            }
        }
    }
}

/// A VM that runs, and is ended when it goes out of scope.
struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Machine {
    /// Node 1 or 2 of the two, whose sockets are in `dir`.
    fn start(guest: &Guest, wire: Wire, dir: &Path, node: u8, role: &str) -> Machine {
        let mut qemu = Command::new(PROGRAM);
        // As `relix up` has them: images/src/qemu.rs.
        qemu.args([
            "-machine",
            "q35,usb=off,vmport=off",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ]);
        match guest.kvm {
            true => qemu.args(["-accel", "kvm", "-cpu", "host"]),
            false => qemu.args(["-accel", "tcg,thread=multi", "-cpu", "Nehalem"]),
        };
        qemu.args(["-m", &MEMORY_MIB.to_string(), "-smp", "1", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(&guest.kernel);
        qemu.args(["-append", &(guest.append)(role, &format!("10.77.0.{node}"))]);
        if let Some(initrd) = &guest.initrd {
            qemu.arg("-initrd").arg(initrd);
        }
        if let Some(len) = guest.disk {
            let path = dir.join(format!("{node}.disk"));
            File::create(&path).and_then(|file| file.set_len(len)).expect("room for a disk");
            qemu.args(["-drive", &format!("if=none,id=data,format=raw,file={}", path.display())]);
            qemu.args(["-device", "virtio-blk-pci,drive=data"]);
        }
        qemu.args(["-netdev", &wire.ends(dir, node)]);
        let nic = format!("virtio-net-pci,netdev=wire,mac=02:00:00:00:00:0{node},host_mtu={MTU}");
        qemu.args(["-device", &nic, "-device", "virtio-rng-pci"]);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut qemu = qemu.spawn().expect("QEMU starts: on Debian, apt-get install qemu-system-x86");
        let (sender, lines) = channel();
        let console = qemu.stdout.take().expect("a pipe");
        std::thread::spawn(move || {
            let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(String::from_utf8_lossy(&line).into_owned())));
        });
        Machine { qemu, lines, said: Vec::new() }
    }

    /// The next line of its console; none when it is off, or says nothing more.
    fn line(&mut self) -> Option<String> {
        let line = self.lines.recv_timeout(PATIENCE).ok()?;
        self.said.push(line.clone());
        Some(line)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Boots two of `guest`, and has one ask the other: what the last round measured, in the order of the parts, or what both
/// have said instead.
pub fn measure(guest: &Guest, wire: Wire, dir: &Path) -> Result<Vec<Measured>, String> {
    let mut server = Machine::start(guest, wire, dir, 1, "serve");
    while !server.line().ok_or_else(|| server.said.join("\n"))?.contains(SERVED) {}
    let began = Instant::now();
    let mut asker = Machine::start(guest, wire, dir, 2, "ask@10.77.0.1");
    let mut measured = Vec::new();
    while let Some(line) = asker.line() {
        measured.extend(Measured::parse(&line));
    }
    let parts: Vec<_> = measured.iter().map(|measured| measured.part).collect();
    if parts != PARTS.repeat(ROUNDS) {
        server.said.extend(server.lines.try_iter());
        return Err(format!(
            "the server:\n{}\nthe asker:\n{}",
            server.said.join("\n"),
            asker.said.join("\n")
        ));
    }
    // A guest's clock might be wrong; ours is the one that counts.
    let told: Duration = measured.iter().map(|measured| measured.took).sum();
    let elapsed = began.elapsed();
    assert!(told <= elapsed, "{} has taken {told:?} by its own clock, and {elapsed:?} by ours", guest.name);
    Ok(measured.split_off(PARTS.len() * (ROUNDS - 1)))
}
