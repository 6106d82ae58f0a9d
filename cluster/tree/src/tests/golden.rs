//! Golden scripts: what a tree does with its disk, step by step, exactly as written.
//!
//! In `golden/*.txt` a line `> command` is carried out, several of them with `; ` between; what stands below it, up to
//! an empty line, is what came of it. Other lines are comments. Each change is a version, from 1 on.
//! `UPDATE_GOLDEN=1 cargo test -p cluster-tree golden` rewrites the answers.
//!
//! | command | what it does |
//! |---|---|
//! | `put a one`, `delete a` | changes a key |
//! | `delete a to c` | deletes a range of keys, without the last |
//! | `fill row 1 to 200 of 90` | sets `row001` to `row200`, each to 90 bytes, of which half compress |
//! | `freeze` | begins to make tables of what is in memory |
//! | `turn`, `settle` | the disk finishes one request; everything is done until nothing is left |
//! | `rest` | the owner's clock ticks |
//! | `crash` | the power fails, and comes back |
//! | `horizon 7` | nobody reads an older version any more |
//! | `get a`, `get a at 3` | the value, as of now or of a version |
//! | `scan a to c`, `scan a to c at 3 backward` | the rows |
//! | `tables` | the levels, with their tables' keys, versions, records, and cells |
//! | `tombstones` | the ranges that are deleted in the levels |
//! | `cells` | the disk's cells: `.` free, a letter for each table, `#` a manifest |
//! | `frames A` | what a table consists of |
//! | `flip A 3` | a bit of the table's sector 3 flips |

extern crate std;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::Path;

use cluster_format::{KeyRange, Version};

use super::machine::Machine;
use crate::*;

struct Stage {
    machine: Machine,
    version: u64,
    out: String,
    /// Tables by letter, in the order in which they were first seen.
    seen: Vec<TableId>,
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

/// What follows the word `name`, if it is there.
fn option(words: &[&str], name: &str) -> Option<u64> {
    let place = words.iter().position(|word| *word == name)?;
    words.get(place + 1).map(|word| number(word))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Stage {
    fn say(&mut self, line: impl AsRef<str>) {
        self.out.push_str(line.as_ref());
        self.out.push('\n');
    }

    fn put(&mut self, key: &str, value: Option<&[u8]>) {
        self.version += 1;
        self.machine.tree.add(&key.as_bytes().into(), Version(self.version), value.map(Into::into));
    }

    fn fill(&mut self, prefix: &str, first: u64, last: u64, len: u64) {
        for row in first..=last {
            let value = super::value(row, len.saturating_sub(8) as usize);
            self.put(&format!("{prefix}{row:03}"), Some(&value));
        }
    }

    fn get(&mut self, key: &str, version: u64) {
        let snapshot = self.machine.tree.snapshot();
        let answer = match self.machine.run(snapshot.get(key.as_bytes(), Version(version))) {
            Ok(Some(value)) if value.len() > 40 => format!("{} bytes", value.len()),
            Ok(Some(value)) => text(&value),
            Ok(None) => "nothing".to_string(),
            Err(error) => format!("{error}"),
        };
        self.say(answer);
    }

    fn scan(&mut self, start: &str, end: &str, version: u64, direction: Direction) {
        let range = KeyRange { start: start.as_bytes().into(), end: end.as_bytes().into() };
        let snapshot = self.machine.tree.snapshot();
        let (range, version) = (&range, Version(version));
        let asked = RangeRead { range, version, direction, most: Most::rows(5) };
        match self.machine.run(snapshot.read(asked)) {
            Ok(rows) => rows.iter().for_each(|(key, value)| {
                let value = if value.len() > 40 { format!("{} bytes", value.len()) } else { text(value) };
                self.say(format!("{} = {value}", text(key)));
            }),
            Err(error) => self.say(format!("{error}")),
        }
    }

    fn letter(&mut self, id: TableId) -> char {
        let place = self.seen.iter().position(|seen| *seen == id);
        let place = place.unwrap_or_else(|| {
            self.seen.push(id);
            self.seen.len() - 1
        });
        char::from(b'A' + place as u8)
    }

    fn tables(&mut self) {
        let levels = self.machine.tree.levels().clone();
        let young = levels.young.iter().flatten().map(|table| ("young".to_string(), table));
        let deeper = (1..).zip(&levels.levels);
        let deeper = deeper
            .flat_map(|(level, tables)| tables.iter().map(move |table| (format!("level {level}"), table)));
        for (level, table) in young.chain(deeper) {
            let letter = self.letter(table.head.id);
            let TableHead { first, last, oldest, newest, records, deletions, sectors, .. } = &table.head;
            let CellRun { first: cell, count } = table.cells;
            let (first, last) = (text(first), text(last));
            self.say(format!(
                "{level:8} {letter}  {first}..{last}  versions {oldest}..{newest}  {records} records, {deletions} delete  \
                 {sectors} sectors in cells {cell}..{}",
                cell + count
            ));
        }
    }

    fn cells(&mut self) {
        let count = self.machine.grid.with_cells(|cells| cells.count());
        let mut picture: Vec<char> = core::iter::repeat_n('.', count as usize).collect();
        let mut draw = |run: CellRun, letter| {
            picture[run.first as usize..(run.first + run.count) as usize].fill(letter);
        };
        for table in self.machine.tree.levels().clone().tables() {
            draw(table.cells, self.letter(table.head.id));
        }
        self.machine.root.iter().flat_map(|root| root.copies).for_each(|copy| draw(copy, '#'));
        let free = self.machine.grid.with_cells(|cells| cells.free());
        self.say(format!("{}  {free} of {count} free", picture.into_iter().collect::<String>()));
    }

    fn table(&self, letter: &str) -> Table {
        let index = letter.as_bytes().first().map_or(usize::MAX, |letter| usize::from(letter - b'A'));
        let levels = self.machine.tree.levels();
        let table = levels.tables().find(|table| self.seen.get(index) == Some(&table.head.id));
        Table::clone(table.unwrap_or_else(|| panic!("there is no table {letter}")))
    }

    fn frames(&mut self, letter: &str) {
        let table = self.table(letter);
        let grid = self.machine.grid.clone();
        let index = self.machine.run(grid.read(&table, FrameKind::Index, &table.head.index)).unwrap();
        let mut cursor = BlockCursor::new(Block::parse(index.clone()).unwrap());
        let mut frames = Vec::new();
        let mut more = cursor.first().unwrap();
        while more {
            let Record { position, value: Value::Inline(reference) } = cursor.record().unwrap() else {
                panic!("an index names frames")
            };
            let last = format!("rows to {}@{}", text(position.key), position.version);
            frames.push((FrameRef::from_bytes(reference).unwrap(), FrameKind::Rows, last));
            more = cursor.advance().unwrap();
        }
        for (reference, ..) in frames.clone() {
            let rows = self.machine.run(grid.read(&table, FrameKind::Rows, &reference)).unwrap();
            let mut cursor = BlockCursor::new(Block::parse(rows).unwrap());
            let mut more = cursor.first().unwrap();
            while more {
                let Record { position, value } = cursor.record().unwrap();
                if let Value::Far(reference) = value {
                    let name = format!("the value of {}@{}", text(position.key), position.version);
                    frames.push((FrameRef::from_bytes(reference).unwrap(), FrameKind::Value, name));
                }
                more = cursor.advance().unwrap();
            }
        }
        frames.push((table.head.filter, FrameKind::Filter, "filter".to_string()));
        frames.push((table.head.index, FrameKind::Index, "index".to_string()));
        frames.sort_by_key(|(reference, ..)| reference.offset);
        for (reference, kind, name) in frames {
            let payload = self.machine.run(grid.read(&table, kind, &reference)).unwrap();
            let FrameRef { offset, sectors, .. } = reference;
            self.say(format!("sector {offset:3}, {sectors:2} long: {name}, {} bytes", payload.len()));
        }
    }

    fn command(&mut self, words: &[&str]) {
        let version = option(words, "at").unwrap_or(self.version);
        match words {
            ["put", key, value] => self.put(key, Some(value.as_bytes())),
            ["delete", key] => self.put(key, None),
            ["delete", start, "to", end] => {
                self.version += 1;
                let range = KeyRange { start: start.as_bytes().into(), end: end.as_bytes().into() };
                self.machine.tree.delete_range(&range, Version(self.version));
            }
            ["fill", prefix, first, "to", last, "of", len] => {
                self.fill(prefix, number(first), number(last), number(len));
            }
            ["freeze"] => self.machine.tree.freeze(self.version.to_be_bytes()[..].into()),
            ["turn"] => _ = self.machine.turn(),
            ["settle"] => self.machine.settle(),
            ["rest"] => self.machine.tree.rest(),
            ["crash"] => {
                self.machine.crash();
                self.version = self.machine.opened();
                self.say(format!("opened at version {}", self.version));
            }
            ["horizon", version] => self.machine.tree.set_horizon(Version(number(version))),
            ["get", key, ..] => self.get(key, version),
            ["scan", start, "to", end, options @ ..] => {
                let backward = options.contains(&"backward");
                let direction = if backward { Direction::Backward } else { Direction::Forward };
                self.scan(start, end, version, direction);
            }
            ["tables"] => self.tables(),
            ["tombstones"] => {
                let levels = self.machine.tree.levels().clone();
                levels.tombstones.iter().for_each(|(range, versions)| {
                    let versions: Vec<String> = versions.iter().map(|version| version.to_string()).collect();
                    let (start, end) = (text(&range.start), text(&range.end));
                    self.say(format!("{start}..{end} by {}", versions.join(", ")));
                });
            }
            ["cells"] => self.cells(),
            ["frames", letter] => self.frames(letter),
            ["flip", letter, sector] => {
                let cells = self.table(letter).cells;
                self.machine.flip(u64::from(cells.first * CELL_SECTORS) + number(sector));
            }
            _ => panic!("no such command: {words:?}"),
        }
    }
}

fn replay(script: &str) -> String {
    let machine = Machine::new(40);
    let mut stage = Stage { machine, version: 0, out: String::new(), seen: Vec::new() };
    let mut replayed = String::new();
    let mut in_answer = false;
    for text in script.lines() {
        if let Some(commands) = text.strip_prefix("> ") {
            for words in commands.split("; ") {
                stage.command(&words.split_whitespace().collect::<Vec<_>>());
            }
            replayed.push_str(&format!("{text}\n{}", core::mem::take(&mut stage.out)));
            in_answer = true;
        } else {
            in_answer &= !text.is_empty();
            if !in_answer {
                replayed.push_str(&format!("{text}\n"));
            }
        }
    }
    replayed
}

#[test]
fn golden_scripts_go_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/golden");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(paths.len() >= 3, "the scripts are there");
    for path in paths {
        let script = std::fs::read_to_string(&path).expect("a script");
        let replayed = replay(&script);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &replayed).expect("writable");
        } else {
            assert_eq!(script, replayed, "{} goes otherwise", path.display());
        }
    }
}
