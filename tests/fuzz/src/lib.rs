//! Any bytes, guided by coverage, for whatever reads what cannot be trusted: disks, peers, clients.
//!
//! A [`Target`] takes bytes and must return: no panic, no overflow, no memory beyond a bound, no endless loop. Where a
//! checksum stands before a decoder, the target computes it, so that what is behind it is reached.

#![forbid(unsafe_code)]

mod clients;
mod config_drive;
mod disk;
mod input;
mod journal;
mod partitions;
mod peers;
mod programs;
mod store;
mod throughput;
mod tree;
mod values;

/// One thing that is fed.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// What it feeds.
    pub about: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Bytes to begin with, made by what writes such bytes.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// The longest bytes that are worth trying.
    pub len_max: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "tree-block",
        about: "a block of records, both ways and by position",
        run: tree::frames::block,
        seeds: tree::seeds::blocks,
        len_max: 2048,
    },
    Target {
        name: "tree-frame",
        about: "a frame behind a right checksum, and what its payload is then taken for",
        run: tree::frames::frame,
        seeds: tree::seeds::frames,
        len_max: 10_000,
    },
    Target {
        name: "tree-manifest",
        about: "a list of tables and a root, and what is looked up in them",
        run: tree::frames::manifest,
        seeds: tree::seeds::manifests,
        len_max: 2048,
    },
    Target {
        name: "tree-table",
        about: "tables whose heads and frames are any bytes: reads, scans and merges",
        run: tree::tables::read_tables,
        seeds: tree::seeds::tables,
        len_max: 4096,
    },
    Target {
        name: "tree-disk",
        about: "a disk with any frames behind right checksums: opened, written, merged, scrubbed, sent to another",
        run: tree::disks::disk,
        seeds: tree::seeds::disks,
        len_max: 4096,
    },
    Target {
        name: "tree-transfer",
        about: "tables that another node sends: their list, and their pieces",
        run: tree::disks::transfer,
        seeds: tree::seeds::transfers,
        len_max: 8192,
    },
    Target {
        name: "journal-disk",
        about: "a disk of any bytes behind a superblock, then written and opened again",
        run: journal::disk,
        seeds: journal::seeds,
        len_max: 8192,
    },
    Target {
        name: "partitions",
        about: "a disk's partition tables with any changes, behind right checksums or not: found, and grown",
        run: partitions::table,
        seeds: partitions::seeds,
        len_max: 1024,
    },
    Target {
        name: "config-drive",
        about: "a config drive with any changes in its descriptors, directories and file",
        run: config_drive::drive,
        seeds: config_drive::seeds,
        len_max: 2048,
    },
    Target {
        name: "store-tables",
        about: "the tables' root and mark, and entries that follow",
        run: store::tables,
        seeds: store::seeds,
        len_max: 2048,
    },
    Target {
        name: "peer-frames",
        about: "frames from the wire with right checksums: links between nodes, and TCP",
        run: peers::frames,
        seeds: peers::frame_seeds,
        len_max: 4096,
    },
    Target {
        name: "discovery-calls",
        about: "what machines say that look for their cluster, with right checksums",
        run: peers::calls,
        seeds: peers::call_seeds,
        len_max: 128,
    },
    Target {
        name: "time-answers",
        about: "what time servers answer, with the numbers of their questions",
        run: peers::times,
        seeds: peers::time_seeds,
        len_max: 512,
    },
    Target {
        name: "peer-messages",
        about: "what a node says to another",
        run: peers::message,
        seeds: peers::message_seeds,
        len_max: 1024,
    },
    Target {
        name: "peer-raft",
        about: "one of three members, told anything by the others",
        run: peers::raft,
        seeds: peers::raft_seeds,
        len_max: 2048,
    },
    Target {
        name: "client-messages",
        about: "Postgres messages, COPY data, rows, values as text and in binary",
        run: clients::messages,
        seeds: clients::message_seeds,
        len_max: 2048,
    },
    Target {
        name: "client-sql",
        about: "the parser",
        run: clients::sql,
        seeds: clients::sql_seeds,
        len_max: 2048,
    },
    Target {
        name: "client-http",
        about: "requests of HTTP: heads, bodies and what is answered",
        run: clients::http,
        seeds: clients::http_seeds,
        len_max: 2048,
    },
    Target {
        name: "program",
        about: "a module, which is run for a while if it is one: as a whole, and slice by slice",
        run: programs::program,
        seeds: programs::seeds,
        len_max: 4096,
    },
    Target {
        name: "values-numeric",
        about: "numbers: as text, from clients, in rows and keys",
        run: values::numbers,
        seeds: values::number_seeds,
        len_max: 512,
    },
    Target {
        name: "values-calendar",
        about: "dates, times and intervals: as text, by templates, in zones, from clients, in rows and keys",
        run: values::moments,
        seeds: values::moment_seeds,
        len_max: 256,
    },
    Target {
        name: "client-session",
        about: "a whole session on tables in memory: the protocol, planning, execution",
        run: clients::session,
        seeds: clients::session_seeds,
        len_max: 2048,
    },
    Target {
        name: "throughput",
        about: "requests of a measurement of the network, and its figures on a console",
        run: throughput::requests,
        seeds: throughput::seeds,
        len_max: 512,
    },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
