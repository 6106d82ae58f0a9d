//! What names can mean.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::DataType;

/// The columns that names can mean: those of some tables, one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) tables: Vec<ScopeTable>,
}

/// A table as a statement names it.
#[derive(Clone, Debug)]
pub(crate) struct ScopeTable {
    /// What its columns may be qualified with.
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, DataType)>,
}

impl Scope {
    /// One table.
    pub(crate) fn of(name: String, columns: Vec<(String, DataType)>) -> Scope {
        Scope { tables: [ScopeTable { name, columns }].into() }
    }

    /// All columns, with their tables.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&ScopeTable, &str)> {
        let tables = self.tables.iter();
        tables.flat_map(|table| table.columns.iter().map(move |(name, _)| (table, name.as_str())))
    }

    /// The name of a column of the row, with its table's.
    pub(crate) fn name_of(&self, index: usize) -> String {
        let column = self.columns().nth(index);
        column.map_or_else(|| "?".into(), |(table, name)| format!("{}.{name}", table.name))
    }

    /// The table that is called so.
    pub(crate) fn table(&self, name: &str) -> SqlResult<&ScopeTable> {
        self.tables.iter().find(|table| table.name == name).ok_or_else(|| {
            let message = format!("missing FROM-clause entry for table \"{name}\"");
            SqlError::new(SqlState::UNDEFINED_TABLE, message)
        })
    }

    /// Where a column is in the row, and its type.
    pub(crate) fn column(&self, table: Option<&str>, name: &str) -> SqlResult<(usize, DataType)> {
        if let Some(table) = table {
            self.table(table)?;
        }
        let mut found = Vec::new();
        let mut before = 0;
        for known in &self.tables {
            let columns = known.columns.iter().enumerate().filter(|(_, (column, _))| column == name);
            if table.is_none_or(|table| known.name == table) {
                found.extend(columns.map(|(at, (_, data_type))| (before + at, *data_type)));
            }
            before += known.columns.len();
        }
        match found[..] {
            [column] => Ok(column),
            [] => {
                let message = match table {
                    Some(table) => format!("column {table}.{name} does not exist"),
                    None => format!("column \"{name}\" does not exist"),
                };
                Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
            }
            _ => {
                let message = format!("column reference \"{name}\" is ambiguous");
                Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message))
            }
        }
    }
}
