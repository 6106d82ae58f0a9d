//! The applied state: what the ledger amounts to so far.

mod transfer;

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Commit, Entry, Membership, Payload, RequestId, StateHash, Version, decode, encode};
use cluster_tree::{Grid, Patch, Tree, TreeEvent, TreeOptions};
use drivers_api::{DiskGeometry, SECTOR_SIZE};

use crate::history::History;
use crate::mark::{Mark, TablesRoot, parse_mark};
use crate::requests::Requests;
use crate::settings::Settings;
use crate::system::{SystemRows, has_system_keys, is_system_key};
use crate::{ApplyError, Conflict, ReadError, RequestState, Snapshot, TableId, TablesEvent, Through};

/// How tables are to be.
#[derive(Clone, Copy, Debug)]
pub struct TablesOptions {
    /// Bytes of the newest rows, which are in memory only. As many again are being written, or kept for the conflict
    /// check.
    pub memory_len_max: usize,
    /// Bytes of blocks that were read.
    pub cache_len_max: usize,
}

/// The tables at the newest applied version, with what the leader needs to decide about the next entry.
/// Rows, requests, members and settings are a function of the ledger alone, so equal on every node at equal version; how far
/// back versions can be read, and what is remembered of recent writes, is the node's own.
pub struct Tables {
    tree: Tree,
    grid: Grid,
    /// As the owner has set it: a small disk makes do with less.
    memory_len_max: usize,
    through: Through,
    membership: Arc<Membership>,
    /// They were restored at this version: what was written before is not in their memory.
    restored: Version,
    requests: Requests,
    /// What the requests amount to.
    requests_hash: StateHash,
    history: History,
    settings: Settings,
    /// What snapshots have read of the system's rows as they are now.
    system: Arc<SystemRows>,
    /// Bytes of tables that were read to see whether they are intact.
    scrubbed_len: u64,
    /// What was frozen last.
    frozen: Version,
    /// So much of the disk is taken that it is not given to older versions.
    is_crowded: bool,
    /// None of them can be read.
    are_lost: bool,
    /// The disk was too full for what was frozen, and nothing has been given back since.
    is_full: bool,
    events: Vec<TablesEvent>,
}

impl Tables {
    /// Empty tables that never leave memory.
    pub fn in_memory() -> Tables {
        let nothing = DiskGeometry { sectors: 0, queue_depth: 1, transfer_len_max: SECTOR_SIZE };
        let options = TablesOptions { memory_len_max: usize::MAX, cache_len_max: 0 };
        Tables::open(&nothing, 0, options, &[], 1, Membership::default())
    }

    /// The tables of `root`, the bytes that a [`TablesEvent::Root`] has given, or empty ones in a cluster with these
    /// founding members, on the part of a disk behind sector `start`; [`TablesEvent::Opened`] says when they are there.
    /// `random` must be drawn anew each time.
    pub fn open(
        geometry: &DiskGeometry,
        start: u64,
        options: TablesOptions,
        root: &[u8],
        random: u64,
        founding: Membership,
    ) -> Tables {
        let TablesOptions { memory_len_max, cache_len_max } = options;
        let grid = Grid::new(geometry, start, cache_len_max);
        let parsed: Option<TablesRoot> = decode(root).ok();
        let parsed = parsed.filter(|root| root.through.last.is_plausible());
        let is_malformed = parsed.is_none() && !root.is_empty();
        let (tree, through, membership) = match parsed {
            Some(TablesRoot { tree, through, membership }) => (Some(tree), through, membership),
            None => (None, Through::default(), Arc::new(founding)),
        };
        let tree_options = TreeOptions::usual(memory_len_max, grid.cells());
        Tables {
            tree: Tree::open(grid.clone(), tree_options, tree, random),
            grid,
            memory_len_max,
            through,
            membership,
            restored: through.last.version,
            requests: Requests::default(),
            requests_hash: StateHash::default(),
            history: History::default(),
            settings: Settings::default(),
            system: SystemRows::new(through.last.version),
            scrubbed_len: 0,
            frozen: through.last.version,
            is_crowded: false,
            are_lost: false,
            is_full: false,
            // What it then opens is empty: the owner does not go on with it.
            events: is_malformed.then_some(TablesEvent::NotOpened).into_iter().collect(),
        }
    }

    /// Where their requests for the disk come from, and completions go to.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Their disk has become larger, and has so many sectors now: what found no room begins again, and what was refused is
    /// taken.
    pub fn grow(&mut self, sectors: u64) {
        self.grid.grow(sectors);
        self.tree.set_options(TreeOptions::usual(self.memory_len_max, self.grid.cells()));
        self.is_full = false;
    }

    /// The newest applied version.
    pub fn version(&self) -> Version {
        self.through.last.version
    }

    /// The newest applied entry.
    pub fn through(&self) -> &Through {
        &self.through
    }

    /// The members as of that entry.
    pub fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// The settings as of that entry.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The state at [`Tables::version`].
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.version(), self.tree.snapshot(), self.system.clone())
    }

    /// What is remembered of requests amounts to: equal on every node at equal version.
    pub fn requests_hash(&self) -> StateHash {
        self.requests_hash
    }

    /// Whether nothing that was applied contradicts `commit`. Writes are remembered as long as they are in memory, and then
    /// until what came later takes their place there.
    pub fn check(&self, commit: &Commit) -> Result<(), Conflict> {
        let Commit { read_version, reads, deletes, writes, .. } = commit;
        if *read_version >= self.version() {
            return Ok(());
        }
        if *read_version < self.restored.max(self.tree.remembered()) {
            return Err(Conflict::TooOld);
        }
        let written = self.tree.written_since(*read_version, |written| {
            let read = reads.iter().chain(deletes).find_map(|range| written.inside(range));
            read.or_else(|| writes.iter().find_map(|write| written.at(&write.key)))
        });
        written.map_or(Ok(()), |version| Err(Conflict::Written(version)))
    }

    /// Bytes of rows that are in memory only.
    pub fn memory_len(&self) -> usize {
        self.tree.memory_len()
    }

    /// Bytes that tables take on the disk.
    pub fn disk_len(&self) -> u64 {
        self.tree.levels().disk_len()
    }

    /// How many files of the tree they are.
    pub fn files(&self) -> usize {
        self.tree.levels().tables().count()
    }

    /// The oldest version that can be read.
    pub fn oldest_version(&self) -> Version {
        self.tree.horizon()
    }

    /// Whether none of them is on the disk.
    pub fn are_in_memory(&self) -> bool {
        self.tree.levels().tables().next().is_none()
    }

    /// Whether none of them can be read, and what was applied is only known by [`Tables::through`] and
    /// [`Tables::membership`].
    pub fn are_lost(&self) -> bool {
        self.are_lost
    }

    /// Bytes of the disk that are free, and how many there are.
    pub fn disk_space(&self) -> (u64, u64) {
        (self.grid.free_len(), self.grid.len())
    }

    /// Whether memory can take more. If not, what comes is faster than the disk, or the disk is full.
    pub fn has_room(&self) -> bool {
        !self.tree.memory_is_full() || self.tree.can_freeze()
    }

    /// Whether the disk was too full for what is in memory.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Bytes that were read since they were opened to see whether they are intact.
    pub fn scrubbed_len(&self) -> u64 {
        self.scrubbed_len
    }

    /// Begins to read the next table, to see whether it is intact: [`TablesEvent::Damaged`] says if not. If nothing was
    /// written since the last call, merges what reads would have to look into one by one.
    pub fn scrub_next(&mut self) {
        self.tree.rest();
        self.tree.scrub_next();
    }

    /// Whether work is under way after which there may be more room.
    pub fn is_busy(&self) -> bool {
        !self.tree.is_settled()
    }

    /// Whether the disk is so full that `len` bytes more may only be committed if they make room.
    pub fn is_nearly_full(&self, len: usize) -> bool {
        self.is_full || self.tree.is_nearly_full(len)
    }

    /// Does what can be done; whether more can be done at once.
    pub fn advance(&mut self) -> bool {
        if self.tree.memory_is_full() {
            self.freeze();
        }
        let more = self.tree.advance();
        self.note_space();
        for event in self.tree.take_events() {
            match event {
                TreeEvent::Opened(mark) if mark.is_empty() => self.events.push(TablesEvent::Opened),
                TreeEvent::Opened(mark) => {
                    let is_known = self.restore(&mark);
                    self.events.push(match is_known {
                        true => TablesEvent::Opened,
                        false => TablesEvent::NotOpened,
                    });
                }
                TreeEvent::NotOpened(error) => {
                    self.are_lost = true;
                    self.events.push(TablesEvent::Lost(error));
                }
                TreeEvent::Replaced(mark) => {
                    // It was looked at before it was taken.
                    self.restore(&mark);
                    self.events.push(TablesEvent::Replaced);
                }
                TreeEvent::Root { root, mark, is_replacement } => {
                    // Only that of the tables' own marks is ever there.
                    let Some(Mark { through, membership, .. }) = parse_mark(&mark) else { continue };
                    let root = encode(&TablesRoot { tree: root, through, membership });
                    self.events.push(TablesEvent::Root { root, through, is_replacement });
                }
                TreeEvent::Full => {
                    if !core::mem::replace(&mut self.is_full, true) {
                        self.events.push(TablesEvent::Full);
                    }
                }
                TreeEvent::Scrubbed(scrubbed) => {
                    self.scrubbed_len += scrubbed.sectors * SECTOR_SIZE as u64;
                    if scrubbed.damaged.is_empty() {
                        self.events.push(TablesEvent::Intact(scrubbed.table));
                    } else if self.tree.has(scrubbed.table) {
                        self.events.push(TablesEvent::Damaged(scrubbed));
                    }
                }
                TreeEvent::Mended(table) => self.events.push(TablesEvent::Mended(table)),
                TreeEvent::NotMended(error) => self.events.push(TablesEvent::NotMended(error)),
                TreeEvent::Failed(error) => self.events.push(TablesEvent::Failed(error)),
            }
        }
        more
    }

    /// Somebody has met damage: unless that is known, or of a table that is no longer one of them, [`TablesEvent::Damaged`]
    /// says all that is lost with it.
    pub fn suspect(&mut self, error: &ReadError) {
        self.tree.suspect(error);
    }

    /// Whether this table is one of them.
    pub fn has(&self, table: TableId) -> bool {
        self.tree.has(table)
    }

    /// Whether one of them is known to have lost something.
    pub fn is_damaged(&self) -> bool {
        self.tree.is_damaged()
    }

    /// Begins to write a table anew that has lost something, with what the patches bring, as [`Tree::mend`] does.
    pub fn mend(&mut self, patches: Vec<Patch>) {
        self.tree.mend(patches);
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<TablesEvent> {
        core::mem::take(&mut self.events)
    }

    /// The root that was handed out last is durable.
    pub fn root_durable(&mut self) {
        self.is_full = false;
        self.tree.root_durable();
    }

    /// Begins to write what is in memory only, if there is anything and nothing is being written; whether all that was
    /// applied is in tables, or on its way there.
    pub fn freeze(&mut self) -> bool {
        if self.frozen < self.version() && self.tree.can_freeze() {
            let mark = Mark {
                through: self.through,
                membership: self.membership.clone(),
                requests: self.requests.to_list(),
                history: self.history.clone(),
                settings: self.settings.clone(),
            };
            self.frozen = self.version();
            self.tree.freeze(encode(&mark).into());
        }
        self.frozen == self.version()
    }

    /// Goes on from where the tables with this mark are.
    fn restore(&mut self, mark: &[u8]) -> bool {
        let Some(mark) = parse_mark(mark) else { return false };
        let Mark { through, membership, requests, history, settings } = mark;
        self.restored = through.last.version;
        self.system = SystemRows::new(through.last.version);
        (self.requests, self.requests_hash) = Requests::from_list(&requests);
        (self.through, self.membership) = (through, membership);
        (self.history, self.settings) = (history, settings);
        self.frozen = through.last.version;
        (self.is_full, self.are_lost) = (false, false);
        true
    }

    /// Applies the next entry.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        let expected = self.version().next();
        if entry.version != expected {
            return Err(ApplyError { expected, found: entry.version });
        }
        self.through = Through { last: entry.position(), digest: entry.digest() };
        match &entry.payload {
            Payload::Commit(commit) => self.apply_commit(entry.version, commit),
            Payload::Membership(membership) => self.membership = membership.clone(),
            Payload::TermStart => {}
        }
        let (retention, now) = (self.settings.retention_micros(), entry.wall_micros);
        self.history.note(now, entry.version, retention);
        let needed_from = if self.is_crowded { i64::MAX } else { now.saturating_sub(retention) };
        self.tree.set_horizon(self.history.horizon(needed_from, entry.version));
        Ok(())
    }

    /// Finds out whether there is room for older versions.
    fn note_space(&mut self) {
        let (free, all) = self.disk_space();
        self.is_crowded = all.saturating_sub(free) > all / 100 * self.settings.retention_disk_share();
    }

    fn apply_commit(&mut self, version: Version, commit: &Commit) {
        for range in &commit.deletes {
            self.tree.delete_range(range, version);
            if self.settings.note_deleted(range) {
                self.note_space();
            }
        }
        for write in &commit.writes {
            self.tree.add(&write.key, version, write.value.clone());
            if self.settings.note(write) {
                self.note_space();
            }
        }
        let writes_system = commit.writes.iter().any(|write| is_system_key(&write.key));
        if writes_system || commit.deletes.iter().any(has_system_keys) {
            self.system = SystemRows::new(version);
        }
        self.requests_hash = self.requests.note(self.requests_hash, version, commit.request);
    }

    /// What is known of `request`.
    pub fn request_state(&self, request: RequestId) -> RequestState {
        self.requests.state(request)
    }

    /// The version up to which requests may have been forgotten: one that began later is remembered if it
    /// was applied.
    pub fn requests_horizon(&self) -> Version {
        self.requests.horizon()
    }

    /// Loses the last of the rows that are in memory, as a test build may by mistake.
    #[cfg(feature = "mistakes")]
    pub fn lose_row(&mut self) {
        if let Some(key) = self.tree.last_in_memory() {
            self.tree.add(&key, self.version(), None);
        }
    }

    /// Forgets all requests, as a test build may by mistake.
    #[cfg(feature = "mistakes")]
    pub fn forget_requests(&mut self) {
        self.requests = Requests::default();
    }
}
