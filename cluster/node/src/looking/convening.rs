//! Which of the blank machines founds the cluster, and when.
//!
//! All say again and again whom they back: the one with the lowest address of those that they hear. Who is backed by as
//! many as are expected, for a while, founds the cluster, alone; the others join it, as any machine does that comes
//! later. So there is one way to become a node, and consensus, not this, decides who is one. Of machines that hear each
//! other, one is backed, and says that it is about to found before it does: should it lose its power then, the others wait
//! for it, unless it is heard to be blank still. Where a network is in two parts, each with as many blank machines as are
//! expected, there will be two clusters of one name.

use alloc::collections::BTreeMap;
use core::time::Duration;

use cluster_net::discovery::MachineId;
use drivers_api::Instant;

/// Who has not been heard for this long is gone.
const HEARD_WITHIN: Duration = Duration::from_millis(1500);

/// So long the founder is to have been backed: machines that are started together hear each other by then, and a cluster
/// that is there already has answered.
const SETTLES_FOR: Duration = Duration::from_secs(2);

/// And says so for this long: others have heard it by then.
const ANNOUNCES_FOR: Duration = Duration::from_millis(800);

/// A cluster that has answered, or was about to be founded, is believed to be there for this long, though it may not have a
/// leader.
const EXISTS_FOR: Duration = Duration::from_secs(30);

/// Who has not looked for this long has stood still, and does not know what has been meanwhile.
const STOOD_STILL_FOR: Duration = Duration::from_secs(1);

/// Whom a machine backs that knows of a member.
const NOBODY: MachineId = [0; 6];

/// Machines that are remembered, at most: those with the lowest addresses.
const OTHERS_MAX: usize = 64;

/// What a machine knows of the others that look for the same cluster.
#[derive(Debug)]
pub(super) struct Convening {
    own: MachineId,
    size: u8,
    others: BTreeMap<MachineId, Other>,
    /// Since when this one is backed by enough.
    backed_since: Option<Instant>,
    /// When that was looked at last.
    looked_at: Option<Instant>,
    /// When a member was heard last.
    exists_at: Option<Instant>,
    /// Which other machine has said that it is about to found the cluster, and when.
    founder: Option<(MachineId, Instant)>,
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
        Convening {
            own,
            size,
            others: BTreeMap::new(),
            backed_since: None,
            looked_at: None,
            exists_at: None,
            founder: None,
        }
    }

    /// Another machine that looks was heard; whether it expects as many.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        from: MachineId,
        size: u8,
        backs: MachineId,
        founds: bool,
    ) -> bool {
        // Of two that are about to, the lower does.
        let gives_way = from < self.own || !self.is_about_to_found(now);
        match self.founder {
            _ if founds && size == self.size && gives_way => self.founder = Some((from, now)),
            Some((founder, _)) if founder == from && !founds => self.founder = None,
            _ => {}
        }
        self.others.retain(|_, other| now.since(other.heard) < HEARD_WITHIN);
        self.others.insert(from, Other { heard: now, size, backs });
        if self.others.len() > OTHERS_MAX {
            self.others.pop_last();
        }
        size == self.size
    }

    /// A member of the cluster was heard.
    pub(super) fn exists(&mut self, now: Instant) {
        self.exists_at = Some(now);
    }

    /// Whether one was, not long ago, or there is one that has founded the cluster, perhaps.
    pub(super) fn knows_a_member(&self, now: Instant) -> bool {
        let heard = self.exists_at.into_iter().chain(self.founder.map(|(_, at)| at));
        heard.max().is_some_and(|at| now.since(at) < EXISTS_FOR)
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

    /// Who should found the cluster, for all that this machine hears: whoever has said that it will; zeros, if nobody should.
    pub(super) fn backs(&self, now: Instant) -> MachineId {
        match self.founder {
            Some((founder, _)) if self.knows_a_member(now) => return founder,
            None if self.knows_a_member(now) => return NOBODY,
            _ => {}
        }
        self.present(now).map(|(machine, _)| *machine).fold(self.own, MachineId::min)
    }

    /// Whether it will found the cluster shortly, unless something comes between.
    pub(super) fn is_about_to_found(&self, now: Instant) -> bool {
        self.backed_since.is_some_and(|since| now.since(since) + ANNOUNCES_FOR >= SETTLES_FOR)
    }

    /// Whether this machine is to found the cluster now.
    pub(super) fn founds(&mut self, now: Instant) -> bool {
        let last = self.looked_at.replace(now).unwrap_or(now);
        if now.since(last) >= STOOD_STILL_FOR {
            self.backed_since = None;
        }
        let backers = 1 + self.present(now).filter(|(_, other)| other.backs == self.own).count();
        let is_backed = self.backs(now) == self.own && backers >= usize::from(self.size);
        if !is_backed {
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
                let one = &self.machines[from];
                let (size, backs, founds) = (one.size, one.backs(self.now), one.is_about_to_found(self.now));
                for &to in present.iter().filter(|to| **to != from && hears(from, **to)) {
                    self.machines[to].hear(self.now, machine(from), size, backs, founds);
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
        assert!(!world.machines[0].hear(world.now, machine(2), 5, machine(2), false));
    }

    #[test]
    fn who_has_said_that_it_founds_is_waited_for_unless_it_is_blank_still() {
        // One more than are expected: the others would be enough without the founder.
        let founded = || {
            let mut world = World::new(4, 3);
            while world.founders.is_empty() {
                world.step(|_, _| true);
            }
            world
        };
        // It is never heard again: they wait for half a minute.
        let mut world = founded();
        (0..110).for_each(|_| world.step(|_, _| true));
        assert_eq!(world.founders, [0]);
        (0..40).for_each(|_| world.step(|_, _| true));
        assert_eq!(world.founders, [0, 1]);
        // It had not begun to write.
        let mut world = founded();
        world.founders.clear();
        world.machines[0] = Convening::new(machine(0), 3);
        (0..20).for_each(|_| world.step(|_, _| true));
        assert_eq!(world.founders, [0]);
    }

    #[test]
    fn a_flood_of_machines_is_not_remembered() {
        let mut one = Convening::new(machine(0), 3);
        for number in 0..10_000u32 {
            let [.., a, b] = number.to_be_bytes();
            one.hear(Instant::ZERO, [3, 0, 0, 0, a, b], 3, machine(0), false);
        }
        assert_eq!(one.others.len(), OTHERS_MAX);
        one.hear(Instant::ZERO, machine(1), 3, machine(0), false);
        assert!(one.others.contains_key(&machine(1)), "the lowest are remembered");
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
            let mut silent = 0;
            for round in 0..40 {
                // One call in four is lost; more than five in a row of one machine are not.
                let is_lost = |from: usize, to: usize| {
                    let at = (round * 7 + from * 31 + to * 17) % (lost.len() - 1);
                    lost[at] && lost[at + 1] && round % 5 != 0
                };
                world.step(|from, to| !is_lost(from, to));
                prop_assert!(world.founders.len() <= 1);
                if !world.founders.is_empty() {
                    silent += 1;
                }
                // It formats its disk first, and answers who calls from then on.
                if silent > 20 {
                    let now = world.now;
                    world.machines.iter_mut().for_each(|machine| machine.exists(now));
                }
            }
            // Nothing is lost for a while.
            (0..12).for_each(|_| world.step(|_, _| true));
            prop_assert_eq!(world.founders.len(), 1);
        }
    }
}
