//! What files are to do, written down in the simplest way: a file system in memory.

use alloc::collections::BTreeMap;

use super::*;

/// A file, a directory or a symbolic link.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) what: What,
    pub(super) mode: u32,
    pub(super) owner: &'static str,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    File(Vec<u8>),
    Directory(BTreeMap<String, usize>),
    Link(String),
}

/// All of them; the first is the root. Those that are gone are none.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: Vec<Option<Node>>,
    /// Of [`LIMITED`]: bytes and files.
    pub(super) bytes_max: i64,
    pub(super) files_max: i64,
}

/// The owner that has a quota.
pub(super) const LIMITED: &str = "limited";

/// Where a path leads: a directory and the name in it, unless it is called otherwise; and what is there.
struct Spot {
    directory: usize,
    name: Option<String>,
    node: Option<usize>,
    slash: bool,
}

type Done<T> = Result<T, Problem>;

impl Model {
    pub(super) fn new(bytes_max: i64, files_max: i64) -> Model {
        let root = Node { what: What::Directory(BTreeMap::new()), mode: 0o755, owner: "relix" };
        Model { nodes: [Some(root)].into(), bytes_max, files_max }
    }

    pub(super) fn node(&self, id: usize) -> &Node {
        self.nodes[id].as_ref().expect("it is there")
    }

    fn node_mut(&mut self, id: usize) -> &mut Node {
        self.nodes[id].as_mut().expect("it is there")
    }

    fn entries(&self, id: usize) -> Option<&BTreeMap<String, usize>> {
        if let What::Directory(entries) = &self.node(id).what { Some(entries) } else { None }
    }

    fn entries_mut(&mut self, id: usize) -> &mut BTreeMap<String, usize> {
        if let What::Directory(entries) = &mut self.node_mut(id).what {
            entries
        } else {
            panic!("no directory")
        }
    }

    fn is_directory(&self, id: usize) -> bool {
        self.entries(id).is_some()
    }

    pub(super) fn len(&self, id: usize) -> usize {
        match &self.node(id).what {
            What::File(bytes) => bytes.len(),
            What::Directory(_) => 0,
            What::Link(target) => target.len(),
        }
    }

    /// The directories, and what is in them.
    fn all_entries(&self) -> impl Iterator<Item = (usize, &String, usize)> {
        let directories = (0..self.nodes.len()).filter(|id| self.nodes[*id].is_some());
        let entries = directories.filter_map(|id| Some((id, self.entries(id)?)));
        entries.flat_map(|(id, entries)| entries.iter().map(move |(name, entry)| (id, name, *entry)))
    }

    fn parent(&self, id: usize) -> usize {
        self.all_entries().find(|(_, _, entry)| *entry == id).map_or(0, |(parent, _, _)| parent)
    }

    pub(super) fn names(&self, id: usize) -> usize {
        if id == 0 { 1 } else { self.all_entries().filter(|(_, _, entry)| *entry == id).count() }
    }

    /// Bytes and files of the owner that has a quota.
    pub(super) fn used(&self) -> (i64, i64) {
        let ids = (0..self.nodes.len()).filter(|id| self.nodes[*id].is_some());
        let limited = ids.filter(|id| self.node(*id).owner == LIMITED);
        limited.fold((0, 0), |(bytes, files), id| (bytes + self.len(id) as i64, files + 1))
    }

    /// Whether there is room for so many more.
    fn charge(&self, owner: &str, bytes: i64, files: i64) -> Done<()> {
        let (bytes_used, files_used) = self.used();
        let exceeded = |max, unit| Err(Problem::QuotaExceeded { owner: LIMITED.into(), max, unit });
        match () {
            () if owner != LIMITED => Ok(()),
            () if bytes > 0 && bytes_used + bytes > self.bytes_max => exceeded(self.bytes_max, "bytes"),
            () if files > 0 && files_used + files > self.files_max => exceeded(self.files_max, "files"),
            () => Ok(()),
        }
    }

    /// Takes away what nothing has a name of.
    fn sweep(&mut self) {
        loop {
            let here = (1..self.nodes.len()).filter(|id| self.nodes[*id].is_some());
            let Some(gone) = here.into_iter().find(|id| self.names(*id) == 0) else { return };
            self.nodes[gone] = None;
        }
    }

    fn spot(&self, from: usize, path: &str, follow: bool, hops: &mut usize) -> Done<Spot> {
        let mut here = if path.starts_with('/') { 0 } else { from };
        let slash = path.ends_with('/');
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let Some((last, firsts)) = names.split_last() else {
            return Ok(Spot { directory: here, name: None, node: Some(here), slash });
        };
        for name in firsts {
            here = self.enter(here, name, hops)?;
        }
        let node = match *last {
            "." | ".." => {
                let node = if *last == "." { here } else { self.parent(here) };
                return Ok(Spot { directory: node, name: None, node: Some(node), slash });
            }
            name => self.entries(here).and_then(|entries| entries.get(name).copied()),
        };
        let mut spot = Spot { directory: here, name: Some(last.to_string()), node, slash };
        if let (Some(node), true) = (node, follow)
            && let What::Link(target) = &self.node(node).what
        {
            self.hop(hops)?;
            spot = self.spot(here, target, true, hops)?;
            spot.slash |= slash;
        }
        if spot.slash && spot.node.is_some_and(|node| !self.is_directory(node)) {
            return Err(Problem::NotDirectory);
        }
        Ok(spot)
    }

    fn hop(&self, hops: &mut usize) -> Done<()> {
        *hops += 1;
        if *hops > HOPS_MAX { Err(Problem::TooManyLinks) } else { Ok(()) }
    }

    fn enter(&self, here: usize, name: &str, hops: &mut usize) -> Done<usize> {
        let node = match name {
            "." => return Ok(here),
            ".." => return Ok(self.parent(here)),
            name => self.entries(here).and_then(|entries| entries.get(name)),
        };
        let mut node = *node.ok_or(Problem::NotFound)?;
        if let What::Link(target) = &self.node(node).what {
            self.hop(hops)?;
            node = self.spot(here, target, true, hops)?.node.ok_or(Problem::NotFound)?;
        }
        if self.is_directory(node) { Ok(node) } else { Err(Problem::NotDirectory) }
    }

    fn at(&self, path: &str, follow: bool) -> Done<Spot> {
        self.spot(0, path, follow, &mut 0)
    }

    fn found(&self, path: &str) -> Done<usize> {
        self.at(path, true)?.node.ok_or(Problem::NotFound)
    }

    fn file(&self, path: &str) -> Done<usize> {
        let id = self.found(path)?;
        if self.is_directory(id) { Err(Problem::IsDirectory) } else { Ok(id) }
    }

    fn make(&mut self, spot: Spot, what: What, mode: u32, owner: &'static str) -> Done<()> {
        let name = match spot {
            Spot { node: Some(_), .. } => return Err(Problem::Exists),
            Spot { slash: true, .. } if matches!(what, What::File(_)) => return Err(Problem::IsDirectory),
            Spot { slash: true, .. } if matches!(what, What::Link(_)) => return Err(Problem::NotFound),
            Spot { name, .. } => name.expect("what has no name is there"),
        };
        let len = if let What::Link(target) = &what { target.len() as i64 } else { 0 };
        self.charge(owner, len, 1)?;
        self.nodes.push(Some(Node { what, mode, owner }));
        let id = self.nodes.len() - 1;
        self.entries_mut(spot.directory).insert(name, id);
        Ok(())
    }

    pub(super) fn create(&mut self, path: &str, owner: &'static str, exclusive: bool) -> Done<()> {
        let spot = self.at(path, !exclusive)?;
        match spot.node {
            Some(id) if !exclusive && self.is_directory(id) => Err(Problem::IsDirectory),
            Some(_) if !exclusive => Ok(()),
            _ => self.make(spot, What::File(Vec::new()), 0o644, owner),
        }
    }

    pub(super) fn make_directory(&mut self, path: &str, owner: &'static str) -> Done<()> {
        let spot = self.at(path, false)?;
        self.make(spot, What::Directory(BTreeMap::new()), 0o644, owner)
    }

    pub(super) fn symlink(&mut self, target: &str, path: &str) -> Done<()> {
        let spot = self.at(path, false)?;
        self.make(spot, What::Link(target.into()), 0o777, "relix")
    }

    pub(super) fn link(&mut self, path: &str, new: &str) -> Done<()> {
        let id = self.at(path, false)?.node.ok_or(Problem::NotFound)?;
        if self.is_directory(id) {
            return Err(Problem::NotPermitted);
        }
        let spot = self.at(new, false)?;
        match (spot.node, spot.name) {
            (Some(_), _) => Err(Problem::Exists),
            (None, Some(name)) if !spot.slash => {
                self.entries_mut(spot.directory).insert(name, id);
                Ok(())
            }
            _ => Err(Problem::NotFound),
        }
    }

    pub(super) fn rename(&mut self, path: &str, new: &str) -> Done<()> {
        let from = self.at(path, false)?;
        let id = from.node.ok_or(Problem::NotFound)?;
        let old_name = from.name.ok_or(Problem::Invalid)?;
        let to = self.at(new, false)?;
        let name = to.name.ok_or(Problem::Invalid)?;
        let is_directory = self.is_directory(id);
        let mut above = to.directory;
        while above != 0 {
            if is_directory && above == id {
                return Err(Problem::Invalid);
            }
            above = self.parent(above);
        }
        if let Some(there) = to.node.filter(|there| *there != id) {
            match self.entries(there) {
                Some(_) if !is_directory => return Err(Problem::IsDirectory),
                Some(entries) if !entries.is_empty() => return Err(Problem::NotEmpty),
                None if is_directory => return Err(Problem::NotDirectory),
                _ => {}
            }
        } else if to.node.is_some() {
            return Ok(());
        } else if to.slash && !is_directory {
            return Err(Problem::NotDirectory);
        }
        self.entries_mut(from.directory).remove(&old_name);
        self.entries_mut(to.directory).insert(name, id);
        self.sweep();
        Ok(())
    }

    /// Takes a name away, if what has it is of the kind that is meant.
    pub(super) fn remove(&mut self, path: &str, meant: Meant) -> Done<()> {
        let spot = self.at(path, false)?;
        let id = spot.node.ok_or(Problem::NotFound)?;
        match (self.entries(id), meant) {
            (Some(_), Meant::Other) => return Err(Problem::IsDirectory),
            (None, Meant::Directory) => return Err(Problem::NotDirectory),
            _ => {}
        }
        let name = spot.name.ok_or(Problem::Invalid)?;
        if meant == Meant::Directory && self.entries(id).is_some_and(|entries| !entries.is_empty()) {
            return Err(Problem::NotEmpty);
        }
        self.entries_mut(spot.directory).remove(&name);
        self.sweep();
        Ok(())
    }

    pub(super) fn write(&mut self, path: &str, offset: Option<u64>, data: &[u8]) -> Done<()> {
        let id = self.file(path)?;
        let at = offset.unwrap_or(self.len(id) as u64);
        if data.is_empty() {
            return Ok(());
        }
        let end = at.saturating_add(data.len() as u64);
        if end > FILE_LEN_MAX {
            return Err(Problem::TooLarge);
        }
        let growth = end.saturating_sub(self.len(id) as u64);
        let node = self.node(id);
        self.charge(node.owner, growth as i64, 0)?;
        if let What::File(bytes) = &mut self.node_mut(id).what {
            bytes.resize(bytes.len().max(end as usize), 0);
            bytes[at as usize..end as usize].copy_from_slice(data);
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, path: &str, size: u64) -> Done<()> {
        let id = self.file(path)?;
        self.charge(self.node(id).owner, size as i64 - self.len(id) as i64, 0)?;
        if let What::File(bytes) = &mut self.node_mut(id).what {
            bytes.resize(size as usize, 0);
        }
        Ok(())
    }

    pub(super) fn set_mode(&mut self, path: &str, mode: u32) -> Done<()> {
        let id = self.found(path)?;
        self.node_mut(id).mode = mode;
        Ok(())
    }

    pub(super) fn set_owner(&mut self, path: &str, owner: &'static str) -> Done<()> {
        let id = self.found(path)?;
        if self.node(id).owner != owner {
            self.charge(owner, self.len(id) as i64, 1)?;
        }
        self.node_mut(id).owner = owner;
        Ok(())
    }
}

/// What is to be removed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meant {
    Directory,
    Other,
    Tree,
}
