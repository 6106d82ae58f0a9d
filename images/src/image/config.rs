//! `relix image config`: a config drive, by which a machine is told its settings. The same words give the same bytes.

use kernel_core::settings::{self, SettingsError};

use crate::cli::ImageConfigOptions;
use crate::error::Failure;
use crate::image::checked;
use crate::part_file::PartFile;

/// Runs it.
pub fn run(options: &ImageConfigOptions) -> Result<(), Failure> {
    let drive = drive(&options.words)?;
    let mut file = PartFile::create(&options.out)?;
    file.write(&drive)?;
    file.finish()?;
    println!("{} is a config drive: give it to the machine as one more virtio disk.", options.out.display());
    Ok(())
}

/// The bytes of the drive.
fn drive(words: &[String]) -> Result<Vec<u8>, Failure> {
    let is_comment = |word: &&String| word.trim_start().starts_with('#');
    if let Some(word) = words.iter().find(is_comment) {
        return Err(Failure::Argument(SettingsError::NoSetting(word.clone()).to_string()));
    }
    let user_data = format!("#relix\n{}\n", words.join("\n"));
    checked(settings::late(user_data.as_bytes())).map_err(Failure::Argument)?;
    // Other systems have to tell one drive from another.
    let id = blake3::hash(user_data.as_bytes()).to_hex();
    Ok(drivers_cidata::volume(user_data.as_bytes(), format!("instance-id: relix-{}\n", &id[..16]).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_has_what_a_node_takes_and_nothing_else() {
        let drive = |words: &[&str]| drive(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>());
        let bytes = drive(&["relix.node=2", "relix.ip=10.77.0.2/24"]).expect("they are settings");
        assert_eq!(bytes, drive(&["relix.node=2", "relix.ip=10.77.0.2/24"]).expect("the same"));
        let mut search = drivers_cidata::Search::new(bytes.len() as u64 / 512, settings::LEN_MAX);
        while let Some(sectors) = search.wanted() {
            search.arrived(bytes.get(sectors.start as usize * 512..sectors.end as usize * 512));
        }
        let user_data = search.finish().expect("a whole one").expect("a config drive");
        let line = settings::late(&user_data).expect("settings");
        assert_eq!(line.trim(), "relix.node=2 relix.ip=10.77.0.2/24");
        for (words, why) in [
            (&["relix.nod=2"][..], "unknown setting 'relix.nod'"),
            (&["#relix.node=2"], "'#relix.node=2' among the settings is no relix.KEY=VALUE"),
            (&["node=2"], "'node=2' among the settings is no relix.KEY=VALUE"),
            (&["relix.node=0"], "it should be a number from 1 on"),
            (&["relix.disk-cache=back"], "counts before disks are found"),
            (&["relix.peers=2@10.0.0.2,2@x"], "nodes and addresses"),
        ] {
            let error = drive(words).expect_err("it is wrong").to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
