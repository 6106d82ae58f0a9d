//! Finds the machine's virtio devices and starts their drivers.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use drivers_api::DeviceInfo;
use pci_types::PciAddress;
use virtio_drivers::transport::mmio::MmioTransport as CrateMmioTransport;
use virtio_drivers::transport::pci::PciTransport as CratePciTransport;
use virtio_drivers::transport::pci::bus::{DeviceFunction, PciRoot};

use crate::block::{BlockDevice, CacheMode};
use crate::entropy::{Bridge, ChaChaEntropy, seed_from, set_platform};
use crate::mmio::{MmioTransport, SLOT_LEN, probe};
use crate::network::NetworkDevice;
use crate::pci::{ConfigSpace, PciTransport, virtio_type};
use crate::platform::PlatformRef;
use crate::registers::Registers;
use crate::transport::{InitError, Transport};

const TYPE_NETWORK: u32 = 1;
const TYPE_BLOCK: u32 = 2;
const TYPE_ENTROPY: u32 = 4;

/// Where a virtio-mmio device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioSlot {
    /// Its registers.
    pub address: u64,
    /// The global system interrupt of its wire.
    pub gsi: u32,
}

/// What was found.
pub struct Devices {
    /// The disks, in the order of their addresses.
    pub disks: Vec<BlockDevice>,
    /// The network interfaces, likewise.
    pub nics: Vec<NetworkDevice>,
    /// The generator: it works in any machine, and is strong where a device or the processor gave entropy.
    pub entropy: ChaChaEntropy,
    /// All of them, for a listing.
    pub list: DeviceList,
    /// The devices that could not be used, and why.
    pub failures: Vec<(String, InitError)>,
}

/// The machine's devices, to be listed at any time.
#[derive(Clone)]
pub struct DeviceList {
    platform: PlatformRef,
    devices: Vec<DeviceInfo>,
}

impl DeviceList {
    /// Every device, with its interrupts counted now.
    pub fn list(&self) -> Vec<DeviceInfo> {
        let mut devices = self.devices.clone();
        for queue in devices.iter_mut().flat_map(|device| &mut device.queues) {
            queue.interrupts = self.platform.interrupt_count(queue.vector);
        }
        devices
    }
}

struct Search {
    platform: PlatformRef,
    cache: CacheMode,
    disks: Vec<BlockDevice>,
    nics: Vec<NetworkDevice>,
    devices: Vec<DeviceInfo>,
    failures: Vec<(String, InitError)>,
    seed: Option<[u8; 32]>,
}

/// Looks at PCI and at `slots`, and starts a driver for each disk, interface and entropy source.
/// `machine_seed` is mixed into the generator's seed; `cache` is how durability is preferably reached.
pub fn discover(
    platform: &'static dyn crate::Platform,
    slots: &[MmioSlot],
    machine_seed: [u8; 32],
    cache: CacheMode,
) -> Devices {
    set_platform(platform);
    let mut search = Search {
        platform,
        cache,
        disks: Vec::new(),
        nics: Vec::new(),
        devices: Vec::new(),
        failures: Vec::new(),
        seed: None,
    };
    if let Some(space) = ConfigSpace::find(platform) {
        for address in space.functions() {
            if let Some(kind) = virtio_type(&space, address) {
                search.add_pci(&space, address, kind);
            }
        }
    }
    for slot in slots {
        search.add_mmio(*slot);
    }
    Devices {
        disks: search.disks,
        nics: search.nics,
        entropy: ChaChaEntropy::new(machine_seed, search.seed),
        list: DeviceList { platform, devices: search.devices },
        failures: search.failures,
    }
}

impl Search {
    fn add_pci(&mut self, space: &ConfigSpace, address: PciAddress, kind: u32) {
        let place = format!("pci {address}");
        if kind == TYPE_ENTROPY {
            let function =
                DeviceFunction { bus: address.bus(), device: address.device(), function: address.function() };
            let transport = CratePciTransport::new::<Bridge, _>(&mut PciRoot::new(*space), function);
            self.seed = self.seed.or(transport.ok().and_then(seed_from));
            return self.note("rng", 0, "virtio-rng", place, Vec::new());
        }
        self.add(kind, place, |platform| {
            Ok(Box::new(PciTransport::new(platform, space, address)?) as Box<dyn Transport>)
        });
    }

    fn add_mmio(&mut self, slot: MmioSlot) {
        let registers = Registers::map(self.platform, slot.address, SLOT_LEN);
        let place = format!("mmio {:#x}", slot.address);
        match probe(&registers) {
            Ok(0) => {}
            Ok(TYPE_ENTROPY) => {
                // SAFETY: the slot holds a virtio-mmio device (its magic was read) and is mapped for ever;
                // no other driver is started for it.
                let transport = unsafe { CrateMmioTransport::new(registers.base().cast(), SLOT_LEN) };
                self.seed = self.seed.or(transport.ok().and_then(seed_from));
                self.note("rng", 0, "virtio-rng", place, Vec::new());
            }
            Ok(kind) => self.add(kind, place, |platform| {
                Ok(Box::new(MmioTransport::new(platform, registers, slot.gsi)?) as Box<dyn Transport>)
            }),
            Err(error) => self.failures.push((place, error)),
        }
    }

    /// Starts the driver for a device of type `kind`, if there is one.
    fn add(
        &mut self,
        kind: u32,
        place: String,
        transport: impl FnOnce(PlatformRef) -> Result<Box<dyn Transport>, InitError>,
    ) {
        let platform = self.platform;
        let cache = self.cache;
        let failed = match kind {
            TYPE_BLOCK => match transport(platform).and_then(|t| BlockDevice::new(platform, t, cache)) {
                Ok(disk) => {
                    self.note("disk", self.disks.len(), "virtio-blk", place, disk.queues());
                    self.disks.push(disk);
                    return;
                }
                Err(error) => error,
            },
            TYPE_NETWORK => match transport(platform).and_then(|t| NetworkDevice::new(platform, t)) {
                Ok(nic) => {
                    self.note("nic", self.nics.len(), "virtio-net", place, nic.queues());
                    self.nics.push(nic);
                    return;
                }
                Err(error) => error,
            },
            _ => return, // nothing here is for it
        };
        self.failures.push((place, failed));
    }

    fn note(
        &mut self,
        prefix: &str,
        number: usize,
        kind: &'static str,
        bus_address: String,
        queues: Vec<drivers_api::QueueInfo>,
    ) {
        self.devices.push(DeviceInfo { name: format!("{prefix}{number}"), kind, bus_address, queues });
    }
}
