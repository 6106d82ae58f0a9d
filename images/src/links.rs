//! Links: the ways of frames from one port of the fabric's switch to another, each direction on its own. Which of them are
//! meant, how they are to behave, and what has come of their frames.

use std::ops::RangeInclusive;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// A port of the switch: 0 is the gateway's, K is node K's.
pub type Port = u8;

/// The gateway's port.
pub const GATEWAY_PORT: Port = 0;

/// The number of the first fabric, by which clients come to VMs.
pub const FIRST_FABRIC: u8 = 1;

/// Frames are late by a minute at most, for each of the reasons that there are.
const MILLIS_RANGE: RangeInclusive<u64> = 0..=60_000;

/// From what a modem did to more than this machine carries, in kbit/s.
const RATE_KBIT_RANGE: RangeInclusive<u64> = 1..=100_000_000;

/// Some of the links. Those of the gateway are among them only where it is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSelection {
    /// Those of this fabric; of any without.
    pub fabric: Option<u8>,
    /// Those that leave this port; any without.
    pub from: Option<Port>,
    /// Those that arrive at this one; any without.
    pub to: Option<Port>,
    /// And those in the opposite direction.
    pub both_ways: bool,
}

impl LinkSelection {
    /// Both directions between two ports.
    pub fn between(a: Port, b: Port) -> LinkSelection {
        LinkSelection { fabric: None, from: Some(a), to: Some(b), both_ways: true }
    }

    /// Whether links of this fabric are among them.
    pub fn is_on(&self, fabric: u8) -> bool {
        self.fabric.is_none_or(|meant| meant == fabric)
    }

    /// Whether the link is one of them, on a fabric that is meant.
    pub fn has(&self, from: Port, to: Port) -> bool {
        let is_named = |port| port != GATEWAY_PORT || [self.from, self.to].contains(&Some(port));
        let is_meant =
            |from, to| self.from.is_none_or(|port| port == from) && self.to.is_none_or(|port| port == to);
        is_named(from) && is_named(to) && (is_meant(from, to) || self.both_ways && is_meant(to, from))
    }

    /// An error if there can be no such link.
    pub fn check(&self) -> Result<(), Failure> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => {
                Err(Failure::Argument(format!("a link has two ends: name another node than {to} for one")))
            }
            _ => Ok(()),
        }
    }
}

/// What befalls the frames of a link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Whether it carries anything.
    pub up: bool,
    /// Share of frames that are lost, from 0 to 1, as are all shares here.
    pub loss: f64,
    /// Each frame is late by this.
    pub delay_ms: u64,
    /// And by a random time of up to this, for which frames pass each other.
    pub jitter_ms: u64,
    /// Share of frames that arrive twice.
    pub duplicate: f64,
    /// Share of frames that are held back, while those behind them pass.
    pub reorder: f64,
    /// For how long.
    pub reorder_ms: u64,
    /// The link carries so much and no more; a queue that is full loses what comes. Without: all that comes.
    pub rate_kbit: Option<u64>,
}

impl Default for Fault {
    /// None.
    fn default() -> Fault {
        Fault {
            up: true,
            loss: 0.0,
            delay_ms: 0,
            jitter_ms: 0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_ms: 10,
            rate_kbit: None,
        }
    }
}

impl Fault {
    /// Whether dice decide what becomes of a frame.
    pub fn is_by_chance(&self) -> bool {
        self.loss > 0.0 || self.jitter_ms > 0 || self.duplicate > 0.0 || self.reorder > 0.0
    }
}

/// What is to change about a link; the rest stays. All but `up` are options of `relix fault link` as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
pub struct FaultChange {
    /// True ends all faults that the link has so far.
    #[arg(skip)]
    pub up: Option<bool>,
    /// Share of frames lost, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub loss: Option<f64>,
    /// Delay of each frame, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub delay_ms: Option<u64>,
    /// Random addition to the delay, up to this: frames pass each other.
    #[arg(long, value_name = "MS")]
    pub jitter_ms: Option<u64>,
    /// Share of frames sent twice, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub duplicate: Option<f64>,
    /// Share of frames held back, 0 to 1, while those behind them pass.
    #[arg(long, value_name = "SHARE")]
    pub reorder: Option<f64>,
    /// How long those are held back, in milliseconds [default: 10]
    #[arg(long, value_name = "MS")]
    pub reorder_ms: Option<u64>,
    /// Carries so much, in kbit/s; 128 KiB wait, and what comes then is lost.
    #[arg(long, value_name = "RATE")]
    pub rate_kbit: Option<u64>,
}

impl FaultChange {
    /// The fault that `fault` becomes.
    pub fn of(&self, fault: Fault) -> Fault {
        let fault = if self.up == Some(true) { Fault::default() } else { fault };
        Fault {
            up: self.up.unwrap_or(fault.up),
            loss: self.loss.unwrap_or(fault.loss),
            delay_ms: self.delay_ms.unwrap_or(fault.delay_ms),
            jitter_ms: self.jitter_ms.unwrap_or(fault.jitter_ms),
            duplicate: self.duplicate.unwrap_or(fault.duplicate),
            reorder: self.reorder.unwrap_or(fault.reorder),
            reorder_ms: self.reorder_ms.unwrap_or(fault.reorder_ms),
            rate_kbit: self.rate_kbit.or(fault.rate_kbit),
        }
    }

    /// An error if it changes nothing, or a value is not one that it may have.
    pub fn check(&self) -> Result<(), Failure> {
        if *self == FaultChange::default() {
            let why =
                "say what is to become of the link, as --loss 0.1 or --down: see 'relix fault link --help'";
            return Err(Failure::Argument(why.into()));
        }
        let shares = [("loss", self.loss), ("duplicate", self.duplicate), ("reorder", self.reorder)];
        for (name, share) in shares {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(Failure::Argument(format!("--{name} is a share from 0 to 1, not {share}")));
            }
        }
        let numbers = [
            ("delay-ms", self.delay_ms, MILLIS_RANGE),
            ("jitter-ms", self.jitter_ms, MILLIS_RANGE),
            ("reorder-ms", self.reorder_ms, 1..=*MILLIS_RANGE.end()),
            ("rate-kbit", self.rate_kbit, RATE_KBIT_RANGE),
        ];
        for (name, number, range) in numbers {
            if let Some(number) = number.filter(|number| !range.contains(number)) {
                let (least, most) = range.into_inner();
                return Err(Failure::Argument(format!("--{name} is {least} to {most}, not {number}")));
            }
        }
        Ok(())
    }
}

/// What has come of a link's frames since the fabric began. Of a frame that arrives twice, both copies count:
/// `sent + duplicated = arrived + lost + dropped + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Frames that were meant for the link's end.
    pub sent: u64,
    /// Frames that came to its end.
    pub arrived: u64,
    /// Bytes of these.
    pub arrived_bytes: u64,
    /// Frames that met a cut or a link that was down, or were lost by chance.
    pub lost: u64,
    /// Frames that found a queue full.
    pub dropped: u64,
    /// Copies that were made.
    pub duplicated: u64,
    /// Frames that were held back.
    pub reordered: u64,
    /// Frames that are on their way.
    pub in_flight: u64,
    /// Of those that arrived, how many nobody took: the node was down, or did not keep up.
    pub untaken: u64,
}

/// Why a link carries nothing, or that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// It carries frames, as its fault lets it.
    Up,
    /// It was taken down.
    Down,
    /// A partition cuts it.
    Cut,
    /// The network card at an end of it is unplugged.
    Unplugged,
}

/// A line of `relix fault links`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    pub fabric: u8,
    pub from: Port,
    pub to: Port,
    pub state: LinkState,
    #[serde(flatten)]
    pub fault: Fault,
    #[serde(flatten)]
    pub counters: LinkCounters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_meant_where_it_is_named() {
        let all = LinkSelection::default();
        assert!(all.has(1, 2) && !all.has(0, 2) && !all.has(2, 0));
        let pair = LinkSelection::between(0, 2);
        assert!(pair.has(0, 2) && pair.has(2, 0) && !pair.has(1, 2) && !pair.has(0, 1));
        let one_way = LinkSelection { from: Some(2), to: Some(3), ..LinkSelection::default() };
        assert!(one_way.has(2, 3) && !one_way.has(3, 2) && !one_way.has(2, 1));
        let leaving = LinkSelection { from: Some(2), ..LinkSelection::default() };
        assert!(leaving.has(2, 1) && leaving.has(2, 3) && !leaving.has(1, 2) && !leaving.has(2, 0));
        assert!(LinkSelection::between(2, 2).check().is_err());
    }

    #[test]
    fn only_what_is_said_changes_and_up_mends() {
        let slow = FaultChange { delay_ms: Some(5), rate_kbit: Some(100), ..FaultChange::default() };
        let lossy = FaultChange { loss: Some(0.5), ..FaultChange::default() };
        let fault = lossy.of(slow.of(Fault::default()));
        assert_eq!((fault.delay_ms, fault.loss, fault.rate_kbit), (5, 0.5, Some(100)));
        let down = FaultChange { up: Some(false), ..FaultChange::default() };
        assert_eq!(down.of(fault), Fault { up: false, ..fault });
        let mended = FaultChange { up: Some(true), ..lossy };
        assert_eq!(mended.of(down.of(fault)), lossy.of(Fault::default()));
    }

    #[test]
    fn a_change_says_what_is_wrong_with_it() {
        let none = FaultChange::default();
        let wrong = [
            (none, "--loss 0.1"),
            (FaultChange { loss: Some(1.5), ..none }, "--loss is a share from 0 to 1, not 1.5"),
            (FaultChange { reorder: Some(f64::NAN), ..none }, "--reorder"),
            (FaultChange { duplicate: Some(-0.1), ..none }, "--duplicate"),
            (FaultChange { rate_kbit: Some(0), ..none }, "--rate-kbit is 1 to 100000000, not 0"),
            (FaultChange { reorder_ms: Some(0), ..none }, "--reorder-ms is 1 to 60000, not 0"),
            (FaultChange { delay_ms: Some(60_001), ..none }, "--delay-ms is 0 to 60000, not 60001"),
        ];
        for (change, words) in wrong {
            let said = change.check().expect_err(words).to_string();
            assert!(said.contains(words), "{said}");
        }
        assert!(FaultChange { loss: Some(1.0), delay_ms: Some(0), ..none }.check().is_ok());
    }
}
