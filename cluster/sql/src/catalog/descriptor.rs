//! What is known of a table, a view, a sequence.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Deferral, RoutineDescriptor, Trigger};
use crate::key::{self, KeyOrder};
use crate::types::{DataType, Datum};

/// What a name in a schema stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Descriptor {
    /// A stored table.
    Table(TableDescriptor),
    /// A query with a name.
    View(ViewDescriptor),
    /// A source of numbers.
    Sequence(SequenceDescriptor),
    /// An index: the name of its table, in the same schema.
    Index(String),
    /// The schema itself.
    Schema,
    /// A function or a procedure.
    Routine(RoutineDescriptor),
}

impl Descriptor {
    /// What it is called in messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Descriptor::Table(_) => "table",
            Descriptor::View(_) => "view",
            Descriptor::Sequence(_) => "sequence",
            Descriptor::Index(_) => "index",
            Descriptor::Schema => "schema",
            Descriptor::Routine(routine) if routine.is_procedure => "procedure",
            Descriptor::Routine(_) => "function",
        }
    }
}

/// What a column holds when an insert does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ColumnDefault {
    /// A constant; NULL if none was declared.
    Value(Datum),
    /// The time of the transaction.
    Now,
    /// What this expression gives each time.
    Expression(String),
}

/// Whether a column counts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// It does not.
    No,
    /// And takes nothing else, unless told so.
    Always,
    /// If nothing else is given.
    ByDefault,
}

/// A column of a stored table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// What its declaration adds to the type, as the length of a `varchar(n)`.
    pub modifier: Option<u32>,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Its default.
    pub default: ColumnDefault,
    /// Whether it counts by itself.
    pub identity: Identity,
    /// What rows hold that were written before it was there.
    pub missing: Datum,
    /// It is no more; what rows hold in its place means nothing.
    pub dropped: bool,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
}

impl Column {
    /// A column without anything special.
    pub fn new(name: &str, data_type: DataType) -> Column {
        Column {
            name: name.into(),
            data_type,
            modifier: None,
            not_null: false,
            default: ColumnDefault::Value(Datum::Null),
            identity: Identity::No,
            missing: Datum::Null,
            dropped: false,
            comment: None,
        }
    }
}

/// A stored table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDescriptor {
    /// Names its rows' keys; never used again after the table is dropped.
    pub id: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the key that rows are stored by, in order; none if rows have a hidden id.
    pub primary_key: Vec<u16>,
    /// The name of the primary key's constraint.
    pub primary_key_name: String,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// What its rows must satisfy.
    pub checks: Vec<Check>,
    /// What its rows refer to.
    pub foreign_keys: Vec<ForeignKey>,
    /// Schemas and names of the tables whose rows refer to its own.
    pub referenced_by: Vec<(String, String)>,
    /// What is called when its rows change, in the order of names.
    #[serde(skip)]
    pub triggers: Vec<Trigger>,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
    /// What is said of the primary key that rows are stored by.
    #[serde(skip)]
    pub key_comment: Option<String>,
    /// And of its index.
    #[serde(skip)]
    pub key_index_comment: Option<String>,
}

/// An index of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Names its entries' keys, as a table's id names its rows'.
    pub id: u32,
    /// Its name, in the table's schema.
    pub name: String,
    /// Whether no two rows have the same key, unless part of it is NULL.
    pub unique: bool,
    /// Whether it was declared as a constraint, and which.
    pub constraint: IndexConstraint,
    /// What it is ordered by.
    pub keys: Vec<IndexKey>,
    /// The rows that are in it; all if none.
    pub predicate: Option<String>,
    /// How far it is.
    pub state: IndexState,
    /// When the constraint is checked that it was declared as. One that may wait is no unique index: rows may have the same
    /// key for a while.
    #[serde(skip)]
    pub deferral: Deferral,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
    /// What is said of the constraint.
    #[serde(skip)]
    pub constraint_comment: Option<String>,
}

/// How far an index is. Every transaction reads the descriptors that it goes by, so all that commit behind the one which
/// changed this go by what it is then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexState {
    /// Whoever writes rows writes it, too, but some of the rows that were there before are not in it: nobody reads it.
    Building {
        /// The session that puts them into it.
        builder: u64,
    },
    /// All rows are in it.
    Ready,
}

/// What an index was declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexConstraint {
    /// Just an index.
    None,
    /// `UNIQUE`
    Unique,
    /// `PRIMARY KEY`, added to a table whose rows are stored by another key.
    PrimaryKey,
}

/// What an index is ordered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexKey {
    /// A column, or an expression over the row.
    pub value: IndexValue,
    /// Its type.
    pub data_type: DataType,
    /// Declared `DESC`. Entries are stored in ascending order all the same, and read backwards.
    pub descending: bool,
    /// Declared `NULLS FIRST`.
    pub nulls_first: bool,
}

/// A value that an index is ordered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IndexValue {
    /// That of a column.
    Column(u16),
    /// That of an expression.
    Expression(String),
}

/// `CHECK`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What must not be false.
    pub expression: String,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
}

/// `FOREIGN KEY`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The columns that refer.
    pub columns: Vec<u16>,
    /// The table that they refer to: its schema and name.
    pub table: (String, String),
    /// The columns that they refer to.
    pub referenced: Vec<u16>,
    /// What becomes of rows whose row is deleted.
    pub on_delete: ReferentialAction,
    /// What becomes of rows whose row gets another key.
    pub on_update: ReferentialAction,
    /// When it is checked.
    #[serde(skip)]
    pub deferral: Deferral,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
}

/// What becomes of rows whose row is deleted, or gets another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// There must be none when the statement ends.
    NoAction,
    /// There must be none.
    Restrict,
    /// They share its lot.
    Cascade,
    /// They refer to nothing.
    SetNull,
    /// They refer to what they do by default.
    SetDefault,
}

/// A query with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewDescriptor {
    /// Its object id.
    pub id: u32,
    /// The names and types of its columns.
    pub columns: Vec<(String, DataType)>,
    /// The query.
    pub query: String,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
    /// What is said of its columns.
    #[serde(skip)]
    pub column_comments: Vec<Option<String>>,
}

/// A source of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceDescriptor {
    /// Names where its state is.
    pub id: u32,
    /// The type of its numbers.
    pub data_type: DataType,
    /// The first number.
    pub start: i64,
    /// From one number to the next.
    pub increment: i64,
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: i64,
    /// Whether it begins anew at its end.
    pub cycle: bool,
    /// The table, in the same schema, and the column that it counts for, and goes with.
    pub owner: Option<(String, u16)>,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
}

impl TableDescriptor {
    /// Whether its rows are checked against others, after they have been stored: foreign keys, and unique keys that may wait.
    pub(crate) fn has_checks_of_others(&self) -> bool {
        let waits = |index: &Index| index.deferral != Deferral::No;
        !self.foreign_keys.is_empty() || self.indexes.iter().any(waits)
    }

    /// The key of the row with these values; the table has a primary key.
    pub fn row_key(&self, row: &[Datum]) -> Vec<u8> {
        let mut out = key::table_prefix(self.id);
        for column in &self.primary_key {
            key::write(row.get(usize::from(*column)).unwrap_or(&Datum::Null), KeyOrder::Ascending, &mut out);
        }
        out
    }

    /// Whether all columns that it speaks of are there.
    pub(super) fn is_sound(&self) -> bool {
        let is_there = |column: &u16| usize::from(*column) < self.columns.len();
        let indexed = self.indexes.iter().flat_map(Index::columns);
        let referring = self.foreign_keys.iter().flat_map(|key| key.columns.iter().copied());
        self.primary_key.iter().all(is_there) && indexed.chain(referring).all(|column| is_there(&column))
    }

    /// Its id, and those of its indexes.
    pub(super) fn ids(&self) -> Vec<u32> {
        let indexes = self.indexes.iter().map(|index| index.id);
        [self.id].into_iter().chain(indexes).collect()
    }

    /// The columns that there are, with their places in rows.
    pub fn live_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.dropped)
    }

    /// The column called `name`, and its place.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.live_columns().find(|(_, column)| column.name == name)
    }

    /// The columns of the primary key as it was declared.
    pub fn declared_key(&self) -> Vec<u16> {
        let declared = self.indexes.iter().find(|index| index.constraint == IndexConstraint::PrimaryKey);
        match declared {
            Some(index) => index.columns(),
            None => self.primary_key.clone(),
        }
    }
}

impl Index {
    /// Whether all rows are in it.
    pub fn is_ready(&self) -> bool {
        self.state == IndexState::Ready
    }

    /// The columns that it is ordered by; expressions are left out.
    pub fn columns(&self) -> Vec<u16> {
        let column = |key: &IndexKey| match key.value {
            IndexValue::Column(column) => Some(column),
            IndexValue::Expression(_) => None,
        };
        self.keys.iter().filter_map(column).collect()
    }
}
