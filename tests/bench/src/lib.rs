//! How fast a cluster is, as a client on the same machine sees it: three VMs, three host processes, and a
//! single PostgreSQL where one is installed, in one run, one after the other.
//!
//! 1. **Honest work.** Every insert has a new key and a new value, and is acknowledged only when durable; the
//!    peer runs with fsync on, on the same disk.
//! 2. **The setup is in the header**, and figures that are quoted are marked as such.
//! 3. **Ratios over absolutes.** The machine is shared: what counts is the ratio within one run.

#![forbid(unsafe_code)]

pub mod chance;
pub mod load;
pub mod relix;
pub mod report;
pub mod spread;
