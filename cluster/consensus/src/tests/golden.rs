//! Golden scripts: what members do, step by step, exactly as written.
//!
//! In `golden/*.txt` a line `> command` is carried out, several of them with `; ` between; what stands below
//! it, up to an empty line, is what came of it. Other lines are comments. Nothing happens unless a command
//! says so, time included. `UPDATE_GOLDEN=1 cargo test -p cluster-consensus golden` rewrites the answers.
//!
//! | command | what it does |
//! |---|---|
//! | `cluster 3 joiners 1 founded` | three members start, a fourth is down; `founded`: their disks are known |
//! | `tick 1`, `stand 1` | its deadline has come; its election timeout, and what others trust a leader for |
//! | `wait 300` | time passes, in milliseconds |
//! | `deliver`, `deliver 1 2` | messages arrive until all is quiet; those from 1 to 2 |
//! | `drop`, `drop 1 2` | they are lost |
//! | `flush`, `flush 1` | what is being written becomes durable, until nothing is left; one write of 1 |
//! | `fetch 1` | its journal and its tables give what it wants for others |
//! | `settle` | deliver, flush and fetch until nothing happens any more |
//! | `propose 1 a b`, `propose 1 9*x:1000` | asks the leader for entries; for nine of a thousand bytes |
//! | `read 1` | asks for a version to read at |
//! | `cut 1 2`, `heal` | these are parted from the others; the network is whole |
//! | `crash 1`, `start 1`, `wipe 1` | without its memory; with what is on its disk; with a blank disk |
//! | `disk 1 1 1 4 term 7 other` | restarts with entries of these terms, in this term, of another history |
//! | `compact 1` | its journal drops what is in its tables |
//! | `lose 1 from 5`, `restore 1 from 2 through 6` | restarts without entries; gets them from a peer's disk |
//! | `transfer 1 2`, `remove 1 3` | asks the leader to hand over, or to take a member out |
//! | `memory 300`, `lease 300`, `priority 2 5` | settings: of all members, of all after a restart, of one |
//! | `status`, `progress 1` | what the members are at; what a leader knows of the others |
//! | `quietly ...` | all commands of this line, telling only what must never be |
//!
//! In the answers `1→2` is a message that arrives, with `t3` its term; `✗ 1→2` one that is lost, `… 1→2` one
//! that was sent and is still on its way. `5@2` is the entry of version 5 and term 2. What follows from an
//! event is indented below it; a rare branch that was taken is named in parentheses. A member `3'` is the
//! one with the second disk, and `3?` is one whose disk is not known yet.

extern crate std;

mod show;
mod stage;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::path::Path;

use cluster_format::{Marks, NodeId, Planted};

use crate::Mark;
use stage::Stage;

fn node(word: &str) -> NodeId {
    NodeId(word.parse().unwrap_or_else(|_| panic!("{word:?} is no member")))
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

fn numbers<T>(words: &[&str], of: fn(&str) -> T) -> Vec<T> {
    words.iter().map(|word| of(word)).collect()
}

/// What follows the word `name`, if it is there.
fn option(words: &[&str], name: &str) -> Option<u64> {
    let place = words.iter().position(|word| *word == name)?;
    words.get(place + 1).map(|word| number(word))
}

fn command(stage: &mut Stage, words: &[&str]) {
    match words {
        ["cluster", size, options @ ..] => {
            let joiners = option(options, "joiners").unwrap_or(0);
            stage.found(number(size), joiners, options.contains(&"founded"));
        }
        ["tick", id] => stage.tick(node(id)),
        ["stand", id] => stage.stand(node(id)),
        ["wait", milliseconds] => stage.wait(number(milliseconds)),
        ["deliver"] => stage.deliver_all(),
        ["deliver", from, to] => stage.deliver(node(from), node(to)),
        ["drop"] => stage.lose_messages(|_, _| true),
        ["drop", from, to] => stage.lose_messages(|a, b| (a, b) == (node(from), node(to))),
        ["flush"] => stage.flush_all(),
        ["flush", id] => stage.flush(node(id)),
        ["fetch", id] => stage.fetch(node(id)),
        ["settle"] => stage.settle_all(),
        ["propose", id, entries @ ..] => stage.propose(node(id), entries),
        ["read", id] => stage.read(node(id)),
        ["cut", ids @ ..] => stage.cut(numbers(ids, node)),
        ["heal"] => stage.cut(Vec::new()),
        ["crash", id] => stage.crash(node(id)),
        ["start", id] => stage.start(node(id)),
        ["wipe", id] => stage.wipe(node(id)),
        ["disk", id, words @ ..] => {
            let terms = words.iter().map_while(|word| word.parse().ok()).collect();
            stage.set_disk(node(id), terms, option(words, "term"), words.contains(&"other"));
        }
        ["compact", id] => stage.compact(node(id)),
        ["lose", id, "from", version] => stage.lose(node(id), number(version)),
        ["restore", id, "from", peer, options @ ..] => {
            stage.restore(node(id), node(peer), option(options, "through"));
        }
        ["transfer", id, to @ ..] => stage.transfer(node(id), to.first().map(|to| node(to))),
        ["remove", id, other] => stage.remove(node(id), node(other)),
        ["memory", len] => stage.set_memory(number(len)),
        ["lease", milliseconds] => stage.set_lease(number(milliseconds)),
        ["priority", id, priority] => stage.set_priority(node(id), number(priority)),
        ["status"] => stage.status(),
        ["progress", id] => stage.progress(node(id)),
        _ => panic!("no such command: {words:?}"),
    }
}

fn line(stage: &mut Stage, commands: &str) {
    let loud = commands.strip_prefix("quietly ");
    for words in loud.unwrap_or(commands).split("; ") {
        let words: Vec<&str> = words.split_whitespace().collect();
        command(stage, &words);
        stage.end_command();
    }
    if loud.is_some() {
        let told = core::mem::take(&mut stage.out);
        let wrong = told.lines().filter(|text| text.contains("WRONG"));
        wrong.for_each(|text| stage.out.push_str(&format!("{text}\n")));
    }
}

/// The script with its answers, and the rare branches that were taken.
fn replay(script: &str, planted: Planted) -> (String, Marks) {
    let mut stage = Stage::new(planted);
    let mut replayed = String::new();
    let mut in_answer = false;
    for text in script.lines() {
        if let Some(commands) = text.strip_prefix("> ") {
            line(&mut stage, commands);
            replayed.push_str(&format!("{text}\n{}", core::mem::take(&mut stage.out)));
            in_answer = true;
        } else {
            in_answer &= !text.is_empty();
            if !in_answer {
                replayed.push_str(&format!("{text}\n"));
            }
        }
    }
    (replayed, stage.marks())
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/golden")
}

#[test]
fn golden_scripts_go_as_written() {
    let entries = std::fs::read_dir(folder()).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut marks = Marks::NONE;
    for path in paths {
        let script = std::fs::read_to_string(&path).expect("a script");
        let (replayed, taken) = replay(&script, Planted::NONE);
        marks.merge(taken);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &replayed).expect("writable");
        } else {
            assert_eq!(script, replayed, "{} goes otherwise", path.display());
        }
        assert!(!replayed.contains("WRONG"), "{} ends in what must never be", path.display());
    }
    let named = Mark::NAMES.iter().enumerate();
    let never: Vec<_> = named.filter(|(mark, _)| !marks.contains(*mark as u32)).collect();
    assert!(never.is_empty(), "no script takes these branches: {never:?}");
}

/// The scripts of what goes right find what goes wrong once a mistake is planted.
#[cfg(feature = "mistakes")]
#[test]
fn planted_mistakes_are_found_by_scripts() {
    use cluster_format::Mistake;
    for (name, mistake, found) in [
        ("figure_8.txt", Mistake::OldTermCommittedByCount, "WRONG: two histories at 4"),
        ("vote_on_disk.txt", Mistake::VoteNotFlushed, "WRONG: two leaders in term 1"),
    ] {
        let script = std::fs::read_to_string(folder().join(name)).expect("a script");
        let (replayed, _) = replay(&script, Planted::new(mistake));
        assert!(replayed.contains(found), "{mistake:?} goes unseen in\n{replayed}");
    }
}
