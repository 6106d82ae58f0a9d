//! A backup of host processes is restored into VMs, and files that are none are refused.

use std::fs;

use tests_vm::{Cluster, scratch_dir, turn};

use crate::tables::{agreed_checksum, load_airports};

#[test]
fn a_backup_of_one_cluster_is_restored_into_another() {
    let _turn = turn();
    let folder = scratch_dir("backup");
    fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (whole, damaged, short) = (path("whole"), path("damaged"), path("short"));
    let old = Cluster::start("backed-up", &["--host"]);
    load_airports(&old);
    let sums = agreed_checksum(&old);
    let said = old.relix(&["backup", "--out", &whole]).expect_success("relix backup");
    println!("{said}");
    assert!(said.contains("3,376 rows") && said.lines().count() == 1, "{said}");
    assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 1, "no FILE.part is left");
    let again = old.relix(&["backup", "--out", &whole]).expect_one_line_error("backup to the same file");
    assert!(again.contains("is there already"), "{again}");
    let bytes = fs::read(&whole).expect("the backup");
    let mut wrong = bytes.clone();
    wrong[bytes.len() / 2] ^= 4;
    fs::write(&damaged, &wrong).expect("a file");
    fs::write(&short, &bytes[..bytes.len() - 1]).expect("a file");

    let new = Cluster::start("restored", &["--memory", "64"]);
    for (file, what) in [(&damaged, "damaged"), (&short, "ends too early")] {
        let said = new.relix(&["restore", file]).expect_one_line_error(what);
        assert!(said.contains(what), "{said}");
    }
    let said = new.relix(&["restore", "--node", "2", &whole]).expect_success("relix restore");
    println!("{said}");
    assert!(said.contains("3,376 rows"), "{said}");
    assert_eq!(agreed_checksum(&new), sums);
    let full = new.relix(&["restore", &whole]).expect_one_line_error("restore into a cluster with tables");
    assert!(full.contains("there are tables already"), "{full}");
    let _ = fs::remove_dir_all(&folder);
}
