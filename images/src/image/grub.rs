//! GRUB, as the system's packages have it: one image for BIOS, of a boot sector and what that loads; one for EFI.
//!
//! What `grub-bios-setup` writes to a disk is written here, to a file: the places in the boot sector and in the first
//! sector of the core image are those of GRUB 2 (its `include/grub/i386/pc/boot.h`, and `grub-core/boot/i386/pc`).

use std::path::Path;
use std::process::{Command, Stdio};

use drivers_gpt::BOOT_CODE_LEN;

use crate::error::Failure;
use crate::image::SECTOR_LEN;

/// What puts images together.
pub const PROGRAM: &str = "grub-mkimage";
/// Where packages put what it puts together.
pub const FOLDER: &str = "/usr/lib/grub";

/// What reads the partition, runs the configuration, and starts the kernel.
const MODULES: [&str; 7] = ["part_gpt", "fat", "normal", "boot", "multiboot2", "serial", "terminal"];

/// Where the boot sector names the sector of the core image: 64 bits.
const CORE_SECTOR_AT: usize = 0x5c;
/// Where the boot sector jumps over a check of the drive number: without the jump, BIOSes that give none get one.
const DRIVE_CHECK_AT: usize = 0x66;
const NO_OPERATION: u8 = 0x90;
/// Where the core image's first sector has the list of what follows it: start and length in sectors, 64 and 16 bits.
const LIST_AT: usize = 500;

/// GRUB for BIOS.
pub struct Bios {
    /// For the disk's first sector.
    pub boot_code: [u8; BOOT_CODE_LEN],
    /// For a partition of its own, whole sectors.
    pub core: Vec<u8>,
}

/// What `sectors`, where the core image will be, makes of the two parts.
fn placed(boot: &[u8], mut core: Vec<u8>, sector: u64) -> Option<Bios> {
    let mut boot_code = *boot.first_chunk::<BOOT_CODE_LEN>()?;
    boot_code[CORE_SECTOR_AT..CORE_SECTOR_AT + 8].copy_from_slice(&sector.to_le_bytes());
    boot_code[DRIVE_CHECK_AT..DRIVE_CHECK_AT + 2].fill(NO_OPERATION);
    core.resize(core.len().next_multiple_of(SECTOR_LEN as usize), 0);
    let rest = u16::try_from(core.len() as u64 / SECTOR_LEN).ok()?.checked_sub(1)?;
    let list = core.get_mut(LIST_AT..LIST_AT + 10)?;
    list[..8].copy_from_slice(&(sector + 1).to_le_bytes());
    list[8..].copy_from_slice(&rest.to_le_bytes());
    Some(Bios { boot_code, core })
}

/// GRUB for BIOS, whose core image begins at `sector`. It reads its configuration from `folder` on partition `partition`
/// of the disk it was loaded from.
pub fn bios(sector: u64, partition: u32, folder: &str) -> Result<Bios, Failure> {
    let path = Path::new(FOLDER).join("i386-pc/boot.img");
    let boot = std::fs::read(&path).map_err(Failure::file("read", &path))?;
    let core = mkimage("i386-pc", &format!("(,gpt{partition}){folder}"), &["biosdisk"])?;
    placed(&boot, core, sector)
        .ok_or_else(|| failed("GRUB's image for BIOS is none that is understood".into()))
}

/// GRUB for EFI: a program that reads its configuration from `folder` on the partition it was loaded from.
pub fn efi(folder: &str) -> Result<Vec<u8>, Failure> {
    mkimage("x86_64-efi", folder, &[])
}

fn failed(problem: String) -> Failure {
    Failure::Program { program: PROGRAM.into(), problem }
}

/// Has an image put together. The program wants a file of its own to write it to.
fn mkimage(format: &str, prefix: &str, more: &[&str]) -> Result<Vec<u8>, Failure> {
    let folder = format!("{FOLDER}/{format}");
    let to = std::env::temp_dir().join(format!("relix-grub-{}-{format}", std::process::id()));
    let mut command = Command::new(PROGRAM);
    command.args(["-O", format, "-d", &folder, "-p", prefix, "-o"]).arg(&to).args(MODULES).args(more);
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()));
    let image = std::fs::read(&to);
    let _ = std::fs::remove_file(&to);
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().last().unwrap_or("it said nothing").trim();
        return Err(failed(format!("no image for {format}: {line}")));
    }
    image.map_err(Failure::file("read", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_where_grub_reads_them() {
        let boot: Vec<u8> = (0..512).map(|at| at as u8).collect();
        let Bios { boot_code, core } = placed(&boot, vec![7; 1000], 0x1_0203).expect("it has the length");
        assert_eq!(boot_code[0x5c..0x64], [3, 2, 1, 0, 0, 0, 0, 0]);
        assert_eq!(boot_code[0x64..0x69], [0x64, 0x65, 0x90, 0x90, 0x68]);
        assert_eq!(core.len(), 1024);
        assert_eq!(core[498..512], [7, 7, 4, 2, 1, 0, 0, 0, 0, 0, 1, 0, 7, 7]);
        assert!(placed(&boot, Vec::new(), 1).is_none() && placed(&[], vec![7; 1000], 1).is_none());
    }
}
