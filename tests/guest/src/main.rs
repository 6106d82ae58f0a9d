//! The first process of a Linux guest: loads the modules that it is given, gives the network card its address, is one end
//! of a measurement of the network (`cluster-throughput`), and switches off.
//!
//! Its arguments, which the kernel takes from its command line behind `--`: the role, as [`Role::parse`] takes it, and the
//! address.

#![forbid(unsafe_code)]

mod address;
mod sockets;

use std::fs::{self, File};
use std::net::Ipv4Addr;

use cluster_throughput::Role;

/// Where modules are, named in the order in which they are to be loaded.
const MODULES: &str = "/modules";

/// Bits of the network's prefix.
const PREFIX_LEN: u8 = 24;

fn load_modules() -> Result<(), String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let entries = fs::read_dir(MODULES).map_err(|error| failed(MODULES, &error))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|error| failed(&name, &error))?;
        rustix::system::finit_module(&file, c"", 0).map_err(|error| failed(&name, &error))?;
    }
    Ok(())
}

fn run() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [role, ip] = &words[..] else { return Err(format!("{words:?} are not a role and an address")) };
    let role = Role::parse(role).ok_or_else(|| format!("'{role}' is no role"))?;
    let ip: Ipv4Addr = ip.parse().map_err(|error| format!("{ip}: {error}"))?;
    load_modules()?;
    address::set(c"eth0", ip, PREFIX_LEN).map_err(|error| format!("eth0 gets no address: {error}"))?;
    match role {
        Role::Serve => sockets::serve(ip),
        Role::Ask(server) => sockets::ask(server),
    }
}

fn main() {
    if let Err(error) = run() {
        println!("the guest has failed: {error}");
    }
    // The kernel would panic if its first process ended.
    let _ = rustix::system::reboot(rustix::system::RebootCommand::PowerOff);
}
