//! The data disks: files that take space as they are written, and may grow.

use std::fs::{File, OpenOptions};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::Path;

use drivers_gpt::RELIX_DATA;

use crate::cluster::Cluster;
use crate::error::Failure;
use crate::image::{DiskFile, SECTOR_LEN};
use crate::layout::Layout;

/// The size of a new cluster's disks in MiB, unless told otherwise: 4 GiB.
pub const DISK_MIB: u64 = 4096;

/// The sizes that a disk may have, in MiB: from the least that a node takes to the most that it makes use of.
pub const DISK_MIB_RANGE: RangeInclusive<u64> = 8..=256 << 20;

/// The sizes that an image may have, in MiB: it has 66 before the data, and some beside them.
pub const IMAGE_MIB_RANGE: RangeInclusive<u64> = 80..=256 << 20;

/// Makes the disk of a node that has none yet: blank, or a copy of an image.
pub fn make(layout: &Layout, cluster: &Cluster, node: u8) -> Result<(), Failure> {
    let path = layout.disk(node);
    if path.exists() {
        return Ok(());
    }
    // Under another name until it is whole.
    let part = path.with_extension("part");
    let file = File::create(&part).map_err(Failure::file("create", &part))?;
    file.set_len(cluster.disk_mib << 20).map_err(Failure::file("size", &part))?;
    if let Some((image, _)) = cluster.image() {
        copy(&DiskFile::open(image)?, &file, &part)?;
    }
    std::fs::rename(&part, &path).map_err(Failure::file("create", path))
}

/// Copies what `image` holds to the front of a file of zeros.
fn copy(image: &DiskFile, file: &File, path: &Path) -> Result<(), Failure> {
    const STEP: u64 = 128;
    for sector in (0..image.sectors()).step_by(STEP as usize) {
        let mut bytes = vec![0; (STEP.min(image.sectors() - sector) * SECTOR_LEN) as usize];
        image.read(sector, &mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(&bytes, sector * SECTOR_LEN).map_err(Failure::file("write", path))?;
        }
    }
    Ok(())
}

/// An error if it is no image, or the disks would have no room for it.
pub fn check_image(path: &Path, disk_mib: u64) -> Result<(), Failure> {
    let image = DiskFile::open(path)?;
    if image.table()?.is_none_or(|found| found.table.find(RELIX_DATA).is_err()) {
        return Err(Failure::Argument(format!(
            "{} is no image of Relix: make one with 'relix image build'",
            path.display()
        )));
    }
    let needed = (image.sectors() * SECTOR_LEN).div_ceil(1 << 20);
    match needed <= disk_mib {
        true => Ok(()),
        false => Err(Failure::Argument(format!(
            "{} is a disk of {needed} MiB, and the nodes' have {disk_mib}: give --disk-mib {needed} or more",
            path.display()
        ))),
    }
}

/// An error if the disks have more than so many MiB.
pub fn check(layout: &Layout, cluster: &Cluster, mib: u64) -> Result<(), Failure> {
    if mib < cluster.disk_mib {
        return Err(Failure::Argument(format!(
            "the data disks in {} have {} MiB and do not shrink: give --disk-mib {} or more, or use --fresh to begin anew, \
             or another --dir",
            layout.dir().display(),
            cluster.disk_mib,
            cluster.disk_mib
        )));
    }
    Ok(())
}

/// Gives all disks so many MiB; nodes that run are to be told. An error, and nothing is changed, if they have more. While a
/// fabric runs, only that does this: it makes the disks of nodes that have none.
pub fn grow(layout: &Layout, cluster: &mut Cluster, mib: u64) -> Result<(), Failure> {
    check(layout, cluster, mib)?;
    if mib == cluster.disk_mib {
        return Ok(());
    }
    let len = cluster.disk_mib << 20..mib << 20;
    cluster.node_ids().try_for_each(|node| lengthen(&layout.disk(node), len.start, len.end))?;
    // Last: should this be cut short, the same command does the rest.
    cluster.disk_mib = mib;
    cluster.save(layout)
}

/// Lengthens a file of `least` bytes or more to `len`. One that is shorter has lost something: its node is to say so, rather
/// than to find zeros in place of what was there.
fn lengthen(path: &Path, least: u64, len: u64) -> Result<(), Failure> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        // It will be made as long as it should be.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("open", path)(error)),
    };
    let now = file.metadata().map_err(Failure::file("measure", path))?.len();
    match (least..len).contains(&now) {
        // Durable before the node is told: its superblock will say how large the disk is.
        true => file.set_len(len).and_then(|()| file.sync_all()).map_err(Failure::file("grow", path)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Runner;

    #[test]
    fn disks_grow_and_do_not_shrink() {
        let dir = std::env::temp_dir().join(format!("relix-disks-{}", std::process::id()));
        let layout = Layout::new(&dir).expect("a directory");
        layout.create().expect("it is made");
        let mut cluster = Cluster {
            name: "relix-test".into(),
            founders: 5,
            nodes: 5,
            base_port: 40_000,
            disk_mib: 10,
            discovers: false,
            host_tables_mib: 1,
            runner: Runner::Host,
            dhcp: false,
            ntp: false,
            ip6: false,
            fabrics: 1,
        };
        make(&layout, &cluster, 1).expect("a disk");
        // As it should be, truncated, larger by hand but not large enough, and large enough; the fifth has none.
        for (node, mib) in [(2, 9), (3, 15), (4, 30)] {
            File::create(layout.disk(node)).and_then(|file| file.set_len(mib << 20)).expect("a disk");
        }
        let mib = |node| std::fs::metadata(layout.disk(node)).map(|data| data.len() >> 20).ok();
        let all = || [1, 2, 3, 4, 5].map(mib);
        let before = all();
        assert_eq!(before, [Some(10), Some(9), Some(15), Some(30), None]);
        let refused = grow(&layout, &mut cluster, 9).expect_err("it is smaller").to_string();
        assert!(refused.contains("10 MiB") && refused.contains("--disk-mib 10"), "{refused}");
        grow(&layout, &mut cluster, 10).expect("they have that");
        assert_eq!(all(), before);
        grow(&layout, &mut cluster, 20).expect("they grow");
        assert_eq!(all(), [Some(20), Some(9), Some(20), Some(30), None]);
        make(&layout, &cluster, 5).expect("a disk");
        assert_eq!(mib(5), Some(20));
        assert_eq!(Cluster::load(&layout).expect("it is there"), Some(cluster));
        layout.wipe().expect("it is removed");
    }
}
