//! The `relix` command: found once, run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether its exit status is zero.
    pub success: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Its standard output, if it succeeded.
    ///
    /// # Panics
    /// If it failed.
    pub fn expect_success(self, what: &str) -> String {
        assert!(self.success, "{what} failed: {}{}", self.out, self.err);
        self.out
    }

    /// The one line it gave as its error.
    ///
    /// # Panics
    /// If it succeeded, or said more than one line, or none.
    pub fn expect_one_line_error(self, what: &str) -> String {
        assert!(!self.success, "{what} succeeded: {}", self.out);
        let mut lines = self.err.lines().filter(|line| !line.trim().is_empty());
        let (first, second) = (lines.next(), lines.next());
        assert!(first.is_some() && second.is_none(), "{what}: not one line of error: {:?}", self.err);
        first.unwrap_or_default().to_string()
    }
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the `relix` executable is: built on the first call, in the profile of the tests, from the same
/// selection of packages as `cargo run`.
///
/// # Panics
/// If it cannot be built.
pub fn relix() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let release: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
        build(&[&["--bin", "relix"], release].concat(), &[])
    })
}

/// Builds what `words` name for `cargo build`, in this environment and `variables`: where the executable is.
///
/// # Panics
/// If it cannot be built.
pub fn build(words: &[&str], variables: &[(&str, &str)]) -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--message-format", "json"]).args(words).current_dir(repository());
    command.envs(variables.iter().copied());
    let messages = run(&mut command).expect_success("cargo build");
    let values = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = values.filter_map(|value| Some(PathBuf::from(value.get("executable")?.as_str()?)));
    executables.next_back().expect("cargo names the executable it has built")
}

/// Whether a program is on the path.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(program).is_file())
}
