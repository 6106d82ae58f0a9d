//! The NICs of a machine: one on each fabric, at the same port there.

use std::ops::Range;

use drivers_api::{Nic, Nics};
use drivers_sim::{LinkFaults, SimNic};

use crate::Cluster;

/// The MAC address of a port's NIC, on the first fabric and those behind it.
pub(crate) fn hardware_address_of(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, port as u8]
}

/// Those of one machine, among all.
pub(crate) struct MachineNics<'a> {
    all: &'a mut [SimNic],
    port: usize,
    fabric_len: usize,
}

impl<'a> MachineNics<'a> {
    pub(crate) fn new(all: &'a mut [SimNic], port: usize, fabric_len: usize) -> MachineNics<'a> {
        MachineNics { all, port, fabric_len }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut SimNic> {
        self.all.iter_mut().skip(self.port).step_by(self.fabric_len)
    }

    /// The machine has power.
    pub(crate) fn start(&mut self) {
        self.each().for_each(SimNic::start);
    }

    /// It has none any more.
    pub(crate) fn crash(&mut self) {
        self.each().for_each(SimNic::crash);
    }
}

impl Nics for MachineNics<'_> {
    fn count(&self) -> usize {
        self.all.len() / self.fabric_len
    }

    fn nic(&mut self, number: usize) -> &mut dyn Nic {
        &mut self.all[self.port + number * self.fabric_len]
    }
}

/// The directions of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Both,
    There,
}

impl Cluster {
    /// Gives each machine one more NIC, on one more fabric. None may run yet.
    pub fn add_fabric(&mut self) {
        for port in 0..self.network.fabric_len {
            let hardware_address = hardware_address_of(self.nics.len());
            self.nics.push(SimNic::new(hardware_address, self.nics[port].mtu()));
        }
    }

    /// All fabrics.
    pub(crate) fn fabrics(&self) -> Range<usize> {
        0..self.nics.len() / self.network.fabric_len
    }

    /// Cuts, or mends, what goes from these nodes to those on some fabrics; the way back, too, unless one way is meant.
    pub(crate) fn set_cut(&mut self, fabrics: Range<usize>, ends: [&[usize]; 2], way: Way, cut: bool) {
        for fabric in fabrics {
            let ports =
                |nodes: &[usize]| nodes.iter().map(|node| fabric * self.network.fabric_len + node).collect();
            let [from, to]: [Vec<usize>; 2] = ends.map(ports);
            match way {
                Way::Both => self.network.set_cut(&from, &to, cut),
                Way::There => self.network.set_cut_one_way(&from, &to, cut),
            }
        }
    }

    /// Gives what goes from one node to another on some fabrics faults of its own, or ends that.
    pub(crate) fn set_link(
        &mut self,
        fabrics: Range<usize>,
        from: usize,
        to: usize,
        faults: Option<LinkFaults>,
    ) {
        for fabric in fabrics {
            let first = fabric * self.network.fabric_len;
            self.network.set_link(first + from, first + to, faults);
        }
    }

    /// The ports of these nodes on a fabric, the first of which is number 0.
    pub fn ports(&self, fabric: usize, nodes: &[u8]) -> Vec<usize> {
        nodes.iter().map(|node| fabric * self.network.fabric_len + usize::from(*node)).collect()
    }
}
