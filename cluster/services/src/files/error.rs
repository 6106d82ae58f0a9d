//! What a procedure on files fails with.

use alloc::string::String;
use core::fmt::{self, Write};

use cluster_sql::{SqlError, SqlState};

use super::{FILE_LEN_MAX, HOPS_MAX, PATH_LEN_MAX};

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// It cannot be done with what there is: whoever has asked is at fault. Nothing was changed, and the block may go on.
    Path {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The database has failed, and with it the block.
    Sql(SqlError),
}

/// What procedures on files return.
pub type FileResult<T> = Result<T, FileError>;

/// What is wrong with a path. The names in brackets are POSIX's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is nothing at it, or on the way to it. (ENOENT)
    NotFound,
    /// There is something already. (EEXIST)
    Exists,
    /// It, or something on the way to it, is none. (ENOTDIR)
    NotDirectory,
    /// It is one. (EISDIR)
    IsDirectory,
    /// The directory is not. (ENOTEMPTY)
    NotEmpty,
    /// The way to it is a circle, or looks like one. (ELOOP)
    TooManyLinks,
    /// A name, or the path. (ENAMETOOLONG)
    NameTooLong,
    /// The file would be. (EFBIG)
    TooLarge,
    /// That cannot be asked of it. (EINVAL)
    Invalid,
    /// A directory has one name. (EPERM)
    NotPermitted,
    /// Its owner has as much as is allowed. (EDQUOT)
    QuotaExceeded {
        /// Whose files they would be.
        owner: String,
        /// How much that one may have.
        max: i64,
        /// Of what: bytes, or files.
        unit: &'static str,
    },
}

impl FileError {
    /// What is wrong with a path.
    pub fn new(path: &str, problem: Problem) -> FileError {
        // Who gives too long a path gets the beginning back.
        let path = path[..path.floor_char_boundary(PATH_LEN_MAX)].into();
        FileError::Path { path, problem }
    }

    /// What is wrong with the path, unless it is the database that has failed.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            FileError::Path { problem, .. } => Some(problem),
            FileError::Sql(_) => None,
        }
    }
}

/// Rows that the constraints of their tables do not let anybody write.
pub(super) fn damaged() -> FileError {
    SqlError::new(SqlState::DATA_CORRUPTED, "rows of files are not what rows of files are").into()
}

impl From<SqlError> for FileError {
    fn from(error: SqlError) -> FileError {
        FileError::Sql(error)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Path { path, problem } => {
                // It is one line, whatever names there are.
                for letter in path.chars() {
                    if letter.is_control() {
                        write!(f, "{}", letter.escape_default())?;
                    } else {
                        f.write_char(letter)?;
                    }
                }
                write!(f, ": {problem}")
            }
            FileError::Sql(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotFound => f.write_str("no such file or directory"),
            Problem::Exists => f.write_str("file exists"),
            Problem::NotDirectory => f.write_str("not a directory"),
            Problem::IsDirectory => f.write_str("is a directory"),
            Problem::NotEmpty => f.write_str("directory not empty"),
            Problem::TooManyLinks => write!(f, "too many levels of symbolic links (more than {HOPS_MAX})"),
            Problem::NameTooLong => f.write_str("file name too long"),
            Problem::TooLarge => write!(f, "file too large ({FILE_LEN_MAX} bytes are the most)"),
            Problem::Invalid => f.write_str("invalid argument"),
            Problem::NotPermitted => f.write_str("operation not permitted"),
            Problem::QuotaExceeded { owner, max, unit } => {
                write!(f, "quota exceeded: {owner:?} may have {max} {unit}")
            }
        }
    }
}

impl core::error::Error for FileError {}
