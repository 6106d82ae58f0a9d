//! Statements that define what there is: tables, indexes, constraints, sequences, views, schemas, routines, triggers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Expr, Query, TableName};
use crate::catalog::{Language, Parameter, Returns, Trigger, Volatility};
use crate::types::DataType;

/// An expression with the text that it is kept as.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The expression.
    pub expr: Expr,
    /// Its text.
    pub text: String,
}

/// `CREATE TABLE`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// Its name.
    pub table: TableName,
    /// Whether it is fine if it is there.
    pub if_not_exists: bool,
    /// Its columns.
    pub columns: Vec<ColumnDefinition>,
    /// Its constraints, those of columns too.
    pub constraints: Vec<Constraint>,
    /// `AS`: the rows it begins with, and whether they are wanted.
    pub query: Option<(Box<Query>, bool)>,
}

/// A column of `CREATE TABLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// What its declaration adds to the type, as the length of a `varchar(n)`.
    pub modifier: Option<u32>,
    /// `NOT NULL`
    pub not_null: bool,
    /// What it holds when nothing is said.
    pub default: Option<DefaultDefinition>,
}

/// What a column holds when nothing is said.
#[derive(Clone, Debug, PartialEq)]
pub enum DefaultDefinition {
    /// `DEFAULT`
    Expr(Source),
    /// `serial`: the next number of a sequence of its own.
    Serial,
    /// `GENERATED AS IDENTITY`; whether ALWAYS.
    Identity(bool, SequenceOptions),
}

/// A constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name, if given.
    pub name: Option<String>,
    /// What it demands.
    pub kind: ConstraintKind,
    /// When it is checked.
    pub deferral: Deferral,
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintKind {
    /// `PRIMARY KEY`
    PrimaryKey(Vec<String>),
    /// `UNIQUE`
    Unique(Vec<String>),
    /// `CHECK`
    Check(Source),
    /// `FOREIGN KEY`
    ForeignKey(ForeignKeyDefinition),
}

/// `FOREIGN KEY`
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKeyDefinition {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub table: TableName,
    /// The columns that they refer to; those of the primary key if none.
    pub referenced: Vec<String>,
    /// What becomes of rows whose row is deleted.
    pub on_delete: ReferentialAction,
    /// What becomes of rows whose row gets another key.
    pub on_update: ReferentialAction,
}

pub use crate::catalog::{Deferral, ReferentialAction};

/// `COMMENT ON`
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// On what.
    pub on: CommentOn,
    /// What it is called, or its table.
    pub name: TableName,
    /// The column or constraint of it.
    pub part: Option<String>,
    /// What is said; nothing if none.
    pub text: Option<String>,
}

/// What a comment is on.
#[derive(Clone, Debug, PartialEq)]
pub enum CommentOn {
    /// A table, view, sequence or index.
    Object(ObjectKind),
    /// A column of a table or view.
    Column,
    /// A constraint of a table.
    Constraint,
}

/// `CREATE INDEX`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIndex {
    /// Its name, if given.
    pub name: Option<String>,
    /// Of which table.
    pub table: TableName,
    /// `UNIQUE`
    pub unique: bool,
    /// Whether it is fine if it is there.
    pub if_not_exists: bool,
    /// What it is ordered by.
    pub keys: Vec<IndexKeyDefinition>,
    /// `WHERE`
    pub predicate: Option<Source>,
}

/// What an index is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexKeyDefinition {
    /// The value.
    pub source: Source,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`
    pub nulls_first: bool,
}

/// `ALTER TABLE`
#[derive(Clone, Debug, PartialEq)]
pub struct AlterTable {
    /// Which.
    pub table: TableName,
    /// Whether it is fine if it is not there.
    pub if_exists: bool,
    /// What is changed, in order.
    pub changes: Vec<TableChange>,
}

/// A change of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum TableChange {
    /// `ADD COLUMN`, with constraints of its own; whether it is fine if it is there.
    AddColumn(ColumnDefinition, Vec<Constraint>, bool),
    /// `DROP COLUMN`
    DropColumn {
        /// Which.
        name: String,
        /// Whether it is fine if it is not there.
        if_exists: bool,
        /// Whether what depends on it goes with it.
        cascade: bool,
    },
    /// `RENAME COLUMN from TO to`
    RenameColumn(String, String),
    /// `RENAME TO`
    RenameTable(String),
    /// `RENAME CONSTRAINT from TO to`
    RenameConstraint(String, String),
    /// `ADD CONSTRAINT`
    AddConstraint(Constraint),
    /// `DROP CONSTRAINT`
    DropConstraint {
        /// Which.
        name: String,
        /// Whether it is fine if it is not there.
        if_exists: bool,
        /// Whether what depends on it goes with it.
        cascade: bool,
    },
    /// `SET NOT NULL`, or DROP if false.
    NotNull(String, bool),
    /// `SET DEFAULT`, or DROP if none.
    Default(String, Option<Source>),
    /// `TYPE`, with `USING`.
    Type(String, DataType, Option<u32>, Option<Source>),
    /// `ADD GENERATED AS IDENTITY`; whether ALWAYS.
    AddIdentity(String, bool, SequenceOptions),
    /// What has no meaning here: `OWNER TO`.
    Nothing,
}

/// What a sequence is told; none for what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceOptions {
    /// `INCREMENT BY`
    pub increment: Option<i64>,
    /// `MINVALUE`
    pub min: Option<i64>,
    /// `MAXVALUE`
    pub max: Option<i64>,
    /// `START WITH`
    pub start: Option<i64>,
    /// `CYCLE`
    pub cycle: Option<bool>,
}

/// `CREATE SEQUENCE`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSequence {
    /// Its name.
    pub name: TableName,
    /// Whether it is fine if it is there.
    pub if_not_exists: bool,
    /// Its type: a whole number.
    pub data_type: DataType,
    /// How it counts.
    pub options: SequenceOptions,
}

/// `CREATE VIEW`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    /// Its name.
    pub name: TableName,
    /// Whether it may take the place of one that is there.
    pub or_replace: bool,
    /// The names of its columns, if given.
    pub columns: Vec<String>,
    /// What it shows.
    pub query: Box<Query>,
    /// As text.
    pub text: String,
}

/// What `DROP` drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A table.
    Table,
    /// An index.
    Index,
    /// A sequence.
    Sequence,
    /// A view.
    View,
    /// A schema.
    Schema,
    /// A function.
    Function,
    /// A procedure.
    Procedure,
}

impl ObjectKind {
    /// What it is called in messages.
    pub const fn name(self) -> &'static str {
        match self {
            ObjectKind::Table => "table",
            ObjectKind::Index => "index",
            ObjectKind::Sequence => "sequence",
            ObjectKind::View => "view",
            ObjectKind::Schema => "schema",
            ObjectKind::Function => "function",
            ObjectKind::Procedure => "procedure",
        }
    }
}

/// `DROP`
#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    /// Of what kind.
    pub kind: ObjectKind,
    /// Which.
    pub names: Vec<TableName>,
    /// Whether it is fine if they are not there.
    pub if_exists: bool,
    /// Whether what depends on them goes with them.
    pub cascade: bool,
}

/// `TRUNCATE`
#[derive(Clone, Debug, PartialEq)]
pub struct Truncate {
    /// Which tables.
    pub tables: Vec<TableName>,
    /// Whether what counts for their columns begins anew.
    pub restart_identity: bool,
    /// Whether tables that refer to them are emptied too.
    pub cascade: bool,
}

/// `CREATE FUNCTION`, `CREATE PROCEDURE`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRoutine {
    /// Its name.
    pub name: TableName,
    /// Whether one of this name may be there, and is replaced.
    pub or_replace: bool,
    /// Whether it is a procedure.
    pub is_procedure: bool,
    /// What it is called with.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub returns: Returns,
    /// Whether it may change tables.
    pub volatility: Volatility,
    /// Whether it gives NULL if any argument is NULL.
    pub strict: bool,
    /// What its body is.
    pub language: Language,
    /// As it was written.
    pub body: String,
}

/// `CREATE TRIGGER`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTrigger {
    /// Of which table.
    pub table: TableName,
    /// What is called, and when.
    pub trigger: Trigger,
    /// Whether one of this name may be there, and is replaced.
    pub or_replace: bool,
}

/// `DROP TRIGGER`
#[derive(Clone, Debug, PartialEq)]
pub struct DropTrigger {
    /// Its name.
    pub name: String,
    /// Of which table.
    pub table: TableName,
    /// Whether it is fine if it is not there.
    pub if_exists: bool,
}
