use super::*;
use crate::fake::{CONFIG_VECTOR, FakeDevice, FakePlatform, FakeTransport, QUEUE_VECTOR, peek, poke};
use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;

const SECTORS: u64 = 64;
const QUEUE_LEN: u16 = 16;

/// The device's side of it all.
struct FakeDisk {
    device: FakeDevice,
    taken: u16,
    medium: Vec<u8>,
    log: Vec<u64>,
    fail_next: bool,
}

type Shared = Rc<RefCell<FakeDisk>>;

impl AsMut<FakeDevice> for FakeDisk {
    fn as_mut(&mut self) -> &mut FakeDevice {
        &mut self.device
    }
}

impl FakeDisk {
    /// Serves one request; false if there is none.
    fn serve(&mut self) -> bool {
        let [table, available, _] = self.device.rings;
        if peek::<u16>(available + 2) == self.taken {
            return false;
        }
        let head: u16 = peek(available + 4 + 2 * u64::from(self.taken % self.device.size));
        let mut parts = Vec::new();
        let read = |table: u64, index: u16| peek::<(u64, u64)>(table + 16 * u64::from(index));
        let flags = |descriptor: (u64, u64)| (descriptor.1 >> 32) as u16;
        let (mut table, mut index) = (table, head);
        if flags(read(table, head)) & INDIRECT != 0 {
            (table, index) = (read(table, head).0, 0);
        }
        loop {
            let descriptor = read(table, index);
            parts.push((descriptor.0, descriptor.1 as u32 as usize));
            if flags(descriptor) & NEXT == 0 {
                break;
            }
            index = (descriptor.1 >> 48) as u16;
        }
        let (kind, sector): (u64, u64) = peek(parts[0].0);
        self.log.push(kind);
        let status = parts.last().expect("a status").0;
        let failed = core::mem::take(&mut self.fail_next);
        if kind != TYPE_FLUSH && !failed {
            let (address, len) = parts[1];
            let at = sector as usize * SECTOR_SIZE;
            for offset in 0..len {
                match kind {
                    TYPE_READ => poke(address + offset as u64, self.medium[at + offset]),
                    _ => self.medium[at + offset] = peek(address + offset as u64),
                }
            }
        }
        poke(status, u8::from(failed));
        self.finish(u32::from(head));
        true
    }

    fn finish(&mut self, head: u32) {
        let used = self.device.rings[2];
        poke(used + 4 + 8 * u64::from(self.taken % self.device.size), (head, 1u32));
        self.taken = self.taken.wrapping_add(1);
        poke(used + 2, self.taken);
    }
}

fn disk(features: u64, wanted: CacheMode) -> (BlockDevice, Shared) {
    disk_on(FakePlatform::leaked(), features, wanted, false)
}

fn disk_on(
    platform: &'static FakePlatform,
    features: u64,
    wanted: CacheMode,
    has_config_vector: bool,
) -> (BlockDevice, Shared) {
    let config: &'static mut [u64] = vec![0; 16].leak();
    config[0] = SECTORS;
    let offered = virtio_spec::F::VERSION_1.bits().to_ne() as u64 | features;
    let fake = Rc::new(RefCell::new(FakeDisk {
        device: FakeDevice { has_config_vector, ..FakeDevice::new(offered, config, QUEUE_LEN) },
        taken: 0,
        medium: vec![0; SECTORS as usize * SECTOR_SIZE],
        log: Vec::new(),
        fail_next: false,
    }));
    let transport = Box::new(FakeTransport(Rc::clone(&fake)));
    (BlockDevice::new(platform, transport, wanted).expect("a disk"), fake)
}

fn write(id: u64, sector: u64, byte: u8, durable: bool) -> DiskRequest {
    let operation = DiskOperation::Write { sector, buffer: vec![byte; SECTOR_SIZE].into(), durable };
    DiskRequest { id, operation }
}

fn read(id: u64, sector: u64) -> DiskRequest {
    DiskRequest { id, operation: DiskOperation::Read { sector, buffer: vec![0; SECTOR_SIZE].into() } }
}

fn poll(disk: &mut BlockDevice) -> Option<DiskCompletion> {
    match disk.poll_completion(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(completion) => Some(completion),
        Poll::Pending => None,
    }
}

#[test]
fn with_a_cache_a_durable_write_completes_after_its_flush() {
    let (mut disk, fake) = disk(FEATURE_FLUSH, CacheMode::WriteThrough);
    assert_eq!(disk.cache_mode(), CacheMode::WriteBack);
    disk.submit(write(7, 3, 9, true)).unwrap();
    disk.kick();
    assert!(fake.borrow_mut().serve());
    assert_eq!(poll(&mut disk), None, "written, not yet durable");
    assert!(fake.borrow_mut().serve());
    let completion = poll(&mut disk).expect("durable");
    assert_eq!((completion.id, completion.result), (7, Ok(())));
    assert_eq!(fake.borrow().log, [TYPE_WRITE, TYPE_FLUSH]);
}

#[test]
fn a_write_that_failed_is_not_flushed_and_not_durable() {
    let (mut disk, fake) = disk(FEATURE_FLUSH, CacheMode::WriteBack);
    fake.borrow_mut().fail_next = true;
    disk.submit(write(1, 0, 1, true)).unwrap();
    disk.kick();
    fake.borrow_mut().serve();
    assert_eq!(poll(&mut disk).unwrap().result, Err(DiskError::Device));
    assert!(!fake.borrow_mut().serve());
}

#[test]
fn a_flush_that_failed_fails_its_write() {
    let (mut disk, fake) = disk(FEATURE_FLUSH, CacheMode::WriteBack);
    disk.submit(write(1, 0, 1, true)).unwrap();
    disk.kick();
    fake.borrow_mut().serve();
    assert_eq!(poll(&mut disk), None);
    fake.borrow_mut().fail_next = true;
    fake.borrow_mut().serve();
    assert_eq!(poll(&mut disk).unwrap().result, Err(DiskError::Device));
}

#[test]
fn written_through_it_is_one_request() {
    let (mut disk, fake) = disk(FEATURE_FLUSH | FEATURE_CONFIG_WCE, CacheMode::WriteThrough);
    assert_eq!(disk.cache_mode(), CacheMode::WriteThrough);
    disk.submit(write(1, 0, 1, true)).unwrap();
    disk.kick();
    fake.borrow_mut().serve();
    assert_eq!(poll(&mut disk).unwrap().result, Ok(()));
    assert_eq!(fake.borrow().log, [TYPE_WRITE]);
}

#[test]
fn what_is_read_was_written_with_and_without_indirect_tables() {
    let indirect = virtio_spec::F::INDIRECT_DESC.bits().to_ne() as u64;
    let event = virtio_spec::F::EVENT_IDX.bits().to_ne() as u64;
    for (features, depth) in [(0, QUEUE_LEN / PARTS), (indirect, QUEUE_LEN), (indirect | event, QUEUE_LEN)] {
        let (mut disk, fake) = disk(features, CacheMode::WriteThrough);
        assert_eq!(disk.geometry().queue_depth, depth);
        for round in 0..5 {
            for id in 0..u64::from(depth) {
                disk.submit(write(id, id, id as u8 + round, false)).unwrap();
            }
            assert!(disk.submit(read(99, 0)).is_err(), "the queue is full");
            disk.kick();
            while fake.borrow_mut().serve() {}
            assert_eq!((0..depth).filter_map(|_| poll(&mut disk)).count(), usize::from(depth));
            for id in 0..u64::from(depth) {
                disk.submit(read(id, id)).unwrap();
            }
            disk.kick();
            while fake.borrow_mut().serve() {}
            while let Some(completion) = poll(&mut disk) {
                let DiskOperation::Read { buffer, .. } = completion.operation else { panic!("a read") };
                assert!(buffer.iter().all(|&byte| byte == completion.id as u8 + round));
            }
        }
    }
}

#[test]
fn what_lies_outside_never_reaches_the_device() {
    let (mut disk, fake) = disk(0, CacheMode::WriteThrough);
    for (id, sector) in [SECTORS, u64::MAX].into_iter().enumerate() {
        disk.submit(read(id as u64, sector)).unwrap();
        assert_eq!(poll(&mut disk).unwrap().result, Err(DiskError::OutOfRange));
    }
    let odd = DiskOperation::Read { sector: 0, buffer: vec![0; 100].into() };
    disk.submit(DiskRequest { id: 3, operation: odd }).unwrap();
    assert_eq!(poll(&mut disk).unwrap().result, Err(DiskError::OutOfRange));
    assert!(!fake.borrow_mut().serve());
}

#[test]
fn a_device_that_makes_things_up_is_reset_and_everything_fails() {
    for lie in [1, u32::from(QUEUE_LEN), u32::MAX] {
        let (mut disk, fake) = disk(0, CacheMode::WriteThrough);
        disk.submit(write(5, 0, 1, false)).unwrap();
        disk.kick();
        fake.borrow_mut().finish(lie);
        let completion = poll(&mut disk).unwrap();
        assert_eq!((completion.id, completion.result), (5, Err(DiskError::Device)));
        assert!(matches!(completion.operation, DiskOperation::Write { .. }), "its buffer comes back");
        assert_eq!(fake.borrow().device.status, 0);
        disk.submit(read(6, 0)).unwrap();
        assert_eq!(poll(&mut disk).unwrap().result, Err(DiskError::Device));
    }
}

/// Whether the disk takes a read of this sector.
fn has_sector(disk: &mut BlockDevice, fake: &Shared, sector: u64) -> bool {
    disk.submit(read(9, sector)).unwrap();
    disk.kick();
    fake.borrow_mut().medium.resize((sector as usize + 1) * SECTOR_SIZE, 0);
    fake.borrow_mut().serve();
    poll(disk).unwrap().result.is_ok()
}

#[test]
fn a_disk_that_grows_says_so_by_an_interrupt_of_its_own_or_by_the_wire() {
    for has_vector in [true, false] {
        let platform = FakePlatform::leaked();
        let (mut disk, fake) = disk_on(platform, 0, CacheMode::WriteThrough, has_vector);
        assert!(!has_sector(&mut disk, &fake, SECTORS));
        fake.borrow().device.config.write(CONFIG_CAPACITY, 2 * SECTORS as u32);
        platform.interrupt(QUEUE_VECTOR);
        assert_eq!((poll(&mut disk), disk.geometry().sectors), (None, SECTORS), "nothing told of it");
        if has_vector {
            platform.interrupt(CONFIG_VECTOR);
        } else {
            fake.borrow().device.wire_tells_config.set(true);
            platform.interrupt(QUEUE_VECTOR);
        }
        assert_eq!((poll(&mut disk), disk.geometry().sectors), (None, 2 * SECTORS));
        assert!(has_sector(&mut disk, &fake, 2 * SECTORS - 1));
        // Said once, it is looked at once.
        fake.borrow().device.config.write(CONFIG_CAPACITY, 3 * SECTORS as u32);
        assert_eq!((poll(&mut disk), disk.geometry().sectors), (None, 2 * SECTORS));
    }
}

#[test]
fn a_capacity_that_changes_while_it_is_read_is_read_again() {
    let platform = FakePlatform::leaked();
    let (mut disk, fake) = disk_on(platform, 0, CacheMode::WriteThrough, true);
    fake.borrow().device.config.write(CONFIG_CAPACITY, 2 * SECTORS as u32);
    // Its other half, between the driver's two looks at the generation.
    fake.borrow_mut().device.next_config = Some((1, CONFIG_CAPACITY + 4, 1));
    platform.interrupt(CONFIG_VECTOR);
    assert_eq!((poll(&mut disk), disk.geometry().sectors), (None, (1 << 32) + 2 * SECTORS));
    assert_eq!(fake.borrow().device.config_generation, 1);
}
