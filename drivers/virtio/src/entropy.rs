//! Entropy: a ChaCha20 generator, seeded at boot from virtio-rng and whatever else the machine has.

use alloc::vec::Vec;
use core::ptr::NonNull;

use drivers_api::Entropy;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spin::Once;
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::platform::PlatformRef;

const SEED_LEN: usize = 32;
const PAGE_SIZE: usize = virtio_drivers::PAGE_SIZE;

/// The generator.
pub struct ChaChaEntropy {
    generator: ChaCha20Rng,
    from_device: bool,
}

impl ChaChaEntropy {
    /// A generator seeded from `machine` (RDRAND, clocks) and `device` (virtio-rng), each as strong as the
    /// stronger of the two.
    pub(crate) fn new(machine: [u8; SEED_LEN], device: Option<[u8; SEED_LEN]>) -> ChaChaEntropy {
        let mut seed = machine;
        for (byte, other) in seed.iter_mut().zip(device.unwrap_or_default()) {
            *byte ^= other;
        }
        ChaChaEntropy { generator: ChaCha20Rng::from_seed(seed), from_device: device.is_some() }
    }

    /// Whether a virtio-rng device contributed.
    pub fn has_device_seed(&self) -> bool {
        self.from_device
    }
}

impl Entropy for ChaChaEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.generator.fill_bytes(bytes);
    }
}

/// Asks a virtio-rng device for a seed: one request, waited for.
pub(crate) fn seed_from<T: Transport>(transport: T) -> Option<[u8; SEED_LEN]> {
    let mut device = VirtIORng::<Bridge, T>::new(transport).ok()?;
    let mut seed = Vec::new();
    let mut part = alloc::vec![0; SEED_LEN];
    while seed.len() < SEED_LEN {
        let len = device.request_entropy(&mut part).ok().filter(|&len| len > 0)?;
        seed.extend_from_slice(part.get(..len)?);
    }
    seed.first_chunk().copied()
}

/// The platform, for the crate whose drivers know it as a type.
static PLATFORM: Once<PlatformRef> = Once::new();

pub(crate) struct Bridge;

/// Tells the bridge its platform; before the first transport of that crate is made.
pub(crate) fn set_platform(platform: PlatformRef) {
    PLATFORM.call_once(|| platform);
}

fn platform() -> PlatformRef {
    *PLATFORM.get().expect("set before the first driver")
}

#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; PAGE_SIZE]);

// SAFETY: pages come zeroed and aligned from the heap, whose buffers the platform promises to be contiguous
// and to have the physical addresses it tells.
unsafe impl Hal for Bridge {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let pages = alloc::vec![Page([0; PAGE_SIZE]); pages].leak();
        let pointer = NonNull::from(pages).cast::<u8>();
        (platform().physical(pointer.as_ptr()), pointer)
    }

    unsafe fn dma_dealloc(_: PhysAddr, pointer: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: dma_alloc leaked a vector of exactly this many pages here.
        drop(unsafe { Vec::from_raw_parts(pointer.as_ptr().cast::<Page>(), pages, pages) });
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, size: usize) -> NonNull<u8> {
        platform().map_device(address, size as u64)
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        platform().physical(buffer.as_ptr().cast::<u8>())
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
