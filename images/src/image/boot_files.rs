//! The EFI system partition: kernel, symbols, GRUB's configuration, and GRUB where EFI looks for it.

use std::io::{self, Write};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions, format_volume};

use crate::error::Failure;
use crate::image::sparse::Window;

/// Where GRUB's configuration is.
pub const GRUB_FOLDER: &str = "/grub";
/// What the partition is called, in eleven letters.
const LABEL: [u8; 11] = *b"RELIX BOOT ";

/// What the partition holds.
pub struct BootFiles<'a> {
    /// The kernel, as GRUB loads it.
    pub kernel: &'a [u8],
    /// Its symbols, for backtraces.
    pub symbols: &'a [u8],
    /// `relix.KEY=VALUE` words.
    pub settings: &'a str,
    /// GRUB, as an EFI program.
    pub efi_program: &'a [u8],
}

/// What GRUB does: it shows itself on the serial line and the screen, and starts the kernel at once.
fn configuration(settings: &str) -> String {
    let words: String = settings.split_whitespace().map(|word| format!(" '{word}'")).collect();
    format!(
        "serial --unit=0 --speed=115200\n\
         terminal_input console serial\n\
         terminal_output console serial\n\
         multiboot2 /relix/kernel{words}\n\
         module2 /relix/symbols\n\
         boot\n"
    )
}

/// Makes a file system of `partition`. The same files give the same bytes: files are of 1 January 1980, which is what
/// `fatfs` writes without a clock.
pub fn write(mut partition: Window<'_>, id: u32, files: &BootFiles<'_>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Program {
        program: "the boot partition".into(),
        problem: match error.kind() {
            io::ErrorKind::WriteZero | io::ErrorKind::Other => format!("the kernel does not fit: {error}"),
            _ => error.to_string(),
        },
    };
    let options = FormatVolumeOptions::new().fat_type(FatType::Fat16).volume_id(id).volume_label(LABEL);
    format_volume(&mut partition, options).map_err(failed)?;
    let system = FileSystem::new(partition, FsOptions::new()).map_err(failed)?;
    for folder in ["relix", "grub", "EFI", "EFI/BOOT"] {
        system.root_dir().create_dir(folder).map_err(failed)?;
    }
    let configuration = configuration(files.settings);
    let contents: [(&str, &[u8]); 4] = [
        ("EFI/BOOT/BOOTX64.EFI", files.efi_program),
        ("grub/grub.cfg", configuration.as_bytes()),
        ("relix/kernel", files.kernel),
        ("relix/symbols", files.symbols),
    ];
    for (path, bytes) in contents {
        let mut file = system.root_dir().create_file(path).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.flush()).map_err(failed)?;
    }
    system.unmount().map_err(failed)
}

/// What of the kernel's file a loader needs: all up to the last byte that is loaded; no sections, no symbols. `None` if it
/// is not a 64-bit ELF file.
pub fn loadable(kernel: &[u8]) -> Option<Vec<u8>> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(*kernel.get(at..)?.first_chunk()?));
    let u16_at = |at: usize| Some(usize::from(u16::from_le_bytes(*kernel.get(at..)?.first_chunk()?)));
    if !kernel.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let (start, len, count) = (usize::try_from(u64_at(0x20)?).ok()?, u16_at(0x36)?, u16_at(0x38)?);
    let mut end = start + len * count;
    for header in (0..count).map(|index| start + index * len) {
        end = end.max(usize::try_from(u64_at(header + 0x08)?.checked_add(u64_at(header + 0x20)?)?).ok()?);
    }
    let mut file = kernel.get(..end)?.to_vec();
    // Where the sections were, how long and how many they are, and which has their names.
    file.get_mut(0x28..0x30)?.fill(0);
    file.get_mut(0x3a..0x40)?.fill(0);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sparse::SparseDisk;
    use std::io::Read;

    #[test]
    fn files_are_there_and_the_same_each_time() {
        let files = BootFiles {
            kernel: &[1; 100_000],
            symbols: &[2; 1000],
            settings: "relix.node=1  relix.ip=10.0.0.1/24",
            efi_program: b"MZ",
        };
        let made = || {
            let mut disk = SparseDisk::new(64 << 20);
            write(disk.window(0, 64 << 20), 7, &files).expect("they fit");
            disk
        };
        let (mut one, other) = (made(), made());
        assert!(one.clusters().eq(other.clusters()));
        let system = FileSystem::new(one.window(0, 64 << 20), FsOptions::new()).expect("a file system");
        let mut text = String::new();
        system
            .root_dir()
            .open_file("grub/grub.cfg")
            .expect("a file")
            .read_to_string(&mut text)
            .expect("text");
        assert!(text.contains("multiboot2 /relix/kernel 'relix.node=1' 'relix.ip=10.0.0.1/24'\n"), "{text}");
        let mut kernel = Vec::new();
        system.root_dir().open_file("relix/kernel").expect("a file").read_to_end(&mut kernel).expect("bytes");
        assert_eq!(kernel, files.kernel);
        let mut small = SparseDisk::new(8 << 20);
        let large = BootFiles { kernel: &vec![1; 9 << 20], ..files };
        let error = write(small.window(0, 8 << 20), 7, &large).expect_err("there is no room");
        assert!(error.to_string().starts_with("the boot partition: "), "{error}");
    }

    #[test]
    fn a_kernel_ends_with_what_is_loaded() {
        let mut kernel = vec![9; 4000];
        kernel[..5].copy_from_slice(b"\x7fELF\x02");
        let mut put = |at: usize, bytes: &[u8]| kernel[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x20, &64_u64.to_le_bytes());
        put(0x36, &[56, 0, 2, 0]);
        for (header, start, len) in [(64, 1000_u64, 500_u64), (120, 2000, 100)] {
            put(header + 8, &start.to_le_bytes());
            put(header + 32, &len.to_le_bytes());
        }
        let file = loadable(&kernel).expect("an ELF file");
        assert_eq!(file.len(), 2100);
        assert_eq!((&file[0x28..0x30], &file[0x3a..0x40]), (&[0; 8][..], &[0; 6][..]));
        assert!(loadable(b"MZ").is_none() && loadable(&kernel[..100]).is_none());
        put_far(&mut kernel);
        assert!(loadable(&kernel).is_none(), "it is cut short");
    }

    fn put_far(kernel: &mut [u8]) {
        kernel[64 + 32..64 + 40].copy_from_slice(&u64::MAX.to_le_bytes());
    }
}
