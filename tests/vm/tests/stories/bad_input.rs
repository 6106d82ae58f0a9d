//! What a user can get wrong, or an attacker send: one clear line where a user would look, and the rest
//! goes on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use tests_vm::{Cluster, SqlFailure, turn};

/// The command says `words` in one line, and nothing has been started.
fn refuses(cluster: &Cluster, options: &[&str], words: &[&str]) {
    let said = cluster.try_up(options).expect_one_line_error(&options.join(" "));
    println!("{options:?}: {said}");
    words.iter().for_each(|word| assert!(said.contains(word), "'{word}' is missing in: {said}"));
    assert!(!cluster.relix(&["status"]).success, "nothing was started");
}

#[test]
fn the_command_names_what_is_wrong() {
    let _turn = turn();
    let cluster = Cluster::new("wrong", &[]);
    refuses(&cluster, &["--memroy", "64"], &["--memroy", "--memory"]);
    refuses(&cluster, &["--memory", "8"], &["8 MiB", "--memory 48"]);
    refuses(&cluster, &["--nodes", "17"], &["1 to 16 nodes"]);
    let no_image = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    refuses(&cluster, &["--image", no_image], &["is no image of Relix", "relix image build"]);
    refuses(
        &cluster,
        &["--image", no_image, "--machine", "microvm"],
        &["microvm boots no disks", "--machine q35"],
    );
    refuses(&cluster, &["--discover", "--ip6"], &["--discover", "--ip6"]);
    refuses(&cluster, &["--image", "/nowhere/relix.img"], &["/nowhere/relix.img"]);
    let taken = TcpListener::bind(("127.0.0.1", cluster.port(2))).expect("a free port");
    refuses(&cluster, &["--host"], &[&cluster.port(2).to_string(), "--base-port"]);
    drop(taken);
    for words in [&["status"][..], &["sql", "-c", "SELECT 1"], &["fault", "heal"], &["down"]] {
        let said = cluster.relix(words).expect_one_line_error(&words.join(" "));
        assert!(said.contains("relix up"), "it says what to do: {said}");
    }
}

/// One way to spoil a data disk, and what the node says of it.
struct Spoiled<'a> {
    what: &'a str,
    spoil: &'a dyn Fn(&PathBuf),
    said: &'a str,
}

#[test]
fn a_node_refuses_a_disk_that_is_not_its_own() {
    let _turn = turn();
    let small = ["--disk-mib", "32"];
    let other = Cluster::start("other", &[&["--host"][..], &small].concat());
    other.relix(&["down"]).expect_success("relix down");
    let cluster = Cluster::start("disks", &small);
    cluster.client(1).query("CREATE TABLE t (n int PRIMARY KEY)").expect("CREATE TABLE");
    let copied = |from: PathBuf| {
        move |to: &PathBuf| {
            std::fs::copy(&from, to).expect("a copy");
        }
    };
    let cut = |path: &PathBuf| {
        let file = std::fs::File::options().write(true).open(path).expect("the disk");
        file.set_len(9 << 20).expect("a shorter disk");
    };
    let foreign = |path: &PathBuf| {
        let mut file = std::fs::File::options().write(true).open(path).expect("the disk");
        // All of the head: a single copy of the superblock would do.
        file.write_all(&b"another system's file system ".repeat(40_000)).expect("foreign bytes");
    };
    let cases = [
        Spoiled {
            what: "another cluster's disk",
            spoil: &copied(other.dir().join("node3.disk")),
            said: "belongs to the cluster",
        },
        Spoiled {
            what: "another node's disk",
            spoil: &copied(cluster.dir().join("node2.disk")),
            said: "belongs to node 2",
        },
        Spoiled { what: "a truncated disk", spoil: &cut, said: "truncated" },
        Spoiled { what: "a foreign disk", spoil: &foreign, said: "something else than Relix data" },
    ];
    let disk = cluster.dir().join("node3.disk");
    for (number, case) in cases.iter().enumerate() {
        cluster.fault(&["kill", "3"]);
        let intact = std::fs::read(&disk).expect("the disk");
        (case.spoil)(&disk);
        let spoiled = std::fs::read(&disk).expect("the disk");
        let before = cluster.log(3).len();
        cluster.fault(&["restart", "3"]);
        let line = cluster.wait(case.what, || {
            cluster.log(3)[before..].lines().find(|line| line.contains("ERROR")).map(str::to_string)
        });
        println!("{}: {line}", case.what);
        assert!(line.contains(case.said), "{}: {line}", case.what);
        // The others go on, and nothing was written to the disk that is not ours.
        cluster.client(1).query(&format!("INSERT INTO t VALUES ({number})")).expect("the rest goes on");
        assert!(std::fs::read(&disk).expect("the disk") == spoiled, "{} was written to", case.what);
        cluster.fault(&["kill", "3"]);
        std::fs::write(&disk, &intact).expect("the disk put back");
        cluster.fault(&["restart", "3"]);
        let seen = cluster.client(3).row("SELECT count(*) FROM t");
        assert_eq!(seen, Ok((number + 1).to_string()), "with its own disk it takes part again");
    }
}

#[test]
fn garbage_on_the_sql_port_disturbs_nobody() {
    let _turn = turn();
    let cluster = Cluster::start("garbage", &["--host"]);
    let client = cluster.client(1);
    let noise: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let pieces: [&[u8]; 5] = [
        &noise,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 8, 0, 3, 0, 0, b'Q', 0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0],
    ];
    for piece in pieces {
        let mut stream = TcpStream::connect(("127.0.0.1", cluster.port(1))).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        // The node may have closed it before all is written.
        let _ = stream.write_all(piece);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.take(4096).read_to_end(&mut answer);
        let text: String = String::from_utf8_lossy(&answer).replace('\0', " ");
        println!("{:?}...: answered {text:?}", &piece[..piece.len().min(8)]);
        assert_eq!(client.row("SELECT 1").as_deref(), Ok("1"), "other sessions go on");
    }
    assert_eq!(cluster.client(1).row("SELECT 1").as_deref(), Ok("1"), "new sessions too");
}

/// A frame as a node sends it to all: Ethernet, IPv4 and UDP around `payload`.
fn broadcast_frame(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((28 + payload.len() as u16).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 3, 255, 255, 255, 255]);
    let words = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut udp = [port.to_be_bytes(), port.to_be_bytes()].concat();
    udp.extend((8 + payload.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    [&[0xff; 6][..], &[0x52, 0x54, 0, 0x77, 0, 3], &[8, 0], &ip, &udp, payload].concat()
}

#[test]
fn malformed_frames_are_refused_and_named() {
    let _turn = turn();
    let cluster = Cluster::start("frames", &[]);
    let switch = cluster.dir().join("net/switch3");
    if !switch.exists() {
        println!("this directory's path is long, so its sockets are elsewhere: nothing is tested");
        return;
    }
    let wire = UnixDatagram::unbound().expect("a socket");
    let peer_port = 7411;
    let frames = [
        vec![],
        vec![0xff; 5],
        vec![0xff; 14],
        vec![0xff; 60_000],
        broadcast_frame(peer_port, b""),
        broadcast_frame(peer_port, b"neither a magic number nor a checksum"),
        broadcast_frame(peer_port, &[0; 1400]),
    ];
    for frame in &frames {
        wire.send_to(frame, &switch).expect("the switch takes any datagram");
    }
    let line = cluster.wait("a line in the log", || {
        cluster.log(1).lines().find(|line| line.contains("malformed")).map(str::to_string)
    });
    println!("malformed datagrams: {line}");
    assert!(line.contains("10.77.0.3"), "it names the sender: {line}");
    let lines = cluster.log(1).lines().filter(|line| line.contains("malformed")).count();
    assert_eq!(lines, 1, "many refusals are one line");
    for node in 1..=3 {
        assert_eq!(cluster.client(node).row("SELECT 1").as_deref(), Ok("1"));
    }
}

#[test]
fn statements_are_refused_in_words_and_the_session_goes_on() {
    let _turn = turn();
    let cluster = Cluster::start("statements", &["--host"]);
    let client = cluster.client(2);
    client.query("CREATE TABLE t (id int PRIMARY KEY, body text)").expect("CREATE TABLE");
    let long = format!("1\t{}\n", "x".repeat(1_100_000));
    let over_long = client.copy_in("COPY t FROM STDIN", long.as_bytes());
    println!("an over-long row: {}", over_long.clone().expect_err("it is refused"));
    assert_eq!(over_long.as_ref().map_err(SqlFailure::state), Err(Some("54000")));
    client.query("INSERT INTO t VALUES (1, 'one')").expect("INSERT");
    let cases = [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT missing FROM t", "42703"),
        ("INSERT INTO t VALUES (1, 'again')", "23505"),
        ("INSERT INTO t VALUES (NULL, 'none')", "23502"),
        ("INSERT INTO t VALUES ('one', 'word')", "22P02"),
        ("SELECT 1 / 0", "22012"),
        ("CREATE TABLE t (id int)", "42P07"),
    ];
    for (sql, state) in cases {
        let refused = client.query(sql).expect_err(sql);
        assert_eq!(refused.state(), Some(state), "{sql}: {refused}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    let refused = client.query(&deep).expect_err("too deep");
    assert!(refused.state().is_some(), "nesting without end is refused in words: {refused}");
    assert_eq!(client.row("SELECT count(*) FROM t").as_deref(), Ok("1"), "the session goes on");
}
