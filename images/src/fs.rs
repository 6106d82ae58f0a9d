//! `relix fs`: files of the cluster, from the command line.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::FsCommand;
use crate::error::Failure;
use crate::http::{self, Http, Problem, escaped};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::table;

/// Bytes that are copied at a time.
const PIECE_LEN: usize = 256 << 10;

/// Runs one command.
pub fn run(layout: &Layout, node: Option<u8>, command: &FsCommand) -> Result<(), Failure> {
    let fs = Fs { http: Http::new(), port: http::port_of(layout, node)? };
    match command {
        FsCommand::Ls { path } => fs.list(&within(path)),
        FsCommand::Cat { paths } => paths.iter().try_for_each(|path| fs.print(&within(path))),
        FsCommand::Cp { recursive, from, to } => fs.copy(&Place::of(from), &Place::of(to), *recursive),
        FsCommand::Mv { from, to } => fs.rename(&within(from), &within(to)),
        FsCommand::Rm { recursive, paths } => {
            paths.iter().try_for_each(|path| fs.remove(&within(path), *recursive))
        }
        FsCommand::Mkdir { paths } => paths.iter().try_for_each(|path| fs.make_directory(&within(path))),
    }
}

/// A path of the cluster, which may be marked as one, and begins at the root.
fn within(path: &str) -> String {
    let path = path.strip_prefix(':').unwrap_or(path);
    if path.starts_with('/') { path.into() } else { format!("/{path}") }
}

/// One end of a copy.
enum Place {
    Here(PathBuf),
    Cluster(String),
}

impl Place {
    fn of(text: &str) -> Place {
        if text.starts_with(':') { Place::Cluster(within(text)) } else { Place::Here(text.into()) }
    }
}

/// What is at a path of the cluster.
struct Entry {
    name: String,
    kind: String,
    size: u64,
    line: Vec<Option<String>>,
}

impl Entry {
    fn of(value: &Value) -> Entry {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let (name, kind, size) = (text("name"), text("kind"), value["size"].as_u64().unwrap_or(0));
        let shown = match (kind.as_str(), value["target"].as_str()) {
            ("directory", _) => format!("{name}/"),
            (_, Some(target)) => format!("{name} -> {target}"),
            _ => name.clone(),
        };
        // Names are anybody's; a terminal does what control characters say.
        let shown = shown.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        let line = vec![
            Some(text("mode")),
            Some(text("owner")),
            (kind == "file").then(|| size.to_string()),
            Some(text("modified_at").split('.').next().unwrap_or_default().trim_end_matches("+00").into()),
            Some(shown),
        ];
        Entry { name, kind, size, line }
    }
}

struct Fs {
    http: Http,
    port: u16,
}

impl Fs {
    fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<(), Failure> {
        self.http.ask(self.port, method, &format!("/files{path}"), fields, ())?;
        Ok(())
    }

    /// What is at a path, if anything is.
    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        match self.http.ask_json(self.port, "GET", &format!("/files{path}?stat")) {
            Ok(value) => Ok(Some(Entry::of(&value))),
            Err(Problem::Refused(404, _)) => Ok(None),
            Err(problem) => Err(problem.into()),
        }
    }

    fn expect(&self, path: &str) -> Result<Entry, Failure> {
        self.stat(path)?.ok_or_else(|| Failure::Http(format!("{path}: no such file or directory")))
    }

    fn is_directory(&self, path: &str) -> Result<bool, Failure> {
        Ok(self.stat(path)?.is_some_and(|entry| entry.kind == "directory"))
    }

    /// All that is in a directory, page by page.
    fn entries(&self, path: &str, mut each: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let target = format!("/files{path}?after={}", escaped(&after));
            let page = self.http.ask_json(self.port, "GET", &target)?;
            page["entries"].as_array().into_iter().flatten().map(Entry::of).try_for_each(&mut each)?;
            match page["next"].as_str() {
                Some(next) => after = next.into(),
                None => return Ok(()),
            }
        }
    }

    fn list(&self, path: &str) -> Result<(), Failure> {
        let found = self.expect(path)?;
        let mut rows = Vec::new();
        if found.kind == "directory" {
            self.entries(path, |entry| {
                rows.push(entry.line);
                Ok(())
            })?;
        } else {
            rows.push(found.line);
        }
        let header = ["mode", "owner", "size", "modified (UTC)", "name"].map(String::from);
        print!("{}", table::layout(&header, &rows));
        Ok(())
    }

    fn print(&self, path: &str) -> Result<(), Failure> {
        if self.is_directory(path)? {
            return Err(Failure::Http(format!("{path}: is a directory: 'relix fs ls' shows it")));
        }
        let answer = self.http.ask(self.port, "GET", &format!("/files{path}"), &[], ())?;
        let done = io::copy(&mut http::reader(answer), &mut io::stdout().lock());
        // Whoever reads it may have had enough.
        match done {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(broken(path)(error)),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        let to = if self.is_directory(to)? { join(to, name_of(from)) } else { to.into() };
        self.ask("MOVE", from, &[("Destination", &format!("/files{}", escaped(&to)))])
    }

    fn remove(&self, path: &str, recursive: bool) -> Result<(), Failure> {
        let query = if recursive { "?recursive" } else { "" };
        self.ask("DELETE", &format!("{path}{query}"), &[])
    }

    fn make_directory(&self, path: &str) -> Result<(), Failure> {
        self.ask("MKCOL", path, &[])
    }

    fn copy(&self, from: &Place, to: &Place, recursive: bool) -> Result<(), Failure> {
        match (from, to) {
            (Place::Here(from), Place::Cluster(to)) => {
                let name = from.file_name().map(|name| name.to_string_lossy().into_owned());
                let into = to.ends_with('/') || self.is_directory(to)?;
                let to = match name {
                    Some(name) if into => join(to, &name),
                    _ => to.clone(),
                };
                self.send(from, &to, recursive)
            }
            (Place::Cluster(from), Place::Here(to)) => {
                let to = if to.is_dir() { to.join(name_of(from)) } else { to.clone() };
                self.fetch(&self.expect(from)?, from, &to, recursive)
            }
            (Place::Cluster(from), Place::Cluster(to)) => {
                let to = if self.is_directory(to)? { join(to, name_of(from)) } else { to.clone() };
                self.duplicate(&self.expect(from)?, from, &to, recursive)
            }
            (Place::Here(_), Place::Here(_)) => Err(Failure::Argument(
                "a path of the cluster begins with a colon: relix fs cp notes.txt :/notes.txt".into(),
            )),
        }
    }

    /// Sends what is here at `from` to the cluster.
    fn send(&self, from: &Path, to: &str, recursive: bool) -> Result<(), Failure> {
        let failed = |error| Failure::file("read", from)(error);
        let known = fs::metadata(from).map_err(failed)?;
        if !known.is_dir() {
            let file = File::open(from).map_err(failed)?;
            let mut shown = Shown::new(file, "sent", known.len());
            let len = known.len().to_string();
            let body = ureq::SendBody::from_reader(&mut shown);
            self.http.ask(self.port, "PUT", &format!("/files{to}"), &[("Content-Length", &len)], body)?;
            return Ok(());
        }
        check_recursive(&from.display(), recursive)?;
        if !self.is_directory(to)? {
            self.make_directory(to)?;
        }
        for entry in fs::read_dir(from).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name else {
                let message = format!("{}: a name that is not Unicode cannot be kept", path.display());
                return Err(Failure::Argument(message));
            };
            self.send(&path, &join(to, name), true)?;
        }
        Ok(())
    }

    /// Writes what the cluster has at `from` here. What is there is replaced once all has come.
    fn fetch(&self, found: &Entry, from: &str, to: &Path, recursive: bool) -> Result<(), Failure> {
        if found.kind == "directory" {
            check_recursive(&from, recursive)?;
            if !to.is_dir() {
                fs::create_dir(to).map_err(Failure::file("make", to))?;
            }
            return self.entries(from, |entry| {
                // Whatever it is called there, it is written below of here.
                if Path::new(&entry.name).components().count() != 1 || entry.name.contains('\\') {
                    return Err(Failure::Http(format!("{:?}: such a name is not written here", entry.name)));
                }
                self.fetch(&entry, &join(from, &entry.name), &to.join(&entry.name), true)
            });
        }
        let answer = self.http.ask(self.port, "GET", &format!("/files{from}"), &[], ())?;
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let write = || {
            let mut file = File::create(&part).map_err(Failure::file("write", &part))?;
            let mut shown = Shown::new(http::reader(answer), "received", found.size);
            let mut piece = vec![0; PIECE_LEN];
            loop {
                match shown.read(&mut piece).map_err(broken(from))? {
                    0 => break,
                    len => file.write_all(&piece[..len]).map_err(Failure::file("write", &part))?,
                }
            }
            fs::rename(&part, to).map_err(Failure::file("write", to))
        };
        let written = write();
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Copies within the cluster, by way of here.
    fn duplicate(&self, found: &Entry, from: &str, to: &str, recursive: bool) -> Result<(), Failure> {
        if found.kind != "directory" {
            let answer = self.http.ask(self.port, "GET", &format!("/files{from}"), &[], ())?;
            let len = answer
                .headers()
                .get("content-length")
                .and_then(|len| len.to_str().ok())
                .unwrap_or("0")
                .to_string();
            let mut shown = Shown::new(http::reader(answer), "copied", found.size);
            let body = ureq::SendBody::from_reader(&mut shown);
            self.http.ask(self.port, "PUT", &format!("/files{to}"), &[("Content-Length", &len)], body)?;
            return Ok(());
        }
        check_recursive(&from, recursive)?;
        if to.starts_with(&join(from, "")) {
            return Err(Failure::Argument(format!(
                "{to} is below of {from}: it would be copied into itself"
            )));
        }
        if !self.is_directory(to)? {
            self.make_directory(to)?;
        }
        self.entries(from, |entry| {
            self.duplicate(&entry, &join(from, &entry.name), &join(to, &entry.name), true)
        })
    }
}

fn check_recursive(what: &dyn std::fmt::Display, recursive: bool) -> Result<(), Failure> {
    if recursive {
        return Ok(());
    }
    Err(Failure::Argument(format!("{what} is a directory: 'relix fs cp -r' copies all that is below of it")))
}

fn broken(path: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Http(format!("{path} was not read to its end ({error}): run the command again"))
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

fn name_of(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Shows how much was read.
struct Shown<R> {
    inner: R,
    done: u64,
    progress: Progress,
}

impl<R> Shown<R> {
    fn new(inner: R, title: &'static str, len: u64) -> Shown<R> {
        Shown { inner, done: 0, progress: Progress::new(title, Some(len)) }
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
    fn paths_of_the_cluster_begin_at_its_root() {
        assert_eq!([within(":/a"), within("/a"), within("a"), within(":")], ["/a", "/a", "/a", "/"]);
        assert!(matches!(Place::of("a"), Place::Here(_)));
        assert!(matches!(Place::of(":a"), Place::Cluster(path) if path == "/a"));
        assert_eq!([join("/", "a"), join("/d/", "a")], ["/a", "/d/a"]);
        assert_eq!([name_of("/a/b/"), name_of("/")], ["b", ""]);
    }
}
