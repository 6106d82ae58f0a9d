//! The tables by themselves: what SQL sees of files, and what it cannot break.

use super::*;

#[test]
fn all_files_are_seen_by_their_paths() {
    let mut disk = Disk::new();
    disk.does(
        "mkdir -p /a/b\ncreate /a/f\nln /a/f /a/b/g\nappend /a/f text\nln -s ../f /a/b/l\nchmod 1640 /a/f",
    );
    assert_eq!(
        disk.bench.run("SELECT path, kind, size, mode, owner, target FROM sys.files ORDER BY path"),
        "/ directory 0 0755 relix -, /a directory 0 0755 relix -, /a/b directory 0 0755 relix -, \
         /a/b/g file 4 1640 relix -, /a/b/l link 4 0777 relix ../f, /a/f file 4 1640 relix -"
    );
    let two = "SELECT count(*) FROM sys.files f JOIN sys.files g USING (inode) WHERE f.path < g.path";
    assert_eq!(disk.bench.run(two), "1");
    // Paths are as long as they may be, and others are not seen.
    let name = "x".repeat(NAME_LEN_MAX);
    let long = format!("/{name}").repeat(PATH_LEN_MAX / (NAME_LEN_MAX + 1));
    assert!(disk.block(async |session| make_directories(session, &long, NEW).await).is_ok());
    let longest = "SELECT max(octet_length(path)) FROM sys.files";
    assert_eq!(disk.bench.run(longest), "4096");
    let moved = disk.block(async |session| rename(session, &format!("/{name}"), &format!("/a/{name}")).await);
    assert_eq!(moved, Ok(()));
    assert_eq!(disk.bench.run(longest), "3842");
    assert_eq!(disk.does("rm -r /a"), "");
}

/// As the README does it.
#[test]
fn files_are_made_by_sql() {
    let mut disk = Disk::new();
    let sql = "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner, size) VALUES ('file', 420, 'ann', 5) RETURNING id), \
               e AS (INSERT INTO sys.entries (directory, name, inode) SELECT 1, 'greeting', id FROM i) \
               INSERT INTO sys.blocks (inode, number, data) SELECT id, 0, 'hello' FROM i";
    assert_eq!(disk.bench.run(sql), "");
    assert_eq!(disk.does("cat /greeting\nappend /greeting !\nls /"), "hello\n5\ngreeting");
    assert_eq!(
        disk.bench.run("SELECT path, kind, size, mode, owner FROM sys.files"),
        "/ directory 0 0755 relix, /greeting file 6 0644 ann"
    );
    let contents = "SELECT convert_from(b.data, 'UTF8') FROM sys.files f JOIN sys.blocks b USING (inode) \
                    WHERE f.path = '/greeting'";
    assert_eq!(disk.bench.run(contents), "hello!");
}

#[test]
fn rows_that_are_no_files_are_refused() {
    let mut disk = Disk::new();
    disk.does("create /f\nmkdir /a\ncreate /a/g\nln -s f /l");
    let before = disk.bench.run("SELECT * FROM sys.files");
    for sql in [
        "INSERT INTO sys.inodes (kind, mode, owner) VALUES ('pipe', 0, 'x')",
        "INSERT INTO sys.inodes (kind, mode, owner) VALUES ('link', 0, 'x')",
        "INSERT INTO sys.inodes (kind, mode, owner, target) VALUES ('file', 0, 'x', 'y')",
        "INSERT INTO sys.inodes (kind, mode, owner, target) VALUES ('link', 0, 'x', 'y')",
        "UPDATE sys.inodes SET mode = 4096",
        "UPDATE sys.inodes SET mode = -1",
        "UPDATE sys.inodes SET size = -1",
        "UPDATE sys.inodes SET size = 1 WHERE id = 1",
        "UPDATE sys.inodes SET size = 1073741825 WHERE kind = 'file'",
        "UPDATE sys.inodes SET owner = ''",
        "DELETE FROM sys.inodes",
        "DELETE FROM sys.inodes WHERE id = 1",
        "UPDATE sys.inodes SET id = 100 WHERE kind = 'file'",
        "INSERT INTO sys.entries VALUES (1, 'x', 99)",
        "INSERT INTO sys.entries VALUES (99, 'x', 2)",
        "INSERT INTO sys.entries VALUES (1, 'f', 2)",
        "INSERT INTO sys.entries SELECT inode, 'x', 1 FROM sys.files WHERE path = '/a'",
        "INSERT INTO sys.entries SELECT inode, 'x', inode FROM sys.files WHERE path = '/a'",
        "UPDATE sys.entries SET name = ''",
        "UPDATE sys.entries SET name = '.' WHERE name = 'f'",
        "UPDATE sys.entries SET name = '..' WHERE name = 'f'",
        "UPDATE sys.entries SET name = 'x/y' WHERE name = 'f'",
        "UPDATE sys.entries SET name = repeat('x', 256) WHERE name = 'f'",
        "INSERT INTO sys.blocks VALUES (99, 0, '')",
        "INSERT INTO sys.blocks VALUES (2, -1, '')",
        "INSERT INTO sys.blocks VALUES (2, 65536, '')",
        "INSERT INTO sys.blocks SELECT 2, 0, decode(repeat('00', 16385), 'hex')",
        "INSERT INTO sys.quotas (owner, bytes_max) VALUES ('x', -1)",
    ] {
        assert!(disk.bench.run(sql).contains("SQLSTATE 23"), "{sql}");
    }
    assert_eq!(disk.bench.run("SELECT * FROM sys.files"), before);
}

/// They are not refused, but do not make anything run for ever, or panic.
#[test]
fn rows_that_make_no_sense_give_errors() {
    let mut disk = Disk::new();
    disk.does("mkdir -p /a/b/c\ncreate /f\ncreate /a/g\nappend /a/g text\nln -s x /l");
    // Entries in a file; a directory with a name below of itself; blocks that a file does not have.
    for sql in [
        "INSERT INTO sys.entries SELECT f.inode, 'x', g.inode FROM sys.files f, sys.files g \
         WHERE f.path = '/f' AND g.path = '/a/g'",
        "INSERT INTO sys.entries SELECT c.inode, 'loop', a.inode FROM sys.files c, sys.files a \
         WHERE c.path = '/a/b/c' AND a.path = '/a'",
        "INSERT INTO sys.blocks SELECT inode, 3, 'beyond' FROM sys.files WHERE path = '/f'",
        "UPDATE sys.inodes SET size = 100 WHERE kind = 'file'",
    ] {
        assert_eq!(disk.bench.run(sql), "", "{sql}");
    }
    assert_eq!(disk.tries("stat /f/x"), "/f/x: not a directory");
    assert_eq!(disk.tries("ls /a/b/c/loop/b"), "c/");
    assert_eq!(disk.tries("mv /a /a/b/c/loop/b/d"), "/a/b/c/loop/b/d: invalid argument");
    assert_eq!(disk.tries("cat /a/g 2 4"), "xt..");
    assert_eq!(disk.tries("cat /f 98 9"), "..");
    assert_eq!(disk.tries("rm -r /a"), "");
    assert_eq!(disk.tries("ls /"), "f l->x");
    // What is in it is in its way.
    assert!(disk.tries("rm /f").contains("entries_directory_fkey"));
    assert_eq!(disk.bench.run("DELETE FROM sys.entries WHERE name = 'x'; "), "");
    assert_eq!(disk.bench.run("DELETE FROM sys.entries"), "");
    assert_eq!(disk.bench.run("DELETE FROM sys.inodes"), "");
    assert_eq!(disk.bench.run("SELECT count(*) FROM sys.blocks"), "0");
    assert_eq!(disk.tries("ls /"), "/: no such file or directory");
    assert!(disk.tries("create /f").contains("SQLSTATE 23503"));
}
