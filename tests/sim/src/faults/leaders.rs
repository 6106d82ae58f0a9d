//! Faults that strike whoever leads, at the moments that matter.

use std::time::Duration;

use super::links::{Cut, cut_off};
use super::{Injector, Remedy, give_blank_disk, mend};
use crate::cluster::Cluster;

/// One leader follows the other within this, or not at all.
const SUCCESSION_MAX: Duration = Duration::from_secs(3);

impl Injector {
    /// Cuts the leader off from the others, but not from its clients; now and then just after it was asked to
    /// hand over.
    pub(super) fn isolate_leader(&mut self, cluster: &mut Cluster) -> Option<Remedy> {
        let leader = cluster.leader()?;
        if self.dice.between(0, 1) == 0 {
            self.call(cluster, leader, "CALL sys.transfer_leadership()".into());
            cluster.run(Duration::from_micros(self.dice.between(100, 15_000)));
        }
        cut_off(cluster, &[leader]).map(Cut::remedy)
    }

    /// Leaders follow each other, with the others of their time away: none knows what those have written. The
    /// first is cut off. Either its successor is cut off as well, when it has just been elected, and the first,
    /// back again, when it has just committed (the moments of figure 8 of the Raft paper); or its successor
    /// hands over to a third before the first is back.
    pub(super) fn succession(&mut self, cluster: &mut Cluster) -> Option<Remedy> {
        let mut cuts = Vec::new();
        self.succeed(cluster, &mut cuts);
        let is_cut = !cuts.is_empty();
        is_cut.then(|| mend(move |cluster| cuts.iter().for_each(|cut| cut.heal(cluster))))
    }

    /// As far as leaders do follow each other; what is left cut.
    fn succeed(&mut self, cluster: &mut Cluster, cuts: &mut Vec<Cut>) -> Option<()> {
        let (first, term) = cluster.leading()?;
        cuts.push(cut_off(cluster, &[first])?);
        let (second, term) = next_leader(cluster, term)?;
        if self.dice.between(0, 1) == 0 {
            cluster.run(self.dice.span(1, 500));
            self.call(cluster, second, "CALL sys.transfer_leadership()".into());
            next_leader(cluster, term)?;
            cluster.run(self.dice.span(1, 500));
            return None;
        }
        cuts.push(cut_off(cluster, &[second])?);
        cluster.run(self.dice.span(1, 300));
        cuts.remove(0).heal(cluster);
        let (third, _) = next_leader(cluster, term)?;
        let commit = cluster.commit(third);
        cluster.run_until_so(SUCCESSION_MAX, |cluster| cluster.commit(third) > commit);
        cuts.push(cut_off(cluster, &[third])?);
        cuts.remove(0).heal(cluster);
        Some(())
    }

    /// Cuts the leader off, and asks it to remove two of the others at once: neither may succeed while it is
    /// alone, and never both at a time.
    pub(super) fn remove_rivals(&mut self, cluster: &mut Cluster, victim: u8) -> Option<Remedy> {
        let leader = cluster.leader().filter(|leader| *leader != victim)?;
        let voters = cluster.voters(leader);
        let is_free = |id: &u8| ![leader, victim].contains(id) && !self.damage.is_noted(*id);
        let other = voters.iter().copied().find(is_free)?;
        let minority = (voters.len() - 1) / 2;
        let strangers = |id: &u8| ![leader, victim, other].contains(id);
        let with = voters.iter().copied().filter(strangers).take(minority.saturating_sub(1));
        let cut = cut_off(cluster, &with.chain([leader]).collect::<Vec<_>>())?;
        for id in [victim, other] {
            self.call(cluster, leader, format!("CALL sys.remove_node({id})"));
            self.damage.done(id);
        }
        Some(Box::new(move |cluster, damage| {
            cut.heal(cluster);
            for id in [victim, other] {
                // One of them may have been removed after all, and comes back as another.
                if cluster.health(id).is_some_and(|health| health.is_removed) {
                    give_blank_disk(cluster, id);
                }
                damage.leaving(id);
            }
        }))
    }
}

/// Waits for a leader of a term behind `term`.
fn next_leader(cluster: &mut Cluster, term: u64) -> Option<(u8, u64)> {
    let later = |cluster: &Cluster| cluster.leading().filter(|(_, now)| *now > term);
    cluster.run_until_so(SUCCESSION_MAX, |cluster| later(cluster).is_some());
    later(cluster)
}
