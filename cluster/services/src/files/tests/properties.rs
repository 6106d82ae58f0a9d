//! Any operations, one after the other, against the model.

use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::model::{LIMITED, Meant, Model, What};
use super::*;

#[derive(Clone, Debug)]
enum Operation {
    Create(String, &'static str, bool),
    MakeDirectory(String, &'static str),
    Symlink(String, String),
    Link(String, String),
    Rename(String, String),
    Remove(String, Meant),
    Write(String, Option<u64>, usize),
    Truncate(String, u64),
    SetMode(String, u32),
    SetOwner(String, &'static str),
}

/// What becomes of the transaction afterwards.
#[derive(Clone, Copy, Debug)]
enum End {
    GoesOn,
    Commit,
    Abandon,
}

fn path() -> impl Strategy<Value = String> {
    let name =
        prop_oneof![10 => "[ab]", 2 => Just("c".into()), 1 => Just("..".into()), 1 => Just(".".into())];
    let slash = prop_oneof![8 => Just(""), 1 => Just("/")];
    (prop::collection::vec(name, 1..4), slash)
        .prop_map(|(names, slash)| format!("/{}{slash}", names.join("/")))
}

fn target() -> impl Strategy<Value = String> {
    (path(), any::<bool>()).prop_map(|(path, relative)| if relative { path[1..].into() } else { path })
}

/// Positions at and around edges of blocks.
fn position() -> impl Strategy<Value = u64> {
    let near = prop_oneof![Just(-1i64), Just(0), Just(1), -20_000i64..20_000];
    (0..4i64, near).prop_map(|(block, near)| (block * BLOCK_LEN as i64 + near).max(0).cast_unsigned())
}

fn operation() -> impl Strategy<Value = Operation> {
    let owner = || prop_oneof![3 => Just("relix"), 1 => Just(LIMITED)];
    let meant = prop_oneof![3 => Just(Meant::Other), 2 => Just(Meant::Directory), 1 => Just(Meant::Tree)];
    let offset = prop_oneof![3 => position().prop_map(Some), 1 => Just(None)];
    let len = prop_oneof![1 => Just(BLOCK_LEN), 3 => 0usize..40_000];
    prop_oneof![
        4 => (path(), owner(), any::<bool>()).prop_map(|(path, owner, new)| Operation::Create(path, owner, new)),
        4 => (path(), owner()).prop_map(|(path, owner)| Operation::MakeDirectory(path, owner)),
        2 => (target(), path()).prop_map(|(target, path)| Operation::Symlink(target, path)),
        2 => (path(), path()).prop_map(|(path, new)| Operation::Link(path, new)),
        4 => (path(), path()).prop_map(|(path, new)| Operation::Rename(path, new)),
        2 => (path(), meant).prop_map(|(path, meant)| Operation::Remove(path, meant)),
        5 => (path(), offset, len).prop_map(|(path, offset, len)| Operation::Write(path, offset, len)),
        2 => (path(), position()).prop_map(|(path, size)| Operation::Truncate(path, size)),
        1 => (path(), 0..0o10000u32).prop_map(|(path, mode)| Operation::SetMode(path, mode)),
        1 => (path(), owner()).prop_map(|(path, owner)| Operation::SetOwner(path, owner)),
    ]
}

/// So that there is something at many paths.
fn beginning() -> impl IntoIterator<Item = (Operation, End)> {
    let directory = |path: &str| Operation::MakeDirectory(path.into(), "relix");
    let file = |path: &str, len| {
        [Operation::Create(path.into(), "relix", true), Operation::Write(path.into(), Some(1), len)]
    };
    let directories = ["/a", "/a/b", "/b"].map(directory);
    let files = [file("/a/a", 20_000), file("/a/b/a", 5), file("/b/b", 70_000)].into_iter().flatten();
    let links = [("../b", "/a/b/b"), ("/a/b", "/b/a")]
        .map(|(target, path)| Operation::Symlink(target.into(), path.into()));
    directories.into_iter().chain(files).chain(links).map(|operation| (operation, End::Commit))
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![2 => Just(End::GoesOn), 3 => Just(End::Commit), 1 => Just(End::Abandon)]
}

impl Operation {
    async fn on_tables(&self, session: &mut Session<MemoryDatabase>) -> FileResult<()> {
        match self {
            Operation::Create(path, owner, new) => {
                create(session, path, New { owner, ..NEW }, *new).await.map(drop)
            }
            Operation::MakeDirectory(path, owner) => {
                make_directory(session, path, New { owner, ..NEW }).await.map(drop)
            }
            Operation::Symlink(target, path) => symlink(session, target, path, "relix").await.map(drop),
            Operation::Link(path, new) => link(session, path, new).await,
            Operation::Rename(path, new) => rename(session, path, new).await,
            Operation::Remove(path, Meant::Other) => unlink(session, path).await,
            Operation::Remove(path, Meant::Directory) => remove_directory(session, path).await,
            Operation::Remove(path, Meant::Tree) => remove_tree(session, path).await,
            Operation::Write(path, Some(offset), len) => write(session, path, *offset, &data(*len)).await,
            Operation::Write(path, None, len) => append(session, path, &data(*len)).await.map(drop),
            Operation::Truncate(path, size) => truncate(session, path, *size).await,
            Operation::SetMode(path, mode) => set_mode(session, path, *mode).await,
            Operation::SetOwner(path, owner) => set_owner(session, path, owner).await,
        }
    }

    fn on_model(&self, model: &mut Model) -> Result<(), Problem> {
        match self {
            Operation::Create(path, owner, new) => model.create(path, owner, *new),
            Operation::MakeDirectory(path, owner) => model.make_directory(path, owner),
            Operation::Symlink(target, path) => model.symlink(target, path),
            Operation::Link(path, new) => model.link(path, new),
            Operation::Rename(path, new) => model.rename(path, new),
            Operation::Remove(path, meant) => model.remove(path, *meant),
            Operation::Write(path, offset, len) => model.write(path, *offset, &data(*len)),
            Operation::Truncate(path, size) => model.truncate(path, *size),
            Operation::SetMode(path, mode) => model.set_mode(path, *mode),
            Operation::SetOwner(path, owner) => model.set_owner(path, owner),
        }
    }
}

/// Bytes that are different from others, and from zeros.
fn data(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 7 + len) % 255 + 1) as u8).collect()
}

/// Looks at all that is in the tables below of a directory: it is what the model has.
async fn compare(
    session: &mut Session<MemoryDatabase>,
    model: &Model,
    known: &mut BTreeMap<usize, i64>,
    path: &str,
    id: usize,
) -> FileResult<()> {
    let inode = stat_link(session, path).await?;
    let node = model.node(id);
    assert_eq!(*known.entry(id).or_insert(inode.id), inode.id, "{path} is another name of another");
    assert_eq!(
        (inode.mode, &*inode.owner, inode.size),
        (node.mode, node.owner, model.len(id) as u64),
        "{path}"
    );
    assert_eq!(links(session, path).await?, model.names(id) as u64, "{path}");
    match &node.what {
        What::File(bytes) => {
            assert!(read(session, path, 0, usize::MAX).await? == *bytes, "contents of {path}");
        }
        What::Link(target) => assert_eq!(&read_link(session, path).await?, target),
        What::Directory(entries) => {
            let listed = list(session, path, "", usize::MAX).await?;
            let names: Vec<&String> = listed.iter().map(|(name, _)| name).collect();
            assert_eq!(names, entries.keys().collect::<Vec<_>>(), "{path}");
            for (name, id) in entries {
                let path = format!("{}/{name}", path.trim_end_matches('/'));
                alloc::boxed::Box::pin(compare(session, model, known, &path, *id)).await?;
            }
        }
    }
    Ok(())
}

fn check(disk: &mut Disk, model: &Model) {
    let mut known = BTreeMap::new();
    block_on(compare(&mut disk.bench.session, model, &mut known, "/", 0)).expect("it can be read");
    let inodes: alloc::collections::BTreeSet<&i64> = known.values().collect();
    assert_eq!(inodes.len(), known.len(), "two are one");
    assert_eq!(disk.bench.run("SELECT count(*) FROM sys.inodes"), known.len().to_string());
    assert_eq!(disk.damage(), "");
    let used = disk.bench.run("SELECT bytes_used, files_used FROM sys.quotas WHERE bytes_used IS NOT NULL");
    let (bytes, files) = model.used();
    assert!(used.is_empty() || used == format!("{bytes} {files}"), "{used}, not {bytes} {files}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn files_are_what_the_model_says(
        steps in prop::collection::vec((operation(), end()), 1..48),
        bytes_max in 0..80_000i64,
        files_max in 0..5i64,
    ) {
        let mut disk = Disk::new();
        disk.bench.run(&format!("INSERT INTO sys.quotas VALUES ('{LIMITED}', {bytes_max}, {files_max})"));
        let mut model = Model::new(bytes_max, files_max);
        let mut committed = model.clone();
        disk.begin();
        for (operation, end) in beginning().into_iter().chain(steps) {
            let done = block_on(operation.on_tables(&mut disk.bench.session));
            let done = done.map_err(|error| error.problem().cloned().unwrap_or_else(|| panic!("{operation:?}: {error}")));
            prop_assert_eq!(done, operation.on_model(&mut model), "{:?}", operation);
            check(&mut disk, &model);
            match end {
                End::GoesOn => continue,
                End::Commit => {
                    disk.commit();
                    committed = model.clone();
                }
                End::Abandon => {
                    disk.bench.session.abandon_block();
                    model = committed.clone();
                }
            }
            disk.begin();
        }
    }
}

#[test]
fn the_model_itself_says_no() {
    let mut model = Model::new(0, 0);
    assert_eq!(model.make_directory("/a", "relix"), Ok(()));
    assert_eq!(model.rename("/a", "/a/b"), Err(Problem::Invalid));
    assert_eq!(model.symlink("l", "/l"), Ok(()));
    assert_eq!(model.write("/l", None, &[0]), Err(Problem::TooManyLinks));
}
