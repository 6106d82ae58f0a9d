//! `relix image build`: one disk that boots by BIOS and by EFI, the same bytes from the same sources.
//!
//! ```text
//!  sector 0       2048                4096                        135168
//!  ┌─────────────┬───────────────────┬───────────────────────────┬──────────────┬────────┐
//!  │ boot code,  │ BIOS boot         │ EFI system partition      │ Relix data   │ table  │
//!  │ table       │ GRUB for BIOS     │ kernel, symbols, GRUB     │ blank        │ again  │
//!  └─────────────┴───────────────────┴───────────────────────────┴──────────────┴────────┘
//! ```

use std::path::Path;
use std::time::Instant;

use drivers_gpt::{BIOS_BOOT, EFI_SYSTEM, Guid, NewPartition, RELIX_DATA, Table};
use indicatif::HumanBytes;
use kernel_core::settings;

use crate::cli::{ImageBuildOptions, ImageFormat};
use crate::error::Failure;
use crate::image::boot_files::{BootFiles, GRUB_FOLDER, loadable};
use crate::image::sparse::{CLUSTER_LEN, SparseDisk};
use crate::image::{SECTOR_LEN, boot_files, checked, grub, qcow2};
use crate::kernel_image;
use crate::packages;
use crate::part_file::PartFile;
use crate::progress::{Progress, spinner};

/// Partitions begin at mebibytes, as most tools have it.
const BIOS_BOOT_START: u64 = 2048;
const BIOS_BOOT_SECTORS: u64 = 2048;
const BOOT_FILES_START: u64 = BIOS_BOOT_START + BIOS_BOOT_SECTORS;
/// 64 MiB: a few kernels.
const BOOT_FILES_SECTORS: u64 = 64 << 11;
const DATA_START: u64 = BOOT_FILES_START + BOOT_FILES_SECTORS;
/// The number of the partition with the boot files, from 1.
const BOOT_FILES_NUMBER: u32 = 2;

/// Runs it.
pub fn run(options: &ImageBuildOptions) -> Result<(), Failure> {
    let began = Instant::now();
    let settings = checked(settings::merge(options.settings.as_bytes(), ""))
        .map_err(|error| Failure::Argument(format!("--settings: {error}")))?;
    // Whether the file may be made is known before it takes a while.
    let mut file = PartFile::create(&options.out)?;
    packages::ensure_grub()?;
    let progress = spinner("building the kernel");
    let kernel = kernel_image::build(&progress);
    progress.finish_and_clear();
    let disk = disk(&kernel?, &settings, options.size << 20)?;
    let written = match options.format {
        ImageFormat::Raw => write_raw(&disk, &mut file)?,
        ImageFormat::Qcow2 => write_qcow2(&disk, &mut file)?,
    };
    file.finish()?;
    println!(
        "{} is a disk of {} MiB, {} in the file, after {:.1} s.",
        options.out.display(),
        options.size,
        HumanBytes(written),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// An identifier that is the same in each image: of what it is called.
fn id(name: &str) -> Guid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(format!("relix image: {name}").as_bytes()).as_bytes()[..16]);
    Guid::of_bytes(bytes)
}

/// The disk of `len` bytes.
fn disk(kernel: &Path, settings: &str, len: u64) -> Result<SparseDisk, Failure> {
    let failed = |problem: String| Failure::Program { program: "the image".into(), problem };
    let bytes = std::fs::read(kernel).map_err(Failure::file("read", kernel))?;
    let symbols = kernel_image::symbols(&bytes)?;
    let bytes = loadable(&bytes).ok_or_else(|| failed("the kernel is no ELF file".into()))?;
    let bios = grub::bios(BIOS_BOOT_START, BOOT_FILES_NUMBER, GRUB_FOLDER)?;
    if bios.core.len() as u64 > BIOS_BOOT_SECTORS * SECTOR_LEN {
        return Err(failed("GRUB does not fit its partition".into()));
    }
    let part = |kind, name, first, sectors| NewPartition { kind, id: id(name), name, first, sectors };
    let partitions = [
        part(BIOS_BOOT, "GRUB for BIOS", BIOS_BOOT_START, Some(BIOS_BOOT_SECTORS)),
        part(EFI_SYSTEM, "Relix boot files", BOOT_FILES_START, Some(BOOT_FILES_SECTORS)),
        part(RELIX_DATA, "Relix data", DATA_START, None),
    ];
    let table =
        Table::new(len / SECTOR_LEN, id("disk"), &partitions).map_err(|error| failed(error.to_string()))?;
    let mut disk = SparseDisk::new(len);
    for write in table.format(&bios.boot_code) {
        disk.write_at(write.sector * SECTOR_LEN, &write.bytes);
    }
    disk.write_at(BIOS_BOOT_START * SECTOR_LEN, &bios.core);
    let files =
        BootFiles { kernel: &bytes, symbols: &symbols, settings, efi_program: &grub::efi(GRUB_FOLDER)? };
    let partition = disk.window(BOOT_FILES_START * SECTOR_LEN, BOOT_FILES_SECTORS * SECTOR_LEN);
    let [a, b, c, d, ..] = id("volume").0;
    boot_files::write(partition, u32::from_le_bytes([a, b, c, d]), &files)?;
    Ok(disk)
}

/// Writes what is not zero, and leaves holes for the rest: how many bytes that are.
fn write_raw(disk: &SparseDisk, file: &mut PartFile) -> Result<u64, Failure> {
    let mut progress = Progress::new("written", Some(disk.clusters().count() as u64 * CLUSTER_LEN as u64));
    file.set_len(disk.len())?;
    let mut written = 0;
    for (number, bytes) in disk.clusters() {
        let at = number * CLUSTER_LEN as u64;
        let len = (disk.len() - at).min(CLUSTER_LEN as u64);
        file.write_at(at, &bytes[..len as usize])?;
        written += len;
        progress.show(written, None);
    }
    Ok(written)
}

fn write_qcow2(disk: &SparseDisk, file: &mut PartFile) -> Result<u64, Failure> {
    let mut progress = Progress::new("written", None);
    let mut written = 0;
    qcow2::write(disk, |bytes| {
        written += bytes.len() as u64;
        progress.show(written, None);
        file.write(bytes)
    })?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_stay() {
        assert_eq!(id("disk").to_string().len(), 36);
        assert_ne!(id("disk"), id("volume"));
        assert_eq!(id("disk"), id("disk"));
    }
}
