use super::*;
use crate::fake::{FakeDevice, FakePlatform, FakeTransport, peek, poke};
use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;
use core::task::Waker;

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
    let config: &'static mut [u64] = vec![0; 2].leak();
    config[1] = u64::from(mtu) << 16;
    let offered =
        virtio_spec::F::VERSION_1.bits().to_ne() as u64 | feature(virtio_spec::net::F::MAC) | features;
    let device = FakeDevice::new(offered, config, 1024);
    let fake = Rc::new(RefCell::new(FakeNic { device, delivered: 0 }));
    let transport = Box::new(FakeTransport(Rc::clone(&fake)));
    (NetworkDevice::new(FakePlatform::leaked(), transport).expect("a NIC"), fake)
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
