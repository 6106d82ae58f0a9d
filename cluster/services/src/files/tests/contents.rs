//! Reading and writing, at and around the edges of blocks; and what counts it.

use alloc::vec;

use super::*;

const LEN: u64 = BLOCK_LEN as u64;

impl Disk {
    fn contents(&mut self, path: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let more = self.block(async |session| read(session, path, bytes.len() as u64, usize::MAX).await);
            match more.expect("it can be read") {
                more if more.is_empty() => return bytes,
                more => bytes.extend(more),
            }
        }
    }

    /// The blocks there are: number and length.
    fn blocks(&mut self) -> String {
        self.bench.run("SELECT number, octet_length(data) FROM sys.blocks ORDER BY inode, number")
    }
}

#[test]
fn what_is_written_is_read() {
    let mut disk = Disk::new();
    let said = disk.does(
        "create /f
         cat /f
         write /f 3 abc
         cat /f
         write /f 1 x
         cat /f
         append /f def
         cat /f 2 5
         cat /f 8 100
         cat /f 9 1
         cat /f 18446744073709551615 1
         cat /f 0 0
         append /f ''
         truncate /f 4
         truncate /f 7
         cat /f
         truncate /f 0
         cat /f
         cat /
         write / 0 x
         append / x
         truncate / 0
         cat /x
         write /x 0 x
         truncate /x 0",
    );
    assert_eq!(
        said,
        "...abc\n.x.abc\n6\n.abcd\nf\n9\n.x.a...\n/: is a directory\n/: is a directory\n\
         /: is a directory\n/: is a directory\n/x: no such file or directory\n\
         /x: no such file or directory\n/x: no such file or directory"
    );
}

#[test]
fn blocks_are_written_where_they_end() {
    let mut disk = Disk::new();
    disk.does("create /f");
    let mut expected: Vec<u8> = Vec::new();
    for (offset, len) in [
        (LEN, 10),
        (LEN - 1, 2),
        (0, 3 * LEN + 5),
        (3 * LEN, LEN),
        (2 * LEN, 3),
        (2 * LEN - 3, LEN + 6),
        (4 * LEN, 1),
        (4 * LEN + 1, 2 * LEN),
        (LEN, LEN),
        (5 * LEN, 70 * LEN),
    ] {
        let data: Vec<u8> = (0..len).map(|at| (at * 31 + offset + len) as u8 | 1).collect();
        let end = (offset + len) as usize;
        expected.resize(expected.len().max(end), 0);
        expected[offset as usize..end].copy_from_slice(&data);
        disk.block(async |session| write(session, "/f", offset, &data).await).expect("there is room");
        assert!(disk.contents("/f") == expected, "{len} at {offset}");
        assert_eq!(disk.damage(), "");
    }
    assert_eq!(
        disk.bench.run("SELECT count(*), sum(octet_length(data)) FROM sys.blocks"),
        format!("75 {}", 75 * LEN)
    );
    for size in [74 * LEN, 70 * LEN + 1, LEN - 1, 2 * LEN, 0] {
        expected.resize(size as usize, 0);
        disk.block(async |session| truncate(session, "/f", size).await).expect("it is there");
        assert!(disk.contents("/f") == expected, "{size}");
        assert_eq!(disk.damage(), "");
    }
    assert_eq!(disk.blocks(), "");
}

#[test]
fn holes_take_no_room() {
    let mut disk = Disk::new();
    let end = FILE_LEN_MAX - 1;
    let said =
        disk.does(&format!("create /f\nwrite /f {end} x\ncat /f {} 9\nstat /f\nwrite /f 100000 y", end - 2));
    assert_eq!(said, "..x\nfile 0644 relix 1073741824");
    assert_eq!(disk.blocks(), "6 1697, 65535 16384");
    assert_eq!(
        disk.does("cat /f 99999 3\ntruncate /f 99000\ntruncate /f 1073741824\ncat /f 99999 3"),
        ".y.\n..."
    );
    assert_eq!(disk.blocks(), "6 696");
    let read = disk.block(async |session| read(session, "/f", 5, usize::MAX).await);
    assert_eq!(read.map(|bytes| bytes.len()), Ok(READ_LEN_MAX));
    assert_eq!(disk.does("rm /f"), "");
    assert_eq!(disk.blocks(), "");
}

#[test]
fn files_have_an_end() {
    let mut disk = Disk::new();
    let most = "file too large (1073741824 bytes are the most)";
    let said = disk.does(
        "create /f
         write /f 1073741824 x
         write /f 9223372036854775807 x
         write /f 18446744073709551615 x
         truncate /f 1073741825
         truncate /f 18446744073709551615
         truncate /f 1073741824
         append /f x
         write /f 18446744073709551615 ''
         stat /f",
    );
    let lines = [&*format!("/f: {most}"); 5].join("\n");
    assert_eq!(said, format!("{lines}\n/f: {most}\nfile 0644 relix 1073741824"));
}

#[test]
fn a_long_file_goes_in_one_transaction() {
    let mut disk = Disk::new();
    disk.does("create /f\nmkdir /a\ncreate /a/g");
    let data = vec![7; READ_LEN_MAX];
    for part in 0..80 {
        disk.block(async |session| write(session, "/f", part << 20, &data).await).expect("there is room");
    }
    assert_eq!(disk.does("rm /f\nls /"), "a/");
    // More at once than a statement has memory for, in files of which each may go with others.
    for file in 0..20 {
        let path = format!("/a/{file}");
        disk.does(&format!("create {path}"));
        for part in 0..4 {
            disk.block(async |session| write(session, &path, part << 20, &data).await)
                .expect("there is room");
        }
    }
    assert_eq!(disk.does("rm -r /a\nls /"), "");
    assert_eq!(disk.blocks(), "");
    // The longest there is, with something in each block.
    disk.does("create /f\ntruncate /f 1073741824");
    for from in (0..65536).step_by(8192) {
        let rows = format!("SELECT inode, g, 'x' FROM sys.files, generate_series({from}, {}) g", from + 8191);
        assert_eq!(disk.bench.run(&format!("INSERT INTO sys.blocks {rows} WHERE path = '/f'")), "");
    }
    assert_eq!(disk.bench.run("SELECT count(*) FROM sys.blocks"), "65536");
    assert_eq!(disk.does("rm /f"), "");
    assert_eq!(disk.blocks(), "");
}

#[test]
fn owners_have_what_they_may() {
    let mut disk = Disk::new();
    let used = "SELECT owner, bytes_used, files_used FROM sys.quotas ORDER BY owner";
    disk.does("create /f of a\nwrite /f 0 text");
    disk.bench
        .run("INSERT INTO sys.quotas (owner, bytes_max, files_max) VALUES ('a', 10, 3), ('b', 5, NULL)");
    let said = disk.does(
        "append /f 1234567
         append /f 123456
         write /f 0 changed
         truncate /f 11
         truncate /f 9
         append /f 12
         create /g of b
         append /g 12345
         append /g 6
         chown b /f
         chown a /g
         truncate /g 1
         chown a /g
         create /h of a
         create /i of a
         ln /h /j
         chown a /
         rm /h
         rm /j
         create /i of a",
    );
    assert_eq!(
        said,
        "/f: quota exceeded: \"a\" may have 10 bytes\n4\n/f: quota exceeded: \"a\" may have 10 bytes\n\
         /f: quota exceeded: \"a\" may have 10 bytes\n0\n/g: quota exceeded: \"b\" may have 5 bytes\n\
         /f: quota exceeded: \"b\" may have 5 bytes\n/g: quota exceeded: \"a\" may have 10 bytes\n\
         /i: quota exceeded: \"a\" may have 3 files\n/: quota exceeded: \"a\" may have 3 files"
    );
    assert_eq!(disk.bench.run(used), "a 10 3, b 0 0");
    // Less may be allowed than there is.
    disk.bench.run("UPDATE sys.quotas SET bytes_max = 2, files_max = 1 WHERE owner = 'a'");
    assert_eq!(
        disk.does("write /f 0 x\ntruncate /f 5\nappend /f x"),
        "/f: quota exceeded: \"a\" may have 2 bytes"
    );
    assert_eq!(disk.bench.run(used), "a 6 3, b 0 0");
    // Whoever has written to the tables has it counted again.
    disk.bench.run("UPDATE sys.quotas SET bytes_used = NULL WHERE owner = 'a'");
    assert_eq!(disk.does("rm /i"), "");
    assert_eq!(disk.bench.run(used), "a 6 2, b 0 0");
    disk.bench.run("UPDATE sys.quotas SET bytes_max = NULL, files_max = NULL");
    assert_eq!(disk.does("mkdir /d\nmv /f /d/f\ncreate /d/k of a\nrm -r /d\nmkdir /e\nchown b /e"), "");
    assert_eq!(disk.bench.run(used), "a 1 1, b 0 1");
    // Links and directories count as well.
    assert_eq!(disk.does("ln -s 12345 /l\nchown b /l\nrmdir /e"), "/l: no such file or directory");
    assert_eq!(disk.bench.run(used), "a 1 1, b 0 0");
}
