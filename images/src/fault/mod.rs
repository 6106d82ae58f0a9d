//! `relix fault`: what is to break, or to be mended, and how the links are.

mod listing;
mod options;

use crate::control::{self, Answer, Captured, FaultOrder, Order};
use crate::error::Failure;
use crate::layout::Layout;

pub use self::options::FaultCommand;

/// Runs `relix fault`.
pub fn run(layout: &Layout, command: FaultCommand) -> Result<(), Failure> {
    let order = match command {
        FaultCommand::Kill { node } => FaultOrder::Kill { node },
        FaultCommand::Restart { node } => FaultOrder::Restart { node },
        FaultCommand::Pause { node } => FaultOrder::Pause { node },
        FaultCommand::Resume { node } => FaultOrder::Resume { node },
        FaultCommand::Disk { node, iops } => FaultOrder::Disk { node, iops },
        FaultCommand::Clock { node, ahead_s } => FaultOrder::Clock { node, ahead_s },
        FaultCommand::Links { json } => return listing::print(&control::links(layout)?, json),
        FaultCommand::Network(command) => FaultOrder::Network(command.try_into()?),
    };
    say_captured(&control::send(layout, &Order::Fault(order))?);
    Ok(())
}

/// Says what a capture has come to, where that is the answer.
pub fn say_captured(answer: &Answer) {
    let Answer::Captured(Captured { path, frames, lost }) = answer else { return };
    println!("{frames} frames are in {}.", path.display());
    if *lost > 0 {
        println!("{lost} frames are not: they came faster than they could be written.");
    }
}
