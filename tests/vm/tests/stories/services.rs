//! The services as one meets them from outside: files by the command, a shop whose nodes are killed, HTTP on every node.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use tests_vm::{Cluster, free_base_port, relix, run, scratch_dir, turn};

/// What a node answers to one request, over a connection of its own.
fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(request.as_bytes()).expect("a node that reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn files_come_and_go_by_the_command_on_vms() {
    let _turn = turn();
    let folder = scratch_dir("files");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    fs::create_dir_all(folder.join("tree/below")).expect("a folder");
    fs::write(folder.join("tree/a.txt"), "hello").expect("a file");
    let long: Vec<u8> = (0..3_000_000u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    fs::write(folder.join("tree/below/long é"), &long).expect("a file");
    let cluster = Cluster::start("files", &["--memory", "96"]);
    let fs_command = |words: &[&str]| cluster.relix(&[&["fs"], words].concat());
    fs_command(&["cp", "-r", &path("tree"), ":/"]).expect_success("cp to the cluster");
    // Another node has it all.
    fs_command(&["--node", "3", "cp", "-r", ":/tree", &path("back")]).expect_success("cp from the cluster");
    assert!(fs::read(folder.join("back/below/long é")).expect("the file") == long);
    fs_command(&["mv", "/tree/a.txt", "/b.txt"]).expect_success("mv");
    assert_eq!(fs_command(&["cat", "/b.txt"]).expect_success("cat"), "hello");
    let listed = fs_command(&["ls", "/tree"]).expect_success("ls");
    assert!(listed.lines().count() == 3 && listed.contains("below/"), "{listed}");
    let refused = fs_command(&["rm", "/tree"]).expect_one_line_error("rm of a directory that is not empty");
    assert!(refused.contains("directory not empty"), "{refused}");
    // What is behind a question mark is part of a name, too.
    fs_command(&["cp", &path("tree/a.txt"), ":/a"]).expect_success("cp to a name");
    fs_command(&["cp", &path("tree/below/long é"), ":/a?b"])
        .expect_success("cp to a name with a question mark");
    fs_command(&["cp", ":/a?b", &path("question")]).expect_success("cp from there");
    assert!(fs::read(folder.join("question")).expect("the file") == long);
    fs_command(&["rm", "/a?b"]).expect_success("rm of a name with a question mark");
    assert_eq!(fs_command(&["cat", "/a"]).expect_success("cat of what was not named"), "hello");
    fs_command(&["cat", "/a?b"]).expect_one_line_error("cat of what was");
    fs_command(&["rm", "-r", "/tree", "/b.txt"]).expect_success("rm");
    let gone = fs_command(&["cat", "/b.txt"]).expect_one_line_error("cat of what is gone");
    assert!(gone.contains("no such file"), "{gone}");
    for node in 1..=3 {
        let answer = ask(
            cluster.http_port(node),
            "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        );
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    }
    let _ = fs::remove_dir_all(&folder);
}

#[test]
fn a_shop_whose_nodes_are_killed_handles_each_order_once() {
    let _turn = turn();
    let dir = scratch_dir("shop");
    let port = free_base_port().to_string();
    let words = ["demo", "orders", "--kills", "1", "--base-port", &port];
    let shown = run(Command::new(relix()).arg("--dir").arg(&dir).args(words)).expect_success("the demo");
    println!("{shown}");
    assert!(shown.contains("was handled exactly once."), "{shown}");
    let _ = fs::remove_dir_all(&dir);
}
