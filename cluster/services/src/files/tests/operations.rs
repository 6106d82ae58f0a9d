//! Each operation, and what it fails with.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::task::Poll;

use super::*;
use crate::bench::poll;

#[test]
fn files_are_made_and_found() {
    let mut disk = Disk::new();
    let said = disk.does(
        "mkdir /a
         mkdir /a/b/
         create /a/b/f
         create /a/b/f
         create /a/b/f new
         stat /a/b/f
         stat /a//./b/../b/f
         stat /../a/.
         stat /
         links /
         ls /
         ls /a/
         ls /a/b
         ls /a/b/f
         stat /a/x
         stat /x/y
         stat /a/b/f/
         stat /a/b/f/x
         stat /a/b/f/.
         create /a/g/
         create /a
         mkdir /a
         mkdir /
         mkdir /x/y
         mkdir /a/b/f/x",
    );
    assert_eq!(
        said,
        "/a/b/f: file exists\n\
         file 0644 relix 0\n\
         file 0644 relix 0\n\
         directory 0755 relix 0\n\
         directory 0755 relix 0\n\
         1\n\
         a/\n\
         b/\n\
         f\n\
         /a/b/f: not a directory\n\
         /a/x: no such file or directory\n\
         /x/y: no such file or directory\n\
         /a/b/f/: not a directory\n\
         /a/b/f/x: not a directory\n\
         /a/b/f/.: not a directory\n\
         /a/g/: is a directory\n\
         /a: is a directory\n\
         /a: file exists\n\
         /: file exists\n\
         /x/y: no such file or directory\n\
         /a/b/f/x: not a directory"
    );
}

#[test]
fn directories_are_made_with_those_above() {
    let mut disk = Disk::new();
    let said = disk.does(
        "mkdir -p /a/b/c
         mkdir -p /a/b/../d//e/
         mkdir -p /
         ls /a
         ls /a/d
         create /a/f
         mkdir -p /a/f
         mkdir -p /a/f/g
         ln -s /nowhere /l
         mkdir -p /l/x",
    );
    assert_eq!(
        said,
        "b/ d/\ne/\n/a/f: file exists\n/a/f/g: not a directory\n/l/x: no such file or directory"
    );
}

#[test]
fn what_is_no_path_is_refused() {
    let mut disk = Disk::new();
    let mut stat = |path: &str| match disk.block(async |session| stat(session, path).await) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert_eq!(stat(""), ": no such file or directory");
    assert_eq!(stat("a"), "a: invalid argument");
    assert_eq!(stat("/a\0b\n"), "/a\\u{0}b\\n: invalid argument");
    let name = "x".repeat(NAME_LEN_MAX);
    assert_eq!(stat(&format!("/{name}")), format!("/{name}: no such file or directory"));
    assert_eq!(stat(&format!("/{name}x")), format!("/{name}x: file name too long"));
    assert_eq!(stat(&"/.".repeat(PATH_LEN_MAX / 2)), "");
    let long = "/".repeat(PATH_LEN_MAX);
    assert_eq!(stat(&format!("{long}/")), format!("{long}: file name too long"));
    let long = "ä".repeat(PATH_LEN_MAX);
    assert!(stat(&format!("/{long}")).ends_with("ä: file name too long"));
    let made = disk.block(async |session| make_directories(session, &format!("/{name}/x"), NEW).await);
    assert!(made.is_ok());
    for new in [New { mode: 0o10000, ..NEW }, New { owner: "", ..NEW }, New { owner: "\0", ..NEW }] {
        let made = disk.block(async |session| create(session, "/f", new, true).await);
        assert_eq!(made, Err(FileError::new("/f", Problem::Invalid)));
    }
    assert_eq!(disk.does("chmod 10000 /\nchown '' /"), "/: invalid argument\n/: invalid argument");
}

#[test]
fn names_are_listed_in_their_order_and_page_by_page() {
    let mut disk = Disk::new();
    let said = disk.does(
        "create /b
         create /B
         create /ä
         create /a
         mkdir /a-
         ls /
         ls / '' 2
         ls / a 2
         ls / aa 1
         ls / ä 5
         ls / a 0",
    );
    assert_eq!(said, "B a a-/ b ä\nB a\na-/ b\nb");
    let many = |first: usize| {
        (first..first + 700).map(|number| format!("create /a-/{number:05}\n")).collect::<String>()
    };
    disk.does(&many(0));
    disk.does(&many(700));
    let listed =
        disk.block(async |session| list(session, "/a-", "", usize::MAX).await).expect("they are there");
    assert_eq!(listed.len(), LIST_MAX);
    assert_eq!(disk.does("ls /a- 01397 10"), "01398 01399");
    assert_eq!(disk.does("rm -r /a-\nls /"), "B a b ä");
}

#[test]
fn symbolic_links_are_followed() {
    let mut disk = Disk::new();
    let said = disk.does(
        "mkdir -p /a/b
         ln -s b/../../f /a/l
         create /a/l
         ls /
         write /a/l 0 text
         cat /f
         stat /a/l
         lstat /a/l
         readlink /a/l
         ls /a
         create /a/l new
         mkdir /a/l
         ln -s /a/b /d
         create /d/g
         ls /a/b
         stat /d
         lstat /d
         lstat /d/
         readlink /d/
         readlink /f
         ln -s /a/b /a/b/m
         create /a/b/m/h
         ls /a/b/m/m/m
         ln -s f/ /e
         stat /e
         rmdir /d
         rmdir /d/
         rm /d/
         rm /d
         rm /a/l
         ls /a/b
         cat /f",
    );
    assert_eq!(
        said,
        "a/ f\ntext\nfile 0644 relix 4\nlink 0777 relix 9\nb/../../f\nb/ l->b/../../f\n\
         /a/l: file exists\n/a/l: file exists\ng\ndirectory 0755 relix 0\nlink 0777 relix 4\n\
         directory 0755 relix 0\n/d/: invalid argument\n/f: invalid argument\ng h m->/a/b\n/e: not a directory\n\
         /d: not a directory\n/d/: not a directory\n/d/: not a directory\ng h m->/a/b\ntext"
    );
}

#[test]
fn ways_in_circles_end() {
    let mut disk = Disk::new();
    let most = "too many levels of symbolic links (more than 40)";
    let said = disk.does("ln -s l /l\nstat /l\nln -s ../m/x /m\nstat /m\ncreate /m\nlstat /l");
    assert_eq!(said, format!("/l: {most}\n/m: {most}\n/m: {most}\nlink 0777 relix 1"));
    disk.does("create /0");
    for number in 1..=41 {
        disk.does(&format!("ln -s {} /{number}", number - 1));
    }
    assert_eq!(disk.does("stat /40\nstat /41"), format!("file 0644 relix 0\n/41: {most}"));
    let mut link =
        |target: &str| disk.block(async |session| symlink(session, target, "/s", "relix").await).err();
    assert_eq!(link(""), Some(FileError::new("/s", Problem::NotFound)));
    assert_eq!(link("\0"), Some(FileError::new("/s", Problem::Invalid)));
    assert_eq!(link(&"x".repeat(PATH_LEN_MAX + 1)), Some(FileError::new("/s", Problem::NameTooLong)));
    assert_eq!(link(&"x".repeat(PATH_LEN_MAX)), None);
    assert!(disk.does("stat /s").ends_with(": file name too long"));
}

#[test]
fn a_file_has_many_names() {
    let mut disk = Disk::new();
    let said = disk.does(
        "mkdir /a
         create /f
         write /f 0 text
         ln /f /a/g
         links /f
         ln /f /a/g
         ln /f /a/
         ln /f /h/
         ln /a /b
         ln /x /b
         ln -s /f /l
         ln /l /m
         lstat /m
         rm /f
         links /a/g
         cat /a/g
         append /a/g !
         rm /a
         rm /a/h
         rm /
         rm /a/g
         ls /a",
    );
    assert_eq!(
        said,
        "2\n/a/g: file exists\n/a/: file exists\n/h/: no such file or directory\n/a: operation not permitted\n\
         /x: no such file or directory\nlink 0777 relix 2\n1\ntext\n4\n/a: is a directory\n\
         /a/h: no such file or directory\n/: is a directory"
    );
    assert_eq!(disk.bench.run("SELECT count(*) FROM sys.blocks"), "0");
}

#[test]
fn names_are_changed() {
    let mut disk = Disk::new();
    let said = disk.does(
        "mkdir -p /a/b/c
         create /f
         write /f 0 text
         mv /f /a/g
         mv /a/g /a/b/
         mv /a/g /a/b
         mv /a/g /h/
         mv /a/g /a/b/g
         ln /a/b/g /a/h
         mv /a/h /a/b/g
         ls /a
         create /i
         mv /i /a/h
         links /a/b/g
         cat /a/b/g
         mv /a /a/b/c/d
         mv /a /a
         mv /a/. /b
         mv / /b
         mv /i /..
         mv /x /y
         mkdir /e
         create /e/x
         mv /a/b/c /e
         mv /e /a/b/c
         mv /a/h /a/b/c
         mv /a/b/c /a/h
         mv /a/b/c/ /z/
         mv /e /z
         ls /
         ls /z",
    );
    assert_eq!(
        said,
        "/a/b/: is a directory\n/a/b: is a directory\n/h/: not a directory\nb/ h\n1\ntext\n\
         /a/b/c/d: invalid argument\n/a/.: invalid argument\n/: invalid argument\n\
         /i: no such file or directory\n/x: no such file or directory\n/e: directory not empty\n\
         /a/b/c: is a directory\n/a/h: not a directory\n/e: no such file or directory\na/ z/\nx"
    );
}

#[test]
fn directories_are_removed() {
    let mut disk = Disk::new();
    let said = disk.does(
        "mkdir -p /a/b/c
         create /a/b/f
         ln /a/b/f /g
         append /g text
         ln -s / /a/b/c/l
         rmdir /a
         rmdir /a/b/f
         rmdir /a/b/c/..
         rmdir /
         rmdir /x
         rm -r /
         rm -r /a/.
         rm -r /x
         rm /a/b/c/l
         rmdir /a/b/c/
         ls /a/b
         mkdir -p /a/b/d/e
         create /a/b/d/x
         append /a/b/d/x text
         ln -s / /a/b/d/e/l
         rm -r /a
         ls /
         cat /g
         links /g
         rm -r /g",
    );
    assert_eq!(
        said,
        "0\n/a: directory not empty\n/a/b/f: not a directory\n/a/b/c/..: invalid argument\n/: invalid argument\n\
         /x: no such file or directory\n/: invalid argument\n/a/.: invalid argument\n\
         /x: no such file or directory\nf\n0\ng\ntext\n1"
    );
    assert_eq!(disk.bench.run("SELECT count(*) FROM sys.inodes"), "1");
}

#[test]
fn what_is_said_of_a_file_is_changed() {
    let mut disk = Disk::new();
    disk.does("create /f\nln -s f /l");
    disk.bench.database.set_wall_micros(1_000_000_100_000_000);
    assert_eq!(
        disk.does("chmod 4755 /l\nchown somebody /l\nstat /f\nlstat /l"),
        "file 4755 somebody 0\nlink 0777 relix 1"
    );
    let times =
        "SELECT path, modified_at - created_at, changed_at - created_at FROM sys.files WHERE path > '/'";
    assert_eq!(disk.bench.run(times), "/f 00:00:00 00:01:40, /l 00:00:00 00:00:00");
    disk.does("write /f 0 x");
    assert_eq!(disk.bench.run(times), "/f 00:01:40 00:01:40, /l 00:00:00 00:00:00");
    disk.does("touch /f");
    assert_eq!(disk.bench.run("SELECT modified_at FROM sys.files WHERE path = '/f'"), "infinity");
}

#[test]
fn many_changes_are_one_transaction() {
    let mut disk = Disk::new();
    let outside = block_on(stat(&mut disk.bench.session, "/"));
    assert_eq!(
        outside.map_err(|error| error.to_string()).map(drop),
        Err("files are changed in a transaction block (SQLSTATE 25P01)".into())
    );
    disk.begin();
    for line in ["mkdir /a", "create /a/f", "append /a/f text", "ln /a/f /g", "rm /a/f", "rmdir /a"] {
        assert!(block_on(command(&mut disk.bench.session, line)).is_ok());
    }
    assert_eq!(disk.bench.run("SELECT path, size FROM sys.files"), "/ 0, /g 4");
    disk.bench.session.abandon_block();
    assert_eq!(disk.does("ls /"), "");
    // What does not work is no reason to give the others up.
    disk.begin();
    for (line, works) in
        [("mkdir /a", true), ("mkdir /a", false), ("create /x/y", false), ("create /a/f", true)]
    {
        assert_eq!(block_on(command(&mut disk.bench.session, line)).is_ok(), works);
    }
    disk.commit();
    assert_eq!(disk.does("ls /a"), "f");
}

#[test]
fn those_who_make_files_in_one_directory_do_not_meet() {
    let mut disk = Disk::new();
    disk.does("mkdir /a");
    let mut other = Disk {
        bench: Bench {
            session: disk.bench.another(),
            database: disk.bench.database.clone(),
            cancel: Arc::default(),
            seconds: 0,
        },
    };
    for (one, two, works) in [
        ("create /a/f", "create /a/g", true),
        ("rm /a/f", "mkdir /a/h", true),
        ("create /a/i", "create /a/i", false),
        ("rmdir /a/h", "create /a/h/x", false),
        ("mv /a /b", "create /a/j", false),
    ] {
        disk.begin();
        other.begin();
        assert!(block_on(command(&mut disk.bench.session, one)).is_ok(), "{one}");
        let mut second = Box::pin(command(&mut other.bench.session, two));
        // Who comes to a row that another changes waits for its end.
        let done = (0..100)
            .find_map(|_| if let Poll::Ready(done) = poll(second.as_mut()) { Some(done) } else { None });
        assert!(done.is_some() || !works, "{two} waits for {one}");
        disk.commit();
        let done = match done.unwrap_or_else(|| block_on(second)) {
            Ok(_) => block_on(other.bench.session.end_block()).map_err(FileError::Sql),
            Err(error) => Err(error),
        };
        assert_eq!(done.is_ok(), works, "{one}, {two}: {done:?}");
        other.bench.session.abandon_block();
        assert_eq!(disk.damage(), "");
    }
    assert_eq!(disk.does("ls /\nls /b"), "b/\ng i");
}

#[test]
fn one_transaction_makes_thousands_of_files() {
    let mut disk = Disk::new();
    let made = disk.block(async |session| {
        for number in 0..3000 {
            create(session, &format!("/f{number}"), NEW, true).await?;
        }
        Ok(())
    });
    assert_eq!(made, Ok(()));
    assert_eq!(disk.bench.run("SELECT count(*) FROM sys.entries"), "3000");
}
