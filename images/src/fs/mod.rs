//! `relix fs`: files of the cluster, from the command line.

mod copy;

use std::io;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::FsCommand;
use crate::error::Failure;
use crate::http::{self, Answer, Http, Problem, escaped};
use crate::layout::Layout;
use crate::table;

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
    /// Where it leads, if it is a symbolic link.
    target: Option<String>,
    line: Vec<Option<String>>,
}

impl Entry {
    fn of(value: &Value) -> Entry {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let (name, kind, target) = (text("name"), text("kind"), value["target"].as_str());
        let size = value["size"].as_u64().unwrap_or(0);
        let called = match (kind.as_str(), target) {
            ("directory", _) => format!("{name}/"),
            (_, Some(target)) => format!("{name} -> {target}"),
            _ => name.clone(),
        };
        let line = vec![
            Some(text("mode")),
            Some(text("owner")),
            (kind == "file").then(|| size.to_string()),
            Some(text("modified_at").split('.').next().unwrap_or_default().trim_end_matches("+00").into()),
            Some(printable(&called)),
        ];
        let target = target.map(String::from);
        Entry { name, kind, target, line }
    }
}

/// Names are anybody's; a terminal does what control characters say.
fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

struct Fs {
    http: Http,
    port: u16,
}

impl Fs {
    fn ask(
        &self,
        method: &str,
        path: &str,
        query: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Result<(), Failure> {
        self.http.ask(self.port, method, &format!("/files{path}"), query, fields, ())?;
        Ok(())
    }

    /// What a file has in it.
    fn get(&self, path: &str) -> Result<Answer, Failure> {
        Ok(self.http.ask(self.port, "GET", &format!("/files{path}"), None, &[], ())?)
    }

    /// What is at a path, if anything is. A symbolic link is itself, unless a slash is behind it.
    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        match self.http.ask_json(self.port, "GET", &format!("/files{path}"), Some("stat")) {
            Ok(value) => Ok(Some(Entry::of(&value))),
            Err(Problem::Refused(404, _)) => Ok(None),
            Err(problem) => Err(problem.into()),
        }
    }

    fn expect(&self, path: &str) -> Result<Entry, Failure> {
        self.stat(path)?.ok_or_else(|| Failure::Http(format!("{path}: no such file or directory")))
    }

    /// Whether a path leads to a directory, be it by a symbolic link.
    fn is_directory(&self, path: &str) -> Result<bool, Failure> {
        let Some(found) = self.stat(path)? else { return Ok(false) };
        if found.kind != "link" {
            return Ok(found.kind == "directory");
        }
        match self.http.ask_json(self.port, "GET", &format!("/files{path}/"), Some("stat")) {
            Ok(value) => Ok(Entry::of(&value).kind == "directory"),
            // It leads to nothing, to a file, or round in a circle.
            Err(Problem::Refused(404 | 409 | 400, _)) => Ok(false),
            Err(problem) => Err(problem.into()),
        }
    }

    /// All that is in a directory, page by page.
    fn entries(&self, path: &str, mut each: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let query = format!("after={}", escaped(&after));
            let page = self.http.ask_json(self.port, "GET", &format!("/files{path}"), Some(&query))?;
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
        let done = io::copy(&mut http::reader(self.get(path)?), &mut io::stdout().lock());
        // Whoever reads it may have had enough.
        match done {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(broken(path)(error)),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        let to = if self.is_directory(to)? { join(to, name_of(from)) } else { to.into() };
        self.ask("MOVE", from, None, &[("Destination", &format!("/files{}", escaped(&to)))])
    }

    fn remove(&self, path: &str, recursive: bool) -> Result<(), Failure> {
        self.ask("DELETE", path, recursive.then_some("recursive"), &[])
    }

    fn make_directory(&self, path: &str) -> Result<(), Failure> {
        self.ask("MKCOL", path, None, &[])
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_does_nothing_to_a_terminal() {
        let link = serde_json::json!({"name": "a\u{1b}[2J", "kind": "link", "target": "b\n"});
        let entry = Entry::of(&link);
        assert_eq!(entry.line[4].as_deref(), Some("a?[2J -> b?"));
        assert_eq!(entry.target.as_deref(), Some("b\n"));
    }

    #[test]
    fn paths_of_the_cluster_begin_at_its_root() {
        assert_eq!([within(":/a"), within("/a"), within("a"), within(":")], ["/a", "/a", "/a", "/"]);
        assert!(matches!(Place::of("a"), Place::Here(_)));
        assert!(matches!(Place::of(":a"), Place::Cluster(path) if path == "/a"));
        assert_eq!([join("/", "a"), join("/d/", "a")], ["/a", "/d/a"]);
        assert_eq!([name_of("/a/b/"), name_of("/")], ["b", ""]);
    }
}
