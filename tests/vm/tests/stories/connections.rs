//! A VM of 128 MiB carries five hundred clients that say nothing, and works beside them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests_vm::{Cluster, turn};

/// What the limits say of one node.
const CONNECTIONS_MAX: usize = 512;

const IDLE: usize = 500;

/// A session that has been told that it may ask.
fn open(port: u16) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let startup = b"\0\0\0\x23\0\x03\0\0user\0relix\0database\0relix\0\0";
    stream.write_all(startup).map_err(|error| error.to_string())?;
    answer(&mut stream).map(|_| stream)
}

/// What comes up to "ready for query"; an error if there is one.
fn answer(stream: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).map_err(|error| error.to_string())?;
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
        let mut body = vec![0; len];
        stream.read_exact(&mut body).map_err(|error| error.to_string())?;
        match head[0] {
            b'E' => return Err(String::from_utf8_lossy(&body).replace('\0', " ")),
            b'Z' => return Ok(all),
            _ => all.extend(body),
        }
    }
}

fn ask(stream: &mut TcpStream, sql: &str) -> Result<Vec<u8>, String> {
    let mut message = vec![b'Q'];
    message.extend((sql.len() as u32 + 5).to_be_bytes());
    message.extend(sql.as_bytes());
    message.push(0);
    stream.write_all(&message).map_err(|error| error.to_string())?;
    answer(stream)
}

#[test]
fn a_vm_of_128_mib_carries_five_hundred_idle_clients() {
    let _turn = turn();
    let cluster = Cluster::start("connections", &["--nodes", "1", "--memory", "128"]);
    let client = cluster.client(1);
    let show = |when: &str| {
        let memory = "SELECT memory_used || ' of ' || memory_total FROM sys.nodes";
        println!("connections: {when}, {} bytes of memory are used", client.row(memory).expect("a row"));
    };
    client.query("CREATE TABLE t (id int PRIMARY KEY, filler text)").expect("CREATE TABLE");
    show("before");
    let started = Instant::now();
    let mut idle: Vec<TcpStream> = (0..IDLE).map(|_| open(cluster.port(1)).expect("a session")).collect();
    println!("connections: {IDLE} opened within {:.1?}", started.elapsed());
    show("with all of them");
    // Each has been used, as those of a pool are.
    for stream in &mut idle {
        ask(stream, "SELECT repeat('x', 20000)").expect("a row");
    }
    show("when each was used");
    // Work goes on beside them, as much as a transaction may be, and as much as makes tables be merged.
    for part in 0..12 {
        let sql = format!(
            "INSERT INTO t SELECT {part} * 2000 + g, repeat('y', 1000) FROM generate_series(1, 2000) g"
        );
        client.query(&sql).expect("INSERT");
    }
    assert_eq!(client.row("SELECT count(*) FROM t").as_deref(), Ok("24000"));
    show("behind the work");
    // What is left of the places goes, too, and whoever comes then is told so.
    let more: Vec<TcpStream> =
        (IDLE + 1..CONNECTIONS_MAX).map(|_| open(cluster.port(1)).expect("a place")).collect();
    let refused = open(cluster.port(1)).expect_err("all places are taken");
    assert!(refused.contains("53300") && refused.contains("sorry, too many clients already"), "{refused}");
    drop(more);
    for stream in &mut idle {
        ask(stream, "SELECT count(*) FROM t WHERE id < 9").expect("it is there still");
    }
}
