//! `relix image inspect`: what is on a disk that no node runs on. Nothing is written.

use std::path::Path;

use cluster_format::{Planted, Version};
use cluster_journal::{Identity, Journal, JournalError, JournalEvent, SUPERBLOCK_LEN, heading};
use drivers_api::{DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest};
use drivers_gpt::{BIOS_BOOT, EFI_SYSTEM, Guid, RELIX_DATA, Table};

use crate::error::Failure;
use crate::image::SECTOR_LEN;
use crate::image::file::DiskFile;
use crate::table;

/// What a request of the journal may carry: as a virtio disk has it.
const TRANSFER_LEN_MAX: usize = 1 << 20;

/// Runs it.
pub fn run(path: &Path) -> Result<(), Failure> {
    let file = DiskFile::open(path)?;
    let wrong = |problem: String| Failure::Argument(format!("{}: {problem}", path.display()));
    println!("{}: {}, {} MiB", path.display(), file.format(), mebibytes(file.sectors()));
    let data = match file.table()? {
        None => Part { file: &file, first: 0, sectors: file.sectors() },
        Some(found) => {
            print!("\n{}", partitions(&found.table));
            if let Some(copy) = found.damaged {
                println!(
                    "The {copy} copy of the partition table is damaged or late: the next start writes it anew."
                );
            }
            let data = found.table.find(RELIX_DATA).map_err(|error| wrong(error.to_string()))?;
            Part { file: &file, first: data.first, sectors: data.sectors() }
        }
    };
    print!("\n{}", data.describe(path)?);
    Ok(())
}

fn mebibytes(sectors: u64) -> String {
    ((sectors * SECTOR_LEN) >> 20).to_string()
}

fn kind(kind: Guid) -> String {
    match kind {
        BIOS_BOOT => "BIOS boot".into(),
        EFI_SYSTEM => "EFI system".into(),
        RELIX_DATA => "Relix data".into(),
        other => other.to_string(),
    }
}

fn partitions(table: &Table) -> String {
    let header = ["partition", "type", "name", "first sector", "sectors", "MiB"].map(String::from);
    let row = |(number, part): (u32, drivers_gpt::Partition)| {
        let (first, sectors) = (part.first.to_string(), part.sectors());
        let cells =
            [number.to_string(), kind(part.kind), part.name, first, sectors.to_string(), mebibytes(sectors)];
        cells.into_iter().map(Some).collect()
    };
    table::layout(&header, &(1..).zip(table.partitions()).map(row).collect::<Vec<_>>())
}

/// A part of a disk, with a node's data.
struct Part<'a> {
    file: &'a DiskFile,
    first: u64,
    sectors: u64,
}

/// What a journal says while it is opened.
#[derive(Default)]
struct Ledger {
    begins_behind: Version,
    ends_with: Version,
    term: u64,
    commit: Version,
    root: Vec<u8>,
    /// Whether there was nothing, and a node would format it.
    is_blank: bool,
    damaged_regions: u64,
}

impl Part<'_> {
    fn read(&self, sector: u64, bytes: &mut [u8]) -> Result<(), Failure> {
        let end = sector.saturating_add(bytes.len() as u64 / SECTOR_LEN);
        match end <= self.sectors {
            true => self.file.read(self.first + sector, bytes),
            false => Err(Failure::Argument("the disk ends too early: copy it again".into())),
        }
    }

    /// All that can be said without running a node.
    fn describe(&self, path: &Path) -> Result<String, Failure> {
        let wrong = |error: JournalError| Failure::Argument(format!("{}: {error}", path.display()));
        let heading = heading(|sector| {
            let mut bytes = vec![0; SUPERBLOCK_LEN];
            self.read(sector, &mut bytes).ok().map(|()| bytes.into())
        });
        let heading = heading.map_err(wrong)?;
        let nobody =
            Identity { cluster_name: String::new(), node: cluster_format::NodeId(1), founders: None };
        let identity = heading.as_ref().map_or(nobody, |heading| heading.identity.clone());
        let ledger = self.ledger(identity).map_err(wrong)?;
        let mut rows: Vec<(&str, String)> = Vec::new();
        match heading {
            Some(heading) if !ledger.is_blank => {
                rows.push(("format", heading.format.to_string()));
                rows.push(("cluster", heading.identity.cluster_name));
                rows.push(("node", heading.identity.node.0.to_string()));
                rows.push(("MiB in use by the node", mebibytes(heading.sectors)));
                rows.push(("term", ledger.term.to_string()));
                rows.push(("ledger", ledger.range()));
                rows.push(("committed, at least", ledger.commit.0.to_string()));
                rows.extend(ledger.tables());
                if ledger.damaged_regions > 0 {
                    rows.push(("damaged places in the ledger", ledger.damaged_regions.to_string()));
                }
            }
            _ => rows.push(("state", "blank".into())),
        }
        let rows: Vec<_> =
            rows.into_iter().map(|(name, value)| vec![Some(name.into()), Some(value)]).collect();
        Ok(table::layout(&["data".into(), "value".into()], &rows))
    }

    /// Opens the journal as a node does, but for what it would write: that is dropped.
    fn ledger(&self, identity: Identity) -> Result<Ledger, JournalError> {
        let geometry =
            DiskGeometry { sectors: self.sectors, queue_depth: 8, transfer_len_max: TRANSFER_LEN_MAX };
        let mut journal = Journal::open(geometry, identity, 1, Planted::NONE)?;
        let mut ledger = Ledger::default();
        loop {
            journal.recover();
            let requests = journal.take_requests();
            if requests.is_empty() {
                return Ok(ledger);
            }
            for request in requests {
                journal.completed(self.serve(request))?;
                journal.take_events().into_iter().for_each(|event| ledger.note(event));
            }
        }
    }

    fn serve(&self, request: DiskRequest) -> DiskCompletion {
        let DiskRequest { id, mut operation } = request;
        let result = match &mut operation {
            DiskOperation::Read { sector, buffer } => {
                self.read(*sector, buffer).map_err(|_| DiskError::Device)
            }
            DiskOperation::Write { .. } | DiskOperation::Flush => Ok(()),
        };
        DiskCompletion { id, operation, result }
    }
}

impl Ledger {
    fn note(&mut self, event: JournalEvent) {
        match event {
            JournalEvent::Begins(beginning) => {
                self.begins_behind = beginning.base.position.version;
                self.ends_with = self.begins_behind;
                (self.term, self.commit) = (beginning.state.term, beginning.state.commit);
                self.root = beginning.root;
            }
            JournalEvent::Recovered(record) => {
                self.ends_with = record.end.position.version;
                self.term = self.term.max(record.state.term);
                self.commit = self.commit.max(record.state.commit);
            }
            JournalEvent::Opened { formatted, damaged_regions, .. } => {
                (self.is_blank, self.damaged_regions) = (formatted, damaged_regions);
            }
            _ => {}
        }
    }

    /// The versions that are in the journal.
    fn range(&self) -> String {
        match self.begins_behind < self.ends_with {
            true => format!("versions {} to {}", self.begins_behind.0 + 1, self.ends_with.0),
            false => format!("empty, behind version {}", self.begins_behind.0),
        }
    }

    fn tables(&self) -> Vec<(&'static str, String)> {
        let Some((through, membership)) = cluster_store::root_says(&self.root) else {
            return vec![("tables", if self.root.is_empty() { "none yet".into() } else { "damaged".into() })];
        };
        let ids = |members: &[cluster_format::Member]| {
            members.iter().map(|member| member.node.0.to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut rows = vec![
            ("tables", format!("version {}", through.last.version.0)),
            ("voters", ids(&membership.voters)),
        ];
        if !membership.learners.is_empty() {
            rows.push(("learners", ids(&membership.learners)));
        }
        rows
    }
}
