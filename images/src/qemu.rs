//! The command line of a VM.

use std::ffi::OsString;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cluster_calendar::{Timestamptz, Zone};

use crate::cli::{Firmware, MachineType};
use crate::cluster::{Cluster, MTU, Runner, hardware_address_on, hardware_address_text};
use crate::layout::Layout;

/// The program.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// OVMF: its code, and the variables that it begins with.
pub const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

/// What QEMU calls the disk.
pub const DRIVE: &str = "data";

/// What QEMU calls the network card on a fabric.
pub fn nic(fabric: u8) -> String {
    format!("nic{fabric}")
}

/// The arguments for `node`.
pub fn arguments(layout: &Layout, cluster: &Cluster, node: u8) -> Option<Vec<OsString>> {
    let Runner::Vm { kernel, symbols, machine, kvm, memory_mib, cpus, image } = &cluster.runner else {
        return None;
    };
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    let (machine, bus) = match machine {
        MachineType::Q35 => ("q35,usb=off,vmport=off", "pci"),
        MachineType::Microvm => ("microvm,pic=off,pit=off,rtc=on", "device"),
    };
    add(&["-machine", machine, "-nodefaults", "-no-user-config", "-display", "none"]);
    if bus == "device" {
        // The interface of virtio 1.0; QEMU's default is the one before.
        add(&["-global", "virtio-mmio.force-legacy=false"]);
    }
    match kvm {
        true => add(&["-accel", "kvm", "-cpu", "host"]),
        // The oldest model that has all the kernel uses: the translator is quickest with few features.
        false => add(&["-accel", "tcg,thread=multi", "-cpu", "Nehalem"]),
    }
    add(&["-m", &memory_mib.to_string(), "-smp", &cpus.to_string()]);
    add(&["-name", &format!("{}-{node}", cluster.name)]);
    let settings = cluster.settings(node).join(" ");
    match image {
        None => add(&["-kernel", &text(kernel), "-initrd", &text(symbols), "-append", &settings]),
        Some((_, firmware)) => {
            add(&["-fw_cfg", &format!("name=opt/relix/settings,string={}", settings.replace(',', ",,"))]);
            if *firmware == Firmware::Uefi {
                let [code, variables] = OVMF;
                add(&["-drive", &format!("if=pflash,format=raw,readonly=on,file={code}")]);
                add(&["-drive", &format!("if=pflash,format=raw,snapshot=on,file={variables}")]);
            }
        }
    }
    let log = escaped(&layout.node_log(node));
    add(&["-chardev", &format!("file,id=console,path={log},append=on"), "-serial", "chardev:console"]);
    // The default cache mode: a flush by the guest reaches the host's disk. The guest is told of errors,
    // where the default is to pause it when the host's disk is full.
    let disk = escaped(&layout.disk(node));
    let drive = format!("if=none,id={DRIVE},format=raw,werror=report,rerror=report,file={disk}");
    add(&["-drive", &drive]);
    add(&["-device", &format!("virtio-blk-{bus},drive={DRIVE}")]);
    let monitor = escaped(&layout.monitor_socket(node));
    add(&["-qmp", &format!("unix:{monitor},server=on,wait=off")]);
    let mut fabrics: Vec<u8> = cluster.fabric_ids().collect();
    if bus == "device" {
        // microvm gives its slots away from the last one on, and the kernel numbers what it finds from the first.
        fabrics.reverse();
    }
    for fabric in fabrics {
        let ours = escaped(&layout.node_socket(fabric, node));
        let theirs = escaped(&layout.switch_socket(fabric, node));
        let ends = format!("local.type=unix,local.path={ours},remote.type=unix,remote.path={theirs}");
        add(&["-netdev", &format!("dgram,id=wire{fabric},{ends}")]);
        let (id, mac) = (nic(fabric), hardware_address_text(hardware_address_on(fabric, node)));
        let mtu = MTU.bytes();
        add(&["-device", &format!("virtio-net-{bus},id={id},netdev=wire{fabric},mac={mac},host_mtu={mtu}")]);
    }
    add(&["-device", &format!("virtio-rng-{bus}")]);
    Some(arguments)
}

/// The arguments for a clock that is so many seconds ahead of this machine's.
pub fn clock(ahead_s: i64) -> Vec<OsString> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let then = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(ahead_s).saturating_mul(1_000_000);
    match Timestamptz::from_unix_micros(then).and_then(|then| then.to_timestamp(&Zone::utc())) {
        // QEMU writes dates as ISO 8601 does.
        Ok(then) if ahead_s != 0 => vec!["-rtc".into(), format!("base={then}").replace(' ', "T").into()],
        _ => Vec::new(),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Commas separate QEMU's options, and are doubled within one.
fn escaped(path: &Path) -> String {
    text(path).replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_in_a_form_that_qemu_reads() {
        assert!(clock(0).is_empty());
        let [option, base] = &clock(86_400)[..] else { panic!("two words") };
        let base = base.to_string_lossy().into_owned();
        let digits: String = base.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!((option.to_str(), digits.as_str()), (Some("-rtc"), "base=0000-00-00T00:00:00"));
    }
}
