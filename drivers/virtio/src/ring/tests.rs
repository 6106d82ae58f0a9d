use super::*;
use alloc::collections::VecDeque;
use proptest::prelude::*;

/// The other side of a ring, as a device sees it.
#[derive(Default)]
struct FakeDevice {
    taken: u16,
    finished: u16,
    held: VecDeque<u16>,
}

impl FakeDevice {
    /// Takes everything available; asks to be notified of the next.
    fn take(&mut self, ring: &Ring) -> usize {
        let index = ring.available[1].load(Ordering::Acquire);
        let count = index.wrapping_sub(self.taken);
        while self.taken != index {
            let slot = usize::from(self.taken & (ring.size - 1));
            self.held.push_back(ring.available[2 + slot].load(Ordering::Relaxed));
            self.taken = self.taken.wrapping_add(1);
        }
        ring.used[1 + 2 * usize::from(ring.size)].store(u32::from(index), Ordering::Relaxed);
        usize::from(count)
    }

    /// Finishes the oldest chain held; whether the driver wants an interrupt.
    fn finish(&mut self, ring: &Ring, len: u32) -> Option<bool> {
        let head = self.held.pop_front()?;
        let slot = 1 + 2 * usize::from(self.finished & (ring.size - 1));
        ring.used[slot].store(u32::from(head), Ordering::Relaxed);
        ring.used[slot + 1].store(len, Ordering::Relaxed);
        let before = self.finished;
        self.finished = self.finished.wrapping_add(1);
        ring.used[0].store(u32::from(self.finished) << 16, Ordering::Release);
        let event = ring.available[2 + usize::from(ring.size)].load(Ordering::Relaxed);
        Some(if ring.event_index {
            need_event(event, self.finished, before)
        } else {
            ring.available[0].load(Ordering::Relaxed) & AVAILABLE_NO_INTERRUPT == 0
        })
    }
}

#[test]
fn an_event_is_passed_once_also_around_the_wrap() {
    for start in [0u16, 100, u16::MAX - 1, u16::MAX] {
        let after = start.wrapping_add(3);
        assert!(need_event(start, after, start));
        assert!(need_event(start.wrapping_add(2), after, start));
        assert!(!need_event(after, after, start));
        assert!(!need_event(start.wrapping_sub(1), after, start));
    }
}

#[test]
fn what_a_device_makes_up_is_refused() {
    let mut ring = Ring::new(4, false);
    ring.used[0].store(1 << 16, Ordering::Relaxed);
    assert_eq!(ring.pop(), Err(Broken), "nothing was published");
    let mut ring = Ring::new(4, false);
    ring.push(0);
    ring.publish();
    ring.used[1].store(4, Ordering::Relaxed);
    ring.used[0].store(1 << 16, Ordering::Relaxed);
    assert_eq!(ring.pop(), Err(Broken), "no such descriptor");
}

#[test]
fn interrupts_only_when_asked_for() {
    for event_index in [false, true] {
        let (mut ring, mut device) = (Ring::new(4, event_index), FakeDevice::default());
        (0..3).for_each(|head| ring.push(head));
        assert!(ring.publish());
        assert_eq!(device.take(&ring), 3);
        ring.disable_interrupts();
        assert_eq!(device.finish(&ring, 1), Some(false));
        assert!(ring.enable_interrupts(), "one is finished already");
        assert_eq!(ring.pop(), Ok(Some(Used { head: 0, len: 1 })));
        assert!(!ring.enable_interrupts());
        assert_eq!(device.finish(&ring, 2), Some(true));
    }
}

proptest! {
    /// Every chain comes back once, in the device's order, and the driver notifies a device that has taken
    /// all it was shown, wherever the indexes are (they start near the wrap).
    #[test]
    fn nothing_is_lost(
        event_index: bool,
        start in prop_oneof![Just(0u16), u16::MAX - 40..=u16::MAX],
        steps in prop::collection::vec(0u8..4, 1..200),
    ) {
        let (mut ring, mut device) = (Ring::new(8, event_index), FakeDevice::default());
        (ring.pushed, ring.published, ring.popped) = (start, start, start);
        (device.taken, device.finished) = (start, start);
        ring.available[1].store(start, Ordering::Relaxed);
        ring.used[0].store(u32::from(start) << 16, Ordering::Relaxed);
        device.take(&ring);

        let mut free: VecDeque<u16> = (0..8).collect();
        let mut out: VecDeque<u16> = VecDeque::new();
        let mut device_idle = true;
        for step in steps {
            match step {
                0 => if let Some(head) = free.pop_front() {
                    ring.push(head);
                    out.push_back(head);
                },
                1 => {
                    let some = ring.unpublished() > 0;
                    let notify = ring.publish();
                    prop_assert!(!(some && device_idle) || notify);
                    device_idle &= !some;
                }
                2 => { device.take(&ring); device_idle = true; }
                _ => {
                    let wanted = !ring.enable_interrupts();
                    if let Some(interrupt) = device.finish(&ring, 7) {
                        prop_assert!(!wanted || interrupt);
                    }
                    while let Some(used) = ring.pop().unwrap() {
                        prop_assert_eq!(Some(used.head), out.pop_front());
                        prop_assert_eq!(used.len, 7);
                        free.push_back(used.head);
                    }
                }
            }
        }
        prop_assert_eq!(free.len() + out.len(), 8);
    }
}
