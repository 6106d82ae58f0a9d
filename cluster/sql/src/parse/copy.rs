//! `COPY`

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold};
use crate::ast::{Copy, CopyFormat, CopySource, LineFormat, Statement};
use crate::error::{SqlError, SqlResult, SqlState};

impl Translator<'_> {
    pub(super) fn copy(
        &self,
        source: ast::CopySource,
        to: bool,
        target: &ast::CopyTarget,
        options: Vec<ast::CopyOption>,
        legacy_options: Vec<ast::CopyLegacyOption>,
    ) -> SqlResult<Statement> {
        match (to, target) {
            (false, ast::CopyTarget::Stdin) | (true, ast::CopyTarget::Stdout) => {}
            _ => return Err(SqlError::not_supported("COPY with a file or program of the server")),
        }
        let source = match source {
            ast::CopySource::Table { table_name, columns } => {
                CopySource::Table(self.table_name(&table_name)?, columns.iter().map(fold).collect())
            }
            ast::CopySource::Query(query) => CopySource::Query(self.boxed_query(query)?),
        };
        let format = copy_format(options, legacy_options)?;
        Ok(Statement::Copy(Copy { source, to, format }))
    }
}

/// The kinds of format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Csv,
    Binary,
}

fn kind(name: &ast::Ident) -> SqlResult<Kind> {
    match name.value.to_ascii_lowercase().as_str() {
        "text" => Ok(Kind::Text),
        "csv" => Ok(Kind::Csv),
        "binary" => Ok(Kind::Binary),
        other => {
            let message = alloc::format!("COPY format \"{other}\" not recognized");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// What `COPY` was told, before the defaults that depend on each other are filled in.
#[derive(Default)]
struct CopyOptions {
    kind: Option<Kind>,
    delimiter: Option<char>,
    null: Option<String>,
    header: bool,
    quote: Option<char>,
    escape: Option<char>,
}

fn copy_format(options: Vec<ast::CopyOption>, legacy: Vec<ast::CopyLegacyOption>) -> SqlResult<CopyFormat> {
    use ast::{CopyLegacyCsvOption as C, CopyLegacyOption as L, CopyOption as O};
    let mut all = CopyOptions::default();
    for option in options {
        match option {
            O::Format(name) => all.set_kind(kind(&name)?)?,
            O::Delimiter(delimiter) => all.delimiter = Some(delimiter),
            O::Null(null) => all.null = Some(null),
            O::Header(header) => all.header = header,
            O::Quote(quote) => all.quote = Some(quote),
            O::Escape(escape) => all.escape = Some(escape),
            O::Freeze(_) => {}
            O::Encoding(name) if is_utf8(&name) => {}
            other => return Err(SqlError::not_supported(&other.to_string())),
        }
    }
    for option in legacy {
        match option {
            L::Delimiter(delimiter) => all.delimiter = Some(delimiter),
            L::Null(null) => all.null = Some(null),
            L::Header => all.header = true,
            L::Binary => all.set_kind(Kind::Binary)?,
            L::Csv(options) => {
                all.set_kind(Kind::Csv)?;
                for option in options {
                    match option {
                        C::Header => all.header = true,
                        C::Quote(quote) => all.quote = Some(quote),
                        C::Escape(escape) => all.escape = Some(escape),
                        _ => return Err(SqlError::not_supported("this option of COPY")),
                    }
                }
            }
            _ => return Err(SqlError::not_supported("this option of COPY")),
        }
    }
    all.finish()
}

impl CopyOptions {
    /// The text formats have defaults that depend on each other; the binary one has nothing to set.
    fn finish(self) -> SqlResult<CopyFormat> {
        self.check_kind()?;
        if self.kind == Some(Kind::Binary) {
            return Ok(CopyFormat::Binary);
        }
        let csv = self.kind == Some(Kind::Csv);
        let delimiter = one_byte(self.delimiter, if csv { b',' } else { b'\t' }, "delimiter")?;
        let quote = one_byte(self.quote, b'"', "quote")?;
        let format = LineFormat {
            csv,
            delimiter,
            null: self.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".into() }),
            header: self.header,
            quote,
            escape: one_byte(self.escape, quote, "escape")?,
        };
        if format.csv && format.delimiter == format.quote {
            let message = "COPY delimiter and quote must be different";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if !format.csv && (format.delimiter == b'\\' || format.delimiter.is_ascii_alphanumeric()) {
            let message = "COPY delimiter cannot be a backslash, letter or digit";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        Ok(CopyFormat::Lines(format))
    }

    /// Refuses what the kind of format has no use for.
    fn check_kind(&self) -> SqlResult<()> {
        let syntax = |what: &str| SqlError::new(SqlState::SYNTAX_ERROR, what);
        let unsupported = |what: &str| SqlError::new(SqlState::NOT_SUPPORTED, what);
        let (binary, csv) = (self.kind == Some(Kind::Binary), self.kind == Some(Kind::Csv));
        match () {
            () if binary && self.delimiter.is_some() => {
                Err(syntax("cannot specify DELIMITER in BINARY mode"))
            }
            () if binary && self.null.is_some() => Err(syntax("cannot specify NULL in BINARY mode")),
            () if binary && self.header => Err(unsupported("cannot specify HEADER in BINARY mode")),
            () if !csv && self.quote.is_some() => Err(unsupported("COPY quote available only in CSV mode")),
            () if !csv && self.escape.is_some() => Err(unsupported("COPY escape available only in CSV mode")),
            () => Ok(()),
        }
    }

    fn set_kind(&mut self, kind: Kind) -> SqlResult<()> {
        match self.kind.replace(kind) {
            None => Ok(()),
            Some(_) => Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options")),
        }
    }
}

fn one_byte(given: Option<char>, default: u8, what: &str) -> SqlResult<u8> {
    let bad = |c: &u8| *c == b'\n' || *c == b'\r' || *c == 0 || !c.is_ascii();
    match given.map(u8::try_from) {
        None => Ok(default),
        Some(Ok(byte)) if !bad(&byte) => Ok(byte),
        Some(_) => {
            let message = alloc::format!("COPY {what} must be a single one-byte character");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

fn is_utf8(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode")
}
