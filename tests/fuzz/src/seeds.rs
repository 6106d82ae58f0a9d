//! `seeds`: lists the targets. `seeds TARGET FOLDER`: writes its seeds there, and prints the longest bytes it takes.

// What is built for coverage calls it, here as well.
#[cfg(fuzzing)]
use libfuzzer_sys as _;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder] = &arguments[..] else {
        tests_fuzz::TARGETS.iter().for_each(|target| println!("{:16} {}", target.name, target.about));
        return ExitCode::SUCCESS;
    };
    let Some(target) = tests_fuzz::target(name) else {
        eprintln!("There is no target '{name}'; without arguments, this lists them.");
        return ExitCode::FAILURE;
    };
    for (number, seed) in (target.seeds)().iter().enumerate() {
        let path = Path::new(folder).join(format!("seed-{number}"));
        if let Err(error) = std::fs::write(&path, seed) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{}", target.len_max);
    ExitCode::SUCCESS
}
