//! Faults of processors and clocks.
//!
//! Without leases nothing but patience depends on clocks, so anything may befall them. A lease holds as long as
//! clocks agree about how much time has passed, to within what it keeps in reserve; so with leases they
//! neither leap nor stand still, and drift as far as that reserve allows.

use super::{FaultKind, Injector, Remedy, mend};
use crate::clock::{DRIFT_PPM_MAX, DRIFT_PPM_MAX_WITH_LEASE};
use crate::cluster::Cluster;

impl Injector {
    pub(super) fn disturb_clock(
        &mut self,
        kind: FaultKind,
        cluster: &mut Cluster,
        victim: u8,
    ) -> Option<Remedy> {
        let now = cluster.now();
        match kind {
            FaultKind::Pause => return self.pause(cluster, victim),
            FaultKind::ClockDrift => {
                let most = if self.lease { DRIFT_PPM_MAX_WITH_LEASE } else { DRIFT_PPM_MAX };
                let drift = self.dice.between(0, 2 * most as u64) as i64 - most;
                cluster.set_clock(victim, |clock| clock.drift(now, drift));
                return Some(mend(move |cluster| {
                    let now = cluster.now();
                    cluster.set_clock(victim, |clock| clock.drift(now, 0));
                }));
            }
            FaultKind::ClockLeap if self.lease => return None,
            FaultKind::ClockLeap => {
                let leap = self.dice.span(500, 30_000);
                cluster.set_clock(victim, |clock| clock.leap(now, leap));
            }
            _ => {
                let hours = *self.dice.one_of(&[-24, -1, 1, 24 * 365]);
                cluster.set_clock(victim, |clock| clock.jump(now, hours * 3_600_000_000));
            }
        }
        Some(mend(|_| {}))
    }

    /// Stops a node in its tracks. In half of the cases it does not notice: its clock stands still, too, as
    /// that of a virtual machine does.
    fn pause(&mut self, cluster: &mut Cluster, victim: u8) -> Option<Remedy> {
        if !cluster.is_up(victim) {
            return None;
        }
        let (now, is_noticed) = (cluster.now(), self.dice.between(0, 1) == 1);
        cluster.pause(victim, true);
        if !is_noticed && !self.lease {
            self.clocks_stopped += 1;
            cluster.set_clock(victim, |clock| clock.stop(now));
        }
        Some(mend(move |cluster| {
            let now = cluster.now();
            cluster.set_clock(victim, |clock| clock.go_on(now));
            cluster.pause(victim, false);
        }))
    }
}
