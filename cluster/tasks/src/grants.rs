//! What a program may ask for.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::limits::NAME_LEN_MAX;
use crate::text::shown;

/// One thing that a program may ask for, if it is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// To run SQL statements.
    Sql,
    /// To write to the log.
    Log,
    /// To see random numbers.
    Random,
    /// To see what time it is.
    Time,
    /// To be run again later.
    Sleep,
    /// To read and write files.
    Files,
}

impl Grant {
    /// All there are.
    pub const ALL: [Grant; 6] =
        [Grant::Sql, Grant::Log, Grant::Random, Grant::Time, Grant::Sleep, Grant::Files];

    /// Its name: a word of small letters.
    pub fn name(self) -> &'static str {
        match self {
            Grant::Sql => "sql",
            Grant::Log => "log",
            Grant::Random => "random",
            Grant::Time => "time",
            Grant::Sleep => "sleep",
            Grant::Files => "files",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// All that a program may ask for, besides reading its arguments and saying how it ended. As text, names and commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants(u8);

impl Grants {
    /// Nothing.
    pub const NONE: Grants = Grants(0);

    /// Everything.
    pub fn all() -> Grants {
        Grant::ALL.into_iter().fold(Grants::NONE, Grants::with)
    }

    /// These and one more.
    pub fn with(self, grant: Grant) -> Grants {
        Grants(self.0 | grant.bit())
    }

    /// Whether it is one of them.
    pub fn has(self, grant: Grant) -> bool {
        self.0 & grant.bit() != 0
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = Grant::ALL.into_iter().filter(|grant| self.has(*grant));
        for (index, grant) in granted.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", grant.name())?;
        }
        Ok(())
    }
}

/// A name that is no grant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownGrant {
    /// What it was, cut.
    pub name: String,
}

impl fmt::Display for UnknownGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no privilege \"{}\": there are {}", self.name, Grants::all())
    }
}

impl core::error::Error for UnknownGrant {}

impl FromStr for Grants {
    type Err = UnknownGrant;

    /// Names and commas, with spaces around them or not; an empty text is [`Grants::NONE`].
    ///
    /// # Errors
    /// If one of the names is not a grant's.
    fn from_str(text: &str) -> Result<Grants, UnknownGrant> {
        if text.trim().is_empty() {
            return Ok(Grants::NONE);
        }
        text.split(',').map(str::trim).try_fold(Grants::NONE, |grants, name| {
            let named = Grant::ALL.into_iter().find(|grant| grant.name() == name);
            named
                .map(|grant| grants.with(grant))
                .ok_or_else(|| UnknownGrant { name: shown(name, NAME_LEN_MAX) })
        })
    }
}
