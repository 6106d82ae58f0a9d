//! The tree that tables live in.

pub mod disks;
pub mod frames;
pub mod seeds;
pub mod tables;
