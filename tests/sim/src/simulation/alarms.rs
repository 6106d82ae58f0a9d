//! What must not happen at any time, and is seen from outside: broken promises of consensus, and errors that no
//! fault explains.

use drivers_api::Level;

use super::Simulation;
use crate::faults::FaultKind;

/// Errors that nodes may report, by part of their text, where one of the faults happens that cause them.
const EXPLAINED: [(&str, &[FaultKind]); 5] = [
    (
        "this node does not take part: the disk reported an I/O error",
        &[FaultKind::BrokenDisk, FaultKind::UnreadableSectors, FaultKind::SickDisk],
    ),
    // No copy of the superblock is left, or it was never written, on a disk that was blank before.
    ("this node does not take part: the data disk holds something else", &DAMAGE),
    ("this node does not take part: the data disk is damaged", &UNREADABLE),
    ("the tables that came are damaged", &UNREADABLE),
    // Others were removed before, as is only possible beyond the bound.
    ("no other member has", &UNREADABLE),
];

const DAMAGE: [FaultKind; 2] = [FaultKind::SickDisk, FaultKind::Rot];

const UNREADABLE: [FaultKind; 4] =
    [FaultKind::SickDisk, FaultKind::Rot, FaultKind::UnreadableSectors, FaultKind::BrokenDisk];

impl Simulation {
    /// Consensus has kept its promises, and no node reports an error but those that a fault explains.
    pub(super) fn alarms(&mut self) -> Result<(), String> {
        if let Some(what) = self.cluster.violation() {
            return Err(what.into());
        }
        for id in 1..=self.options.nodes {
            let lines = self.cluster.console(id);
            let seen = &mut self.lines_seen[usize::from(id) - 1];
            for (level, line) in &lines[*seen..] {
                if *level == Level::Error && !is_explained(line, &self.options.faults) {
                    return Err(format!("node {id} says: {line}"));
                }
            }
            *seen = lines.len();
        }
        Ok(())
    }
}

fn is_explained(line: &str, faults: &[FaultKind]) -> bool {
    let may_cause = |causes: &[FaultKind]| causes.iter().any(|cause| faults.contains(cause));
    EXPLAINED.iter().any(|(part, causes)| line.contains(part) && may_cause(causes))
}
