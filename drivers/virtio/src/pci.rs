//! PCI: configuration space, enumeration, and the PCI transport with one MSI-X vector per queue, and one for changes of the
//! configuration.

use alloc::vec::Vec;

use pci_types::PciPciBridgeHeader;
use pci_types::capability::{MsixCapability, PciCapability};
use pci_types::{CommandRegister, ConfigRegionAccess, EndpointHeader, HeaderType, PciAddress, PciHeader};
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

use crate::platform::PlatformRef;
use crate::registers::Registers;
use crate::transport::{InitError, Notifier, Transport, write_u64};

const VENDOR_VIRTIO: u16 = 0x1af4;
/// Modern devices: 0x1040 plus the device type.
const DEVICE_MODERN_FIRST: u16 = 0x1040;
/// Transitional devices, by their old numbers.
const TRANSITIONAL: [(u16, u32); 3] = [(0x1000, 1), (0x1001, 2), (0x1005, 4)];

/// PCI configuration space: in memory where the firmware says so, else by ports.
#[derive(Clone, Copy)]
pub(crate) enum ConfigSpace {
    Memory { registers: Registers, first_bus: u8, last_bus: u8 },
    Ports { platform: PlatformRef },
}

impl ConfigSpace {
    /// The machine's, if it has PCI at all.
    pub fn find(platform: PlatformRef) -> Option<ConfigSpace> {
        let space = match platform.ecam() {
            Some(ecam) if ecam.first_bus <= ecam.last_bus => {
                let buses = usize::from(ecam.last_bus - ecam.first_bus) + 1;
                let address = ecam.address + (u64::from(ecam.first_bus) << 20);
                let registers = Registers::map(platform, address, buses << 20);
                ConfigSpace::Memory { registers, first_bus: ecam.first_bus, last_bus: ecam.last_bus }
            }
            _ if platform.has_pci_ports() => ConfigSpace::Ports { platform },
            _ => return None,
        };
        Some(space)
    }

    fn memory_offset(first_bus: u8, address: PciAddress, offset: u16) -> usize {
        usize::from(address.bus() - first_bus) << 20
            | usize::from(address.device()) << 15
            | usize::from(address.function()) << 12
            | usize::from(offset & 0xffc)
    }

    fn port_selector(address: PciAddress, offset: u16) -> u32 {
        1 << 31
            | u32::from(address.bus()) << 16
            | u32::from(address.device()) << 11
            | u32::from(address.function()) << 8
            | u32::from(offset & 0xfc)
    }

    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        match self {
            ConfigSpace::Memory { registers, first_bus, last_bus } => {
                if !(*first_bus..=*last_bus).contains(&address.bus()) {
                    return u32::MAX;
                }
                registers.read(Self::memory_offset(*first_bus, address, offset))
            }
            ConfigSpace::Ports { platform } => platform.read_pci_port(Self::port_selector(address, offset)),
        }
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        match self {
            ConfigSpace::Memory { registers, first_bus, last_bus } => {
                if (*first_bus..=*last_bus).contains(&address.bus()) {
                    registers.write(Self::memory_offset(*first_bus, address, offset), value);
                }
            }
            ConfigSpace::Ports { platform } => {
                platform.write_pci_port(Self::port_selector(address, offset), value);
            }
        }
    }

    /// Every function on every bus reachable from bus 0.
    pub fn functions(&self) -> Vec<PciAddress> {
        let mut found = Vec::new();
        let mut buses = alloc::vec![0u8];
        let mut next = 0;
        while let Some(&bus) = buses.get(next) {
            next += 1;
            for device in 0..32 {
                for function in 0..8 {
                    let address = PciAddress::new(0, bus, device, function);
                    let header = PciHeader::new(address);
                    if header.id(self).0 == 0xffff {
                        if function == 0 { break } else { continue }
                    }
                    found.push(address);
                    let alone = function == 0 && !header.has_multiple_functions(self);
                    if let Some(bridge) = PciPciBridgeHeader::from_header(header, self) {
                        let behind = bridge.secondary_bus_number(self);
                        if !buses.contains(&behind) {
                            buses.push(behind);
                        }
                    }
                    if alone {
                        break;
                    }
                }
            }
        }
        found
    }

    /// The physical address in a memory BAR.
    fn bar(&self, address: PciAddress, bar: u8) -> Option<u64> {
        if bar > 5 {
            return None;
        }
        let low = self.read(address, 0x10 + 4 * u16::from(bar));
        let base = u64::from(low & !0xf);
        let base = match low & 0x7 {
            0b000 => base,
            0b100 if bar < 5 => base | u64::from(self.read(address, 0x14 + 4 * u16::from(bar))) << 32,
            _ => return None,
        };
        (base != 0).then_some(base)
    }
}

impl ConfigRegionAccess for ConfigSpace {
    unsafe fn read(&self, address: PciAddress, offset: u16) -> u32 {
        ConfigSpace::read(self, address, offset)
    }

    unsafe fn write(&self, address: PciAddress, offset: u16, value: u32) {
        ConfigSpace::write(self, address, offset, value);
    }
}

/// The same, for the `virtio-drivers` crate.
impl ConfigurationAccess for ConfigSpace {
    fn read_word(&self, at: DeviceFunction, offset: u8) -> u32 {
        ConfigSpace::read(self, PciAddress::new(0, at.bus, at.device, at.function), u16::from(offset))
    }

    fn write_word(&mut self, at: DeviceFunction, offset: u8, data: u32) {
        ConfigSpace::write(self, PciAddress::new(0, at.bus, at.device, at.function), u16::from(offset), data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

/// The virtio device type of the function at `address`, if it is one.
pub(crate) fn virtio_type(space: &ConfigSpace, address: PciAddress) -> Option<u32> {
    let header = PciHeader::new(address);
    let (vendor, device) = header.id(space);
    if vendor != VENDOR_VIRTIO || header.header_type(space) != HeaderType::Endpoint {
        return None;
    }
    match device {
        DEVICE_MODERN_FIRST..=0x107f => Some(u32::from(device - DEVICE_MODERN_FIRST)),
        _ => TRANSITIONAL.iter().find(|(old, _)| *old == device).map(|(_, kind)| *kind),
    }
}

/// Offsets in the common configuration.
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURE: usize = 0x0c;
    pub const CONFIG_MSIX_VECTOR: usize = 0x10;
    pub const STATUS: usize = 0x14;
    pub const GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_MSIX_VECTOR: usize = 0x1a;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_PARTS: [usize; 3] = [0x20, 0x28, 0x30];
    pub const LEN: usize = 0x38;
}

/// Types of virtio capabilities.
const CAPABILITY_COMMON: u8 = 1;
const CAPABILITY_NOTIFY: u8 = 2;
const CAPABILITY_DEVICE: u8 = 4;

const NO_VECTOR: u16 = 0xffff;
const MSIX_ENTRY_LEN: usize = 16;

/// A device on PCI.
pub(crate) struct PciTransport {
    platform: PlatformRef,
    common: Registers,
    notify: Registers,
    notify_multiplier: u32,
    device: Registers,
    vectors: Registers,
    vector_count: u16,
}

impl PciTransport {
    /// Finds the device's registers and switches bus mastering and MSI-X on.
    pub fn new(platform: PlatformRef, space: &ConfigSpace, address: PciAddress) -> Result<Self, InitError> {
        let header = PciHeader::new(address);
        let mut endpoint = EndpointHeader::from_header(header, space).ok_or(InitError::Incomplete)?;
        endpoint.update_command(space, |command| {
            command
                | CommandRegister::MEMORY_ENABLE
                | CommandRegister::BUS_MASTER_ENABLE
                | CommandRegister::INTERRUPT_DISABLE
        });
        let (mut common, mut notify, mut device, mut vectors) = (None, None, None, None);
        for capability in endpoint.capabilities(space) {
            match capability {
                PciCapability::Vendor(place) => {
                    let offset = place.offset;
                    let kind = (space.read(address, offset) >> 24) as u8;
                    let registers = || map_capability(platform, space, address, offset);
                    match kind {
                        CAPABILITY_COMMON if common.is_none() => common = registers(),
                        CAPABILITY_NOTIFY if notify.is_none() => {
                            let multiplier = space.read(address, offset + 16);
                            notify = registers().map(|registers| (registers, multiplier));
                        }
                        CAPABILITY_DEVICE if device.is_none() => device = registers(),
                        _ => {}
                    }
                }
                PciCapability::MsiX(msix) => vectors = enable_msix(platform, space, address, msix),
                _ => {}
            }
        }
        let common = common.and_then(|registers| registers.part(0, common::LEN)).ok_or(InitError::Legacy)?;
        let (notify, notify_multiplier) = notify.ok_or(InitError::Legacy)?;
        let device = device.ok_or(InitError::Incomplete)?;
        let (vectors, vector_count) = vectors.ok_or(InitError::NoInterrupt)?;
        common.write(common::CONFIG_MSIX_VECTOR, NO_VECTOR);
        Ok(PciTransport { platform, common, notify, notify_multiplier, device, vectors, vector_count })
    }

    /// Makes MSI-X entry `entry` raise a vector of its own.
    fn set_up_vector(&self, entry: u16) -> Result<u8, InitError> {
        if entry >= self.vector_count {
            return Err(InitError::NoInterrupt);
        }
        let vector = self.platform.allocate_interrupt().ok_or(InitError::NoInterrupt)?;
        let message = self.platform.interrupt_message(vector);
        let at = usize::from(entry) * MSIX_ENTRY_LEN;
        write_u64(&self.vectors, at, message.address);
        self.vectors.write(at + 8, message.data);
        self.vectors.write(at + 12, 0u32); // not masked
        Ok(vector)
    }
}

/// The registers a virtio capability points at: BAR at +4, offset at +8, length at +12.
fn map_capability(
    platform: PlatformRef,
    space: &ConfigSpace,
    address: PciAddress,
    capability: u16,
) -> Option<Registers> {
    let bar = space.read(address, capability + 4) as u8;
    let offset = space.read(address, capability + 8);
    let len = space.read(address, capability + 12);
    let base = space.bar(address, bar)?;
    (len > 0).then(|| Registers::map(platform, base + u64::from(offset), len as usize))
}

fn enable_msix(
    platform: PlatformRef,
    space: &ConfigSpace,
    address: PciAddress,
    mut msix: MsixCapability,
) -> Option<(Registers, u16)> {
    let base = space.bar(address, msix.table_bar())?;
    let count = msix.table_size();
    let len = usize::from(count) * MSIX_ENTRY_LEN;
    let table = Registers::map(platform, base + u64::from(msix.table_offset()), len);
    msix.set_enabled(true, space);
    msix.set_function_mask(false, space);
    Some((table, count))
}

impl Transport for PciTransport {
    fn status(&self) -> u8 {
        self.common.read(common::STATUS)
    }

    fn set_status(&self, status: u8) {
        self.common.write(common::STATUS, status);
    }

    fn device_features(&self) -> u64 {
        let half = |select: u32| {
            self.common.write(common::DEVICE_FEATURE_SELECT, select);
            u64::from(self.common.read::<u32>(common::DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    fn set_driver_features(&self, features: u64) {
        for (select, half) in [(0u32, features as u32), (1, (features >> 32) as u32)] {
            self.common.write(common::DRIVER_FEATURE_SELECT, select);
            self.common.write(common::DRIVER_FEATURE, half);
        }
    }

    fn queue_size_max(&self, queue: u16) -> u16 {
        self.common.write(common::QUEUE_SELECT, queue);
        self.common.read::<u16>(common::QUEUE_SIZE).min(0x8000)
    }

    fn enable_queue(&mut self, queue: u16, size: u16, rings: [u64; 3]) -> Result<(u8, Notifier), InitError> {
        let vector = self.set_up_vector(queue)?;
        self.common.write(common::QUEUE_SELECT, queue);
        self.common.write(common::QUEUE_SIZE, size);
        self.common.write(common::QUEUE_MSIX_VECTOR, queue);
        if self.common.read::<u16>(common::QUEUE_MSIX_VECTOR) != queue {
            return Err(InitError::NoInterrupt);
        }
        for (register, address) in common::QUEUE_PARTS.into_iter().zip(rings) {
            write_u64(&self.common, register, address);
        }
        let offset = u32::from(self.common.read::<u16>(common::QUEUE_NOTIFY_OFFSET));
        let offset = offset.checked_mul(self.notify_multiplier).ok_or(InitError::Incomplete)?;
        let registers = self.notify.part(offset as usize, 2).ok_or(InitError::Incomplete)?;
        self.common.write(common::QUEUE_ENABLE, 1u16);
        Ok((vector, Notifier { registers, queue, wide: false }))
    }

    fn config(&self) -> Registers {
        self.device
    }

    fn config_generation(&self) -> u32 {
        u32::from(self.common.read::<u8>(common::GENERATION))
    }

    fn enable_config_interrupt(&mut self, entry: u16) -> Option<u8> {
        let vector = self.set_up_vector(entry).ok()?;
        self.common.write(common::CONFIG_MSIX_VECTOR, entry);
        (self.common.read::<u16>(common::CONFIG_MSIX_VECTOR) == entry).then_some(vector)
    }

    fn acknowledge(&self) -> bool {
        false // there is no wire
    }
}
