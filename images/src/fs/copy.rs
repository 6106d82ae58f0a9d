//! `relix fs cp`: to the cluster, from it, and within it.
//!
//! A symbolic link that is named is followed. Those below of it are skipped: what one leads to may be anywhere, and may be
//! what the link is in.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use super::{Entry, Fs, Place, broken, join, name_of, printable};
use crate::error::Failure;
use crate::http::{self, Answer};
use crate::progress::Progress;

/// Bytes that are copied at a time.
const PIECE_LEN: usize = 256 << 10;

/// Symbolic links that are followed on the way to one place.
const HOPS_MAX: u32 = 40;

/// Names that are tried for a file that is being written.
const PARTS_MAX: u32 = 100;

/// Bytes that such a file's name has of the one that it will have.
const PART_NAME_LEN_MAX: usize = 200;

impl Fs {
    pub(super) fn copy(&self, from: &Place, to: &Place, recursive: bool) -> Result<(), Failure> {
        match (from, to) {
            (Place::Here(from), Place::Cluster(to)) => {
                let is_named = from.file_name().is_some();
                let into = is_named && (to.ends_with('/') || self.is_directory(to)?);
                let to = if into { join(to, name_here(from)?) } else { to.clone() };
                self.send(from, &to, recursive)
            }
            (Place::Cluster(from), Place::Here(to)) => {
                let name = name_of(from);
                let into = to.is_dir() && is_one_name(name);
                let to = if into { to.join(name) } else { to.clone() };
                self.fetch(from, &to, recursive)
            }
            (Place::Cluster(from), Place::Cluster(to)) => {
                let to = if self.is_directory(to)? { join(to, name_of(from)) } else { to.clone() };
                self.duplicate(from, &to, recursive)
            }
            (Place::Here(_), Place::Here(_)) => Err(Failure::Argument(
                "a path of the cluster begins with a colon: relix fs cp notes.txt :/notes.txt".into(),
            )),
        }
    }

    /// Sends what is here at `from` to the cluster.
    fn send(&self, from: &Path, to: &str, recursive: bool) -> Result<(), Failure> {
        let known = fs::metadata(from).map_err(Failure::file("read", from))?;
        if !known.is_dir() {
            return self.send_file(from, to);
        }
        check_recursive(&from.display(), recursive)?;
        self.send_tree(from, to)
    }

    fn send_tree(&self, from: &Path, to: &str) -> Result<(), Failure> {
        let failed = |error| Failure::file("read", from)(error);
        self.expect_directory(to)?;
        for entry in fs::read_dir(from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Of a link, this is its own.
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            if kind.is_dir() {
                self.send_tree(&path, &join(to, name_here(&path)?))?;
            } else if kind.is_file() {
                self.send_file(&path, &join(to, name_here(&path)?))?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(Failure::file("read", &path))?;
                skip_link(&path.display(), &target.display());
            } else {
                // To read one may wait for ever, or not end.
                skip(&path.display(), "is no file and no directory");
            }
        }
        Ok(())
    }

    fn send_file(&self, from: &Path, to: &str) -> Result<(), Failure> {
        let failed = |error| Failure::file("read", from)(error);
        let file = File::open(from).map_err(failed)?;
        let known = file.metadata().map_err(failed)?;
        // How much comes out of a pipe is not known before.
        let len = known.is_file().then_some(known.len());
        self.put(to, file, len, "sent")
    }

    /// Makes a file of the cluster of what is read.
    fn put(&self, to: &str, from: impl Read, len: Option<u64>, title: &'static str) -> Result<(), Failure> {
        let len_text = len.map(|len| len.to_string());
        // What cannot be is refused before all of it is sent.
        let mut fields = vec![("Expect", "100-continue")];
        fields.extend(len_text.as_deref().map(|len| ("Content-Length", len)));
        let mut shown = Shown::new(from, title, len);
        let body = ureq::SendBody::from_reader(&mut shown);
        self.http.ask(self.port, "PUT", &format!("/files{to}"), None, &fields, body)?;
        Ok(())
    }

    /// Writes what the cluster has at `from` here. What is there is replaced once all has come.
    fn fetch(&self, from: &str, to: &Path, recursive: bool) -> Result<(), Failure> {
        if !self.is_directory(from)? {
            return self.fetch_file(from, to);
        }
        check_recursive(&from, recursive)?;
        self.fetch_tree(from, to)
    }

    fn fetch_tree(&self, from: &str, to: &Path) -> Result<(), Failure> {
        if !to.is_dir() {
            fs::create_dir(to).map_err(Failure::file("make", to))?;
        }
        self.entries(from, |entry| {
            // Whatever it is called there, it is written below of here.
            if !is_one_name(&entry.name) {
                return Err(Failure::Http(format!("{:?}: such a name is not written here", entry.name)));
            }
            let (path, to) = (join(from, &entry.name), to.join(&entry.name));
            match entry.kind.as_str() {
                "directory" => self.fetch_tree(&path, &to),
                "link" => skip_entry(&path, &entry),
                _ => self.fetch_file(&path, &to),
            }
        })
    }

    fn fetch_file(&self, from: &str, to: &Path) -> Result<(), Failure> {
        let answer = self.get(from)?;
        let (file, part) = begin_beside(to)?;
        let written = receive(answer, from, file, &part)
            .and_then(|()| fs::rename(&part, to).map_err(Failure::file("write", to)));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Copies within the cluster, by way of here.
    fn duplicate(&self, from: &str, to: &str, recursive: bool) -> Result<(), Failure> {
        if !self.is_directory(from)? {
            return self.duplicate_file(from, to);
        }
        check_recursive(&from, recursive)?;
        if self.resolved(to)?.starts_with(&join(&self.resolved(from)?, "")) {
            return Err(Failure::Argument(format!(
                "{to} is below of {from}: it would be copied into itself"
            )));
        }
        self.duplicate_tree(from, to)
    }

    fn duplicate_tree(&self, from: &str, to: &str) -> Result<(), Failure> {
        self.expect_directory(to)?;
        self.entries(from, |entry| {
            let (path, to) = (join(from, &entry.name), join(to, &entry.name));
            match entry.kind.as_str() {
                "directory" => self.duplicate_tree(&path, &to),
                "link" => skip_entry(&path, &entry),
                _ => self.duplicate_file(&path, &to),
            }
        })
    }

    fn duplicate_file(&self, from: &str, to: &str) -> Result<(), Failure> {
        let answer = self.get(from)?;
        let len = len_of(&answer);
        self.put(to, http::reader(answer), len, "copied")
    }

    /// Makes a directory, if there is none.
    fn expect_directory(&self, path: &str) -> Result<(), Failure> {
        if self.is_directory(path)? { Ok(()) } else { self.make_directory(path) }
    }

    /// The same place by a path without symbolic links, of which the root's is empty.
    fn resolved(&self, path: &str) -> Result<String, Failure> {
        let (mut here, mut hops) = (String::new(), 0);
        // The next name is at the end.
        let mut ahead: Vec<String> = path.rsplit('/').map(String::from).collect();
        while let Some(name) = ahead.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    here.truncate(here.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&here, &name);
            let Some(target) = self.stat(&next)?.and_then(|entry| entry.target) else {
                here = next;
                continue;
            };
            hops += 1;
            if hops > HOPS_MAX {
                return Err(Failure::Http(format!("{path}: too many levels of symbolic links")));
            }
            if target.starts_with('/') {
                here.clear();
            }
            ahead.extend(target.rsplit('/').map(String::from));
        }
        Ok(here)
    }
}

fn check_recursive(what: &dyn Display, recursive: bool) -> Result<(), Failure> {
    if recursive {
        return Ok(());
    }
    Err(Failure::Argument(format!("{what} is a directory: 'relix fs cp -r' copies all that is below of it")))
}

/// Says that something is left out.
fn skip(path: &dyn Display, why: &str) {
    eprintln!("{}: not copied", printable(&format!("{path} {why}")));
}

fn skip_link(path: &dyn Display, target: &dyn Display) {
    skip(path, &format!("is a symbolic link to {target}"));
}

fn skip_entry(path: &str, entry: &Entry) -> Result<(), Failure> {
    skip_link(&path, &entry.target.as_deref().unwrap_or_default());
    Ok(())
}

/// Whether what the cluster calls something is one name here, too.
fn is_one_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let first = components.next();
    // As text: a slash at the end is no part of a component.
    matches!(first, Some(Component::Normal(one)) if one == name) && components.next().is_none()
}

/// What something here is called, as it can be in the cluster.
fn name_here(path: &Path) -> Result<&str, Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| {
        Failure::Argument(format!("{}: a name that is not Unicode cannot be kept", path.display()))
    })
}

/// Begins a new file beside `to`, whatever else is there.
fn begin_beside(to: &Path) -> Result<(File, PathBuf), Failure> {
    let name = to.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| Failure::Argument(format!("{} names no file", to.display())))?;
    let name = &name[..name.floor_char_boundary(PART_NAME_LEN_MAX)];
    let mut number = 0;
    loop {
        let part = to.with_file_name(format!(".{name}.{}.{number}.part", std::process::id()));
        match File::create_new(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < PARTS_MAX => number += 1,
            created => return Ok((created.map_err(Failure::file("create", &part))?, part)),
        }
    }
}

/// Writes all that is answered.
fn receive(answer: Answer, from: &str, mut file: File, part: &Path) -> Result<(), Failure> {
    let len = len_of(&answer);
    let mut shown = Shown::new(http::reader(answer), "received", len);
    let mut piece = vec![0; PIECE_LEN];
    loop {
        match shown.read(&mut piece).map_err(broken(from))? {
            0 => return Ok(()),
            len => file.write_all(&piece[..len]).map_err(Failure::file("write", part))?,
        }
    }
}

/// How long a file is that is answered.
fn len_of(answer: &Answer) -> Option<u64> {
    answer.headers().get("content-length")?.to_str().ok()?.parse().ok()
}

/// Shows how much was read.
struct Shown<R> {
    inner: R,
    done: u64,
    progress: Progress,
}

impl<R> Shown<R> {
    fn new(inner: R, title: &'static str, len: Option<u64>) -> Shown<R> {
        Shown { inner, done: 0, progress: Progress::new(title, len) }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(into)?;
        self.done += len as u64;
        self.progress.show(self.done, None);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_cluster_is_one_name_here() {
        assert!(["a", "a b", "a?b", "...", ".a", "é"].into_iter().all(is_one_name));
        assert!(!["", ".", "..", "/", "/a", "a/", "a/.", "a/b", "../a", "./a"].into_iter().any(is_one_name));
    }

    #[test]
    fn a_file_that_comes_touches_nothing_beside_it() {
        let folder = std::env::temp_dir().join(format!("relix-fs-beside-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let to = folder.join("é".repeat(127));
        let (_, first) = begin_beside(&to).expect("a free name");
        fs::write(&first, "somebody's").expect("it is there");
        let (_, second) = begin_beside(&to).expect("another free name");
        assert_eq!(fs::read(&first).expect("it is there"), b"somebody's");
        assert!(first != second && second.parent() == to.parent());
        fs::remove_dir_all(&folder).expect("it was there");
    }
}
