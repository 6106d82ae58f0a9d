//! Which of the blank machines founds the cluster, and when.
//!
//! All say again and again whom they back: the one with the lowest address of those that they hear. Who is backed by as
//! many as are expected, for a while, founds the cluster, alone; the others join it, as any machine does that comes
//! later. So there is one way to become a node, and consensus, not this, decides who is one. Of machines that hear each
//! other, one is backed. Where a network is in two parts, each with as many blank machines as are expected, there will be
//! two clusters of one name.

use alloc::collections::BTreeMap;
use core::time::Duration;

use cluster_net::discovery::MachineId;
use drivers_api::Instant;

/// Who has not been heard for this long is gone.
const HEARD_WITHIN: Duration = Duration::from_millis(1500);

/// So long the founder is to have been backed: machines that are started together hear each other by then, and a cluster
/// that is there already has answered.
const SETTLES_FOR: Duration = Duration::from_secs(2);

/// A cluster that has answered is believed to be there for this long, though it may not have a leader.
const EXISTS_FOR: Duration = Duration::from_secs(30);

/// Machines that are remembered, at most.
const OTHERS_MAX: usize = 64;

/// What a machine knows of the others that look for the same cluster.
#[derive(Debug)]
pub(super) struct Convening {
    own: MachineId,
    size: u8,
    others: BTreeMap<MachineId, Other>,
    /// Since when this one is backed by enough.
    backed_since: Option<Instant>,
    /// When a member was heard last.
    exists_at: Option<Instant>,
}

#[derive(Debug)]
struct Other {
    heard: Instant,
    size: u8,
    backs: MachineId,
}

impl Convening {
    /// Of machine `own`, which expects `size` in all.
    pub(super) fn new(own: MachineId, size: u8) -> Convening {
        Convening { own, size, others: BTreeMap::new(), backed_since: None, exists_at: None }
    }

    /// Another machine that looks was heard; whether it expects as many.
    pub(super) fn hear(&mut self, now: Instant, from: MachineId, size: u8, backs: MachineId) -> bool {
        self.others.retain(|_, other| now.since(other.heard) < HEARD_WITHIN);
        if self.others.len() < OTHERS_MAX || self.others.contains_key(&from) {
            self.others.insert(from, Other { heard: now, size, backs });
        }
        size == self.size
    }

    /// A member of the cluster was heard.
    pub(super) fn exists(&mut self, now: Instant) {
        self.exists_at = Some(now);
    }

    /// Whether one was, not long ago.
    pub(super) fn knows_a_member(&self, now: Instant) -> bool {
        self.exists_at.is_some_and(|at| now.since(at) < EXISTS_FOR)
    }

    /// The others that are there, and expect as many.
    fn present(&self, now: Instant) -> impl Iterator<Item = (&MachineId, &Other)> {
        let is_present =
            move |other: &Other| now.since(other.heard) < HEARD_WITHIN && other.size == self.size;
        self.others.iter().filter(move |(_, other)| is_present(other))
    }

    /// How many are there, this one among them.
    pub(super) fn count(&self, now: Instant) -> usize {
        1 + self.present(now).count()
    }

    /// Who should found the cluster, for all that this machine hears.
    pub(super) fn backs(&self, now: Instant) -> MachineId {
        self.present(now).map(|(machine, _)| *machine).fold(self.own, MachineId::min)
    }

    /// Whether this machine is to found the cluster now.
    pub(super) fn founds(&mut self, now: Instant) -> bool {
        let backers = 1 + self.present(now).filter(|(_, other)| other.backs == self.own).count();
        let is_backed = self.backs(now) == self.own && backers >= usize::from(self.size);
        if !is_backed || self.knows_a_member(now) {
            self.backed_since = None;
            return false;
        }
        let since = *self.backed_since.get_or_insert(now);
        now.since(since) >= SETTLES_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const STEP: Duration = Duration::from_millis(250);

    fn machine(number: usize) -> MachineId {
        [2, 0, 0, 0, 0, number as u8]
    }

    /// Machines that call every quarter of a second; who has founded a cluster no longer looks.
    struct World {
        machines: Vec<Convening>,
        now: Instant,
        founders: Vec<usize>,
    }

    impl World {
        fn new(count: usize, size: u8) -> World {
            let machines = (0..count).map(|number| Convening::new(machine(number), size)).collect();
            World { machines, now: Instant::ZERO, founders: Vec::new() }
        }

        /// All call, and hear whom they can hear; then who is to found the cluster does.
        fn step(&mut self, hears: impl Fn(usize, usize) -> bool) {
            self.now = self.now + STEP;
            let looking = |world: &World, number: &usize| !world.founders.contains(number);
            let present: Vec<usize> =
                (0..self.machines.len()).filter(|number| looking(self, number)).collect();
            for &from in &present {
                let (size, backs) = (self.machines[from].size, self.machines[from].backs(self.now));
                for &to in present.iter().filter(|to| **to != from && hears(from, **to)) {
                    self.machines[to].hear(self.now, machine(from), size, backs);
                }
            }
            for number in present {
                if self.machines[number].founds(self.now) {
                    self.founders.push(number);
                }
            }
        }
    }

    #[test]
    fn the_first_of_as_many_as_are_expected_founds() {
        let mut world = World::new(3, 3);
        (0..20).for_each(|_| world.step(|_, _| true));
        assert_eq!(world.founders, [0]);
        // The others are too few by themselves.
        (0..100).for_each(|_| world.step(|_, _| true));
        assert_eq!(world.founders, [0]);
    }

    #[test]
    fn too_few_wait_and_so_does_who_knows_of_a_member() {
        let mut world = World::new(2, 3);
        (0..100).for_each(|_| world.step(|_, _| true));
        assert_eq!((world.founders.len(), world.machines[0].count(world.now)), (0, 2));
        let mut world = World::new(3, 3);
        for _ in 0..100 {
            world.step(|_, _| true);
            let now = world.now;
            world.machines[0].exists(now);
        }
        assert!(world.founders.is_empty());
    }

    #[test]
    fn who_expects_another_number_does_not_count() {
        let mut world = World::new(3, 3);
        world.machines[2].size = 5;
        (0..100).for_each(|_| world.step(|_, _| true));
        assert!(world.founders.is_empty());
        assert!(!world.machines[0].hear(world.now, machine(2), 5, machine(2)));
    }

    #[test]
    fn a_flood_of_machines_is_not_remembered() {
        let mut one = Convening::new(machine(0), 3);
        for number in 0..10_000u32 {
            let [.., a, b] = number.to_be_bytes();
            one.hear(Instant::ZERO, [3, 0, 0, 0, a, b], 3, machine(0));
        }
        assert_eq!(one.others.len(), OTHERS_MAX);
    }

    proptest! {
        /// However many calls are lost, one machine of those that expect each other founds, if any: until it is found
        /// by the others, which it then tells what they are.
        #[test]
        fn lossy_networks_have_one_founder(
            size in 1u8..6,
            spare in 0usize..3,
            lost in prop::collection::vec(any::<bool>(), 400),
        ) {
            let mut world = World::new(usize::from(size) + spare, size);
            for round in 0..40 {
                // One call in four is lost; more than five in a row of one machine are not.
                let is_lost = |from: usize, to: usize| {
                    let at = (round * 7 + from * 31 + to * 17) % (lost.len() - 1);
                    lost[at] && lost[at + 1] && round % 5 != 0
                };
                world.step(|from, to| !is_lost(from, to));
                if let Some(founder) = world.founders.first().copied() {
                    prop_assert_eq!(&world.founders, &[founder]);
                    let now = world.now;
                    // It answers who calls from now on.
                    world.machines.iter_mut().for_each(|machine| machine.exists(now));
                }
            }
            // Nothing is lost for a while.
            (0..12).for_each(|_| world.step(|_, _| true));
            prop_assert_eq!(world.founders.len(), 1);
        }
    }
}
