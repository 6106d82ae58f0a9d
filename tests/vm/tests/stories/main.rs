//! Stories of whole clusters: three VMs of one image, or three host processes, told by the real command.
//!
//! Each story prints what it measured. `cargo test -p tests-vm -- --nocapture` shows it.

mod backups;
mod bad_input;
mod config_drive;
mod connections;
mod dhcp;
mod failover;
mod full_disk;
mod hostile;
mod idle;
mod images;
mod machine;
mod maintenance;
mod membership;
mod network;
mod selftest;
mod services;
mod serving;
mod tables;
mod time;
mod workloads;
