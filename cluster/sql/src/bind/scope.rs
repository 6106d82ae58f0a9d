//! What names can mean.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::DataType;

/// The columns that names can mean: those of some tables, one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) tables: Vec<ScopeTable>,
    /// In the order of `*`.
    pub(crate) columns: Vec<ScopeColumn>,
    /// How many columns a row has.
    pub(crate) width: usize,
}

/// A table as a statement names it.
#[derive(Clone, Debug)]
pub(crate) struct ScopeTable {
    /// What its columns may be qualified with.
    pub(crate) name: String,
    /// Where its columns are in the row.
    pub(crate) row: Range<usize>,
    /// Where those of its primary key are.
    pub(crate) key: Vec<usize>,
}

/// A column as a statement names it.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// Its table; none if a join made it of two.
    pub(crate) table: Option<String>,
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// Where it is in the row.
    pub(crate) index: usize,
    /// A column that a join has merged with another of its name: only its table's name leads to it.
    pub(crate) merged: bool,
    /// A column that no star stands for.
    pub(crate) hidden: bool,
}

impl Scope {
    /// One table.
    pub(crate) fn of(name: String, columns: Vec<(String, DataType)>) -> Scope {
        let width = columns.len();
        let table = ScopeTable { name, row: 0..width, key: Vec::new() };
        let mut scope = Scope { tables: [table].into(), columns: Vec::new(), width };
        let columns = columns.into_iter().enumerate();
        scope.add_columns(columns.map(|(index, (name, data_type))| (index, name, data_type)));
        scope
    }

    /// Adds columns of the last table: where they are, their names and types.
    pub(crate) fn add_columns(&mut self, columns: impl Iterator<Item = (usize, String, DataType)>) {
        let table = self.tables.last().map(|table| table.name.clone());
        self.columns.extend(columns.map(|(index, name, data_type)| ScopeColumn {
            table: table.clone(),
            name,
            data_type,
            index,
            merged: false,
            hidden: false,
        }));
    }

    /// Adds a column of the last table behind the others that only its name leads to.
    pub(crate) fn add_hidden(&mut self, name: &str, data_type: DataType) {
        let table = self.tables.last_mut();
        let table = table.map(|table| {
            table.row.end += 1;
            table.name.clone()
        });
        let column = ScopeColumn {
            table,
            name: name.into(),
            data_type,
            index: self.width,
            merged: false,
            hidden: true,
        };
        self.columns.push(column);
        self.width += 1;
    }

    /// Puts the columns of `other` behind these.
    pub(crate) fn append(&mut self, other: Scope) -> SqlResult<()> {
        for table in &other.tables {
            if self.tables.iter().any(|known| known.name == table.name) {
                let message = format!("table name \"{}\" specified more than once", table.name);
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
            }
        }
        let by = self.width;
        self.tables.extend(other.tables.into_iter().map(|mut table| {
            table.row = table.row.start + by..table.row.end + by;
            table.key.iter_mut().for_each(|column| *column += by);
            table
        }));
        self.columns.extend(other.columns.into_iter().map(|mut column| {
            column.index += by;
            column
        }));
        self.width += other.width;
        Ok(())
    }

    /// The columns that `*` stands for, or `table.*`.
    pub(crate) fn all(&self, table: Option<&str>) -> SqlResult<Vec<&ScopeColumn>> {
        match table {
            None if self.tables.is_empty() => {
                let message = "SELECT * with no tables specified is not valid";
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
            }
            None => Ok(self.columns.iter().filter(|column| !column.merged && !column.hidden).collect()),
            Some(name) => {
                self.table(name)?;
                Ok(self
                    .columns
                    .iter()
                    .filter(|column| !column.hidden && column.table.as_deref() == Some(name))
                    .collect())
            }
        }
    }

    /// The name of a column of the row, with its table's.
    pub(crate) fn name_of(&self, index: usize) -> String {
        let column = self.columns.iter().find(|column| column.index == index);
        column.map_or_else(
            || "?".into(),
            |column| match &column.table {
                Some(table) => format!("{table}.{}", column.name),
                None => column.name.clone(),
            },
        )
    }

    /// The table that is called so.
    pub(crate) fn table(&self, name: &str) -> SqlResult<&ScopeTable> {
        self.tables.iter().find(|table| table.name == name).ok_or_else(|| {
            let message = format!("missing FROM-clause entry for table \"{name}\"");
            SqlError::new(SqlState::UNDEFINED_TABLE, message)
        })
    }

    /// The column of this name, if there is one.
    pub(crate) fn find(&self, table: Option<&str>, name: &str) -> SqlResult<Option<&ScopeColumn>> {
        let mut found = self.columns.iter().filter(|column| {
            column.name == name
                && match table {
                    None => !column.merged,
                    table => column.table.as_deref() == table,
                }
        });
        match (found.next(), found.next()) {
            (found, None) => Ok(found),
            _ => {
                let message = format!("column reference \"{name}\" is ambiguous");
                Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message))
            }
        }
    }

    /// Where a column is in the row, and its type.
    pub(crate) fn column(&self, table: Option<&str>, name: &str) -> SqlResult<(usize, DataType)> {
        match self.find(table, name)? {
            Some(column) => Ok((column.index, column.data_type)),
            None => {
                if let Some(table) = table {
                    self.table(table)?;
                }
                Err(undefined_column(table, name))
            }
        }
    }
}

/// 42703
pub(crate) fn undefined_column(table: Option<&str>, name: &str) -> SqlError {
    let message = match table {
        Some(table) => format!("column {table}.{name} does not exist"),
        None => format!("column \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}
