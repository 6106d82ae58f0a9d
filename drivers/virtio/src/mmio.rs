//! The MMIO transport, version 2: what microvm has.

use crate::platform::PlatformRef;
use crate::registers::Registers;
use crate::transport::{InitError, Notifier, Transport, write_u64};

const MAGIC: u32 = 0x7472_6976; // "virt"
const VERSION: u32 = 2;

const REGISTER_MAGIC: usize = 0x00;
const REGISTER_VERSION: usize = 0x04;
const REGISTER_DEVICE: usize = 0x08;
const REGISTER_DEVICE_FEATURES: usize = 0x10;
const REGISTER_DEVICE_FEATURES_SELECT: usize = 0x14;
const REGISTER_DRIVER_FEATURES: usize = 0x20;
const REGISTER_DRIVER_FEATURES_SELECT: usize = 0x24;
const REGISTER_QUEUE_SELECT: usize = 0x30;
const REGISTER_QUEUE_SIZE_MAX: usize = 0x34;
const REGISTER_QUEUE_SIZE: usize = 0x38;
const REGISTER_QUEUE_READY: usize = 0x44;
const REGISTER_QUEUE_NOTIFY: usize = 0x50;
const REGISTER_INTERRUPT_STATUS: usize = 0x60;
const REGISTER_INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const REGISTER_STATUS: usize = 0x70;
const REGISTER_QUEUE_PARTS: [usize; 3] = [0x80, 0x90, 0xa0];
const REGISTER_GENERATION: usize = 0xfc;
/// The bit of [`REGISTER_INTERRUPT_STATUS`] that tells of a changed configuration.
const INTERRUPT_CONFIG: u32 = 1 << 1;
const CONFIG: usize = 0x100;
/// A device that tells something new each time it is asked is not listened to for longer.
const ACKNOWLEDGEMENTS_MAX: u32 = 8;
/// Bytes of one slot.
pub(crate) const SLOT_LEN: usize = 0x200;

/// A device in a slot. It has one interrupt, for all its queues.
pub(crate) struct MmioTransport {
    registers: Registers,
    vector: u8,
}

/// What the slot holds: the device type, or zero; an error when it holds a device of the old kind.
pub(crate) fn probe(registers: &Registers) -> Result<u32, InitError> {
    if registers.read::<u32>(REGISTER_MAGIC) != MAGIC {
        return Ok(0);
    }
    let device = registers.read(REGISTER_DEVICE);
    if device != 0 && registers.read::<u32>(REGISTER_VERSION) != VERSION {
        return Err(InitError::Legacy);
    }
    Ok(device)
}

impl MmioTransport {
    /// The device behind `registers`, whose wire is `gsi`.
    pub fn new(platform: PlatformRef, registers: Registers, gsi: u32) -> Result<Self, InitError> {
        let vector = platform.allocate_interrupt().ok_or(InitError::NoInterrupt)?;
        if !platform.route_wire(gsi, vector) {
            return Err(InitError::NoInterrupt);
        }
        Ok(MmioTransport { registers, vector })
    }
}

impl Transport for MmioTransport {
    fn status(&self) -> u8 {
        self.registers.read::<u32>(REGISTER_STATUS) as u8
    }

    fn set_status(&self, status: u8) {
        self.registers.write(REGISTER_STATUS, u32::from(status));
    }

    fn device_features(&self) -> u64 {
        let half = |select: u32| {
            self.registers.write(REGISTER_DEVICE_FEATURES_SELECT, select);
            u64::from(self.registers.read::<u32>(REGISTER_DEVICE_FEATURES))
        };
        half(0) | half(1) << 32
    }

    fn set_driver_features(&self, features: u64) {
        for (select, half) in [(0u32, features as u32), (1, (features >> 32) as u32)] {
            self.registers.write(REGISTER_DRIVER_FEATURES_SELECT, select);
            self.registers.write(REGISTER_DRIVER_FEATURES, half);
        }
    }

    fn queue_size_max(&self, queue: u16) -> u16 {
        self.registers.write(REGISTER_QUEUE_SELECT, u32::from(queue));
        self.registers.read::<u32>(REGISTER_QUEUE_SIZE_MAX).min(0x8000) as u16
    }

    fn enable_queue(&mut self, queue: u16, size: u16, rings: [u64; 3]) -> Result<(u8, Notifier), InitError> {
        self.registers.write(REGISTER_QUEUE_SELECT, u32::from(queue));
        self.registers.write(REGISTER_QUEUE_SIZE, u32::from(size));
        for (register, address) in REGISTER_QUEUE_PARTS.into_iter().zip(rings) {
            write_u64(&self.registers, register, address);
        }
        self.registers.write(REGISTER_QUEUE_READY, 1u32);
        let registers = self.registers.part(REGISTER_QUEUE_NOTIFY, 4).ok_or(InitError::Incomplete)?;
        Ok((self.vector, Notifier { registers, queue, wide: true }))
    }

    fn config(&self) -> Registers {
        self.registers.part(CONFIG, SLOT_LEN - CONFIG).expect("a slot is 512 bytes")
    }

    fn config_generation(&self) -> u32 {
        self.registers.read(REGISTER_GENERATION)
    }

    fn enable_config_interrupt(&mut self, _: u16) -> Option<u8> {
        None
    }

    fn acknowledge(&self) -> bool {
        let mut told = 0;
        // What comes between reading and writing keeps the wire up: later interrupts would make no edge.
        for _ in 0..ACKNOWLEDGEMENTS_MAX {
            let status: u32 = self.registers.read(REGISTER_INTERRUPT_STATUS);
            if status == 0 {
                break;
            }
            self.registers.write(REGISTER_INTERRUPT_ACKNOWLEDGE, status);
            told |= status;
        }
        told & INTERRUPT_CONFIG != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_tells_of_a_changed_configuration_apart_and_even_a_device_that_does_not_stop_is_left() {
        // Registers that are memory keep what they say.
        let registers = Registers::over(alloc::vec![0; SLOT_LEN / 8].leak());
        let transport = MmioTransport { registers, vector: 0x30 };
        for (status, is_config) in [(0u32, false), (1, false), (2, true), (3, true)] {
            registers.write(REGISTER_INTERRUPT_STATUS, status);
            assert_eq!(transport.acknowledge(), is_config);
            assert_eq!(registers.read::<u32>(REGISTER_INTERRUPT_ACKNOWLEDGE), status);
        }
    }
}
