use super::*;
use crate::fake::{CONFIG_VECTOR, FakeDevice, FakePlatform, FakeTransport, QUEUE_VECTOR, peek, poke};
use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;

/// The device's side: the rings of its receive queue, and what it takes and offers.
struct FakeNic {
    device: FakeDevice,
    delivered: u16,
}

type Shared = Rc<RefCell<FakeNic>>;

impl AsMut<FakeDevice> for FakeNic {
    fn as_mut(&mut self) -> &mut FakeDevice {
        &mut self.device
    }
}

impl FakeNic {
    /// Writes a frame of `len` bytes into the next buffer; the buffer's length, header included.
    fn deliver(&mut self, len: usize) -> u32 {
        let [table, available, used] = self.device.rings;
        let slot = u64::from(self.delivered % self.device.size);
        let head: u16 = peek(available + 4 + 2 * slot);
        let (address, rest): (u64, u64) = peek(table + 16 * u64::from(head));
        for at in 0..(HEADER_LEN + len).min(rest as u32 as usize) {
            poke(address + at as u64, at as u8);
        }
        poke(used + 4 + 8 * slot, (u32::from(head), (HEADER_LEN + len) as u32));
        self.delivered = self.delivered.wrapping_add(1);
        poke(used + 2, self.delivered);
        rest as u32
    }
}

fn feature(feature: virtio_spec::net::F) -> u64 {
    feature.bits().to_ne() as u64
}

/// A device that has `mtu` in its configuration, and says so if `features` do.
fn nic(features: u64, mtu: u16) -> (NetworkDevice, Shared) {
    nic_on(FakePlatform::leaked(), features, mtu, true)
}

/// The same on this platform; its link is up.
fn nic_on(
    platform: &'static FakePlatform,
    features: u64,
    mtu: u16,
    has_config_vector: bool,
) -> (NetworkDevice, Shared) {
    let config: &'static mut [u64] = vec![0; 2].leak();
    config[0] = u64::from(STATUS_LINK_UP) << (8 * CONFIG_STATUS);
    config[1] = u64::from(mtu) << 16;
    let offered =
        virtio_spec::F::VERSION_1.bits().to_ne() as u64 | feature(virtio_spec::net::F::MAC) | features;
    let device = FakeDevice { has_config_vector, ..FakeDevice::new(offered, config, 1024) };
    let fake = Rc::new(RefCell::new(FakeNic { device, delivered: 0 }));
    let transport = Box::new(FakeTransport(Rc::clone(&fake)));
    (NetworkDevice::new(platform, transport).expect("a NIC"), fake)
}

fn receive(nic: &mut NetworkDevice) -> Option<Frame> {
    match nic.poll_receive(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => Some(frame),
        Poll::Pending => None,
    }
}

#[test]
fn the_mtu_is_what_the_device_says_within_bounds() {
    let offers = feature(virtio_spec::net::F::MTU);
    let cases = [
        (0, 9000, Mtu::ETHERNET),
        (offers, 0, Mtu::MIN),
        (offers, 1400, Mtu::nearest(1400)),
        (offers, 9000, Mtu::JUMBO),
        (offers, 65535, Mtu::JUMBO),
    ];
    for (features, said, mtu) in cases {
        let (nic, fake) = nic(features, said);
        assert_eq!(nic.mtu(), mtu, "{said}");
        assert_eq!(fake.borrow().device.accepted & offers, features, "{said}");
        assert!(usize::from(fake.borrow().device.size) * buffer_len(mtu) <= RECEIVE_LEN_MAX, "{said}");
        assert!(fake.borrow().device.size >= 64, "{said}");
    }
}

#[test]
fn frames_as_long_as_the_mtu_come_and_go_and_longer_ones_do_not() {
    for (features, mtu) in [(0, Mtu::ETHERNET), (feature(virtio_spec::net::F::MTU), Mtu::JUMBO)] {
        let (mut nic, fake) = nic(features, 9000);
        let room = fake.borrow_mut().deliver(mtu.frame_len());
        assert_eq!(room as usize, HEADER_LEN + mtu.frame_len());
        let frame = receive(&mut nic).expect("a frame");
        let expected: Vec<u8> = (HEADER_LEN..HEADER_LEN + mtu.frame_len()).map(|at| at as u8).collect();
        assert_eq!(frame.bytes(), expected);
        // A device that says it wrote more than there was room for is not believed.
        fake.borrow_mut().deliver(mtu.frame_len() + 1);
        fake.borrow_mut().deliver(60);
        assert_eq!(receive(&mut nic).map(|frame| frame.bytes().len()), Some(60));
        nic.transmit(Frame::zeroed(mtu.frame_len() + 1)).unwrap();
        assert_eq!(nic.transmit_buffers.iter().flatten().count(), 0);
        nic.transmit(Frame::zeroed(mtu.frame_len())).unwrap();
        assert_eq!(nic.transmit_buffers.iter().flatten().count(), 1);
    }
}

#[test]
fn a_link_that_goes_down_says_so_by_an_interrupt_of_its_own_or_by_the_wire() {
    for has_vector in [true, false] {
        let platform = FakePlatform::leaked();
        let (mut nic, fake) = nic_on(platform, feature(virtio_spec::net::F::STATUS), 1500, has_vector);
        assert!(nic.link_is_up());
        for status in [0, STATUS_LINK_UP] {
            fake.borrow().device.config.write(CONFIG_STATUS, status);
            platform.interrupt(QUEUE_VECTOR);
            assert!(receive(&mut nic).is_none());
            assert_eq!(nic.link_is_up(), status == 0, "nothing told of it");
            if has_vector {
                platform.interrupt(CONFIG_VECTOR);
            } else {
                fake.borrow().device.wire_tells_config.set(true);
                platform.interrupt(QUEUE_VECTOR);
            }
            assert!(receive(&mut nic).is_none());
            assert_eq!(nic.link_is_up(), status == STATUS_LINK_UP);
        }
    }
}

#[test]
fn a_device_that_tells_nothing_of_its_link_has_one() {
    let platform = FakePlatform::leaked();
    let (mut nic, fake) = nic_on(platform, 0, 1500, true);
    fake.borrow().device.config.write(CONFIG_STATUS, 0u16);
    platform.interrupt(CONFIG_VECTOR);
    assert!(receive(&mut nic).is_none() && nic.link_is_up());
}
