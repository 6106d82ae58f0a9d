//! Statements as Relix understands them: what is left of SQL once its many spellings are gone.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::database::Procedure;
use crate::types::{DataType, TypeName};

mod definition;
mod query;
pub(crate) mod visit;

pub use definition::{
    AlterTable, ColumnDefinition, Comment, CommentOn, Constraint, ConstraintKind, CreateIndex, CreateRoutine,
    CreateSequence, CreateTable, CreateTrigger, CreateView, DefaultDefinition, Deferral, Drop, DropTrigger,
    ForeignKeyDefinition, IndexKeyDefinition, ObjectKind, ReferentialAction, SequenceOptions, Source,
    TableChange, Truncate,
};

pub use crate::operator::{BinaryOperator, UnaryOperator};
pub use query::{
    Alias, Body, Cte, Declare, Distinct, FetchDirection, Frame, FrameBound, FrameUnits, From, Join,
    JoinCondition, JoinKind, OrderBy, Query, Select, SelectItem, SetOperation, SetOperator, Window, With,
    WithItem,
};

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// What has no meaning here, and succeeds: its tag.
    Nothing(&'static str),
    /// `ALTER SEQUENCE name OWNED BY table.column`; by none if none.
    OwnSequence(TableName, Option<(TableName, String)>),
    /// `CREATE TABLE`
    CreateTable(Box<CreateTable>),
    /// `CREATE INDEX`
    CreateIndex(CreateIndex),
    /// `CREATE SEQUENCE`
    CreateSequence(CreateSequence),
    /// `CREATE VIEW`
    CreateView(CreateView),
    /// `CREATE FUNCTION`, `CREATE PROCEDURE`
    CreateRoutine(Box<CreateRoutine>),
    /// `CREATE TRIGGER`
    CreateTrigger(Box<CreateTrigger>),
    /// `DROP TRIGGER`
    DropTrigger(DropTrigger),
    /// `CREATE SCHEMA`; whether it is fine if it is there.
    CreateSchema(String, bool),
    /// `ALTER TABLE`
    AlterTable(AlterTable),
    /// `DROP`
    Drop(Drop),
    /// `COMMENT ON`
    Comment(Comment),
    /// `TRUNCATE`
    Truncate(Truncate),
    /// `INSERT`
    Insert(Insert),
    /// `SELECT`, `VALUES` or what is made of them.
    Query(Box<Query>),
    /// `UPDATE`
    Update(Update),
    /// `DELETE`
    Delete(Delete),
    /// `WITH` before one that changes a table, or with one among what it names.
    With(Box<With>),
    /// `COPY`
    Copy(Copy),
    /// `EXPLAIN` of a statement; run, if true.
    Explain(Box<Explain>),
    /// `BEGIN`, `START TRANSACTION`
    Begin {
        /// Whether it may only read.
        read_only: bool,
        /// Spelled `START TRANSACTION`, which is what the command tag says then.
        start: bool,
    },
    /// `COMMIT`, `END`
    Commit,
    /// `ROLLBACK`, `ABORT`
    Rollback,
    /// `SAVEPOINT name`
    Savepoint(String),
    /// `RELEASE name`
    Release(String),
    /// `ROLLBACK TO name`
    RollbackTo(String),
    /// `SET name = value`; no value is the default.
    Set {
        /// In lower case.
        name: String,
        /// The value as text.
        value: Option<String>,
        /// Whether it ends with the transaction.
        local: bool,
    },
    /// `RESET name`
    Reset(String),
    /// `RESET ALL`
    ResetAll,
    /// `SHOW name`
    Show(String),
    /// `PREPARE`: a name, the types of parameters as far as given, and the statement.
    Prepare(String, Vec<DataType>, Box<Statement>),
    /// `EXECUTE`
    Execute(String, Vec<Expr>),
    /// `DECLARE`
    Declare(Declare),
    /// `FETCH`, or `MOVE` if true.
    Fetch(String, FetchDirection, bool),
    /// `CLOSE name`, or all.
    Close(Option<String>),
    /// `VACUUM`, `ANALYZE`
    Maintenance(Maintenance),
    /// `LOCK`: transactions wait for nobody; what they read is checked when they commit.
    Lock(Vec<TableName>),
    /// `SET CONSTRAINTS`: which, or all if none is named; whether they wait for the end of the transaction.
    SetConstraints(Vec<TableName>, bool),
    /// `DEALLOCATE name`, or all.
    Deallocate(Option<String>),
    /// `DISCARD ALL`
    DiscardAll,
    /// `LISTEN channel`
    Listen(String),
    /// `UNLISTEN channel`, or all.
    Unlisten(Option<String>),
    /// `NOTIFY channel, payload`
    Notify(String, String),
    /// `CALL` of a procedure that changes the cluster itself.
    CallSystem(Procedure),
    /// `CALL` of any other.
    Call(Box<Call>),
    /// `BACKUP`: all rows at one version, as bytes.
    Backup,
    /// `RESTORE`: takes what `BACKUP` gave, on a cluster without tables.
    Restore,
}

/// The name of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableName {
    /// Its schema, if given.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it stands: characters from 1.
    pub position: Option<u32>,
}

/// `INSERT`
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// Into which table.
    pub table: TableName,
    /// Its alias.
    pub alias: Option<String>,
    /// The columns given; empty for all.
    pub columns: Vec<String>,
    /// The rows.
    pub source: InsertSource,
    /// `ON CONFLICT`
    pub on_conflict: Option<OnConflict>,
    /// `RETURNING`
    pub returning: Vec<SelectItem>,
}

/// `ON CONFLICT`: what to do with a row whose key is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct OnConflict {
    /// Of which key; of any if it does not say.
    pub target: Option<ConflictTarget>,
    /// `DO UPDATE`; none is `DO NOTHING`.
    pub update: Option<ConflictUpdate>,
}

/// Which key a conflict is of.
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictTarget {
    /// That of these columns.
    Columns(Vec<String>),
    /// That of this name.
    Constraint(String),
}

/// `DO UPDATE SET ... WHERE ...`
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictUpdate {
    /// Columns and their new values; none stands for `DEFAULT`.
    pub assignments: Vec<(String, Option<Expr>)>,
    /// Which rows are changed; all if none.
    pub filter: Option<Expr>,
}

/// Where the rows of an `INSERT` come from.
#[derive(Clone, Debug, PartialEq)]
pub enum InsertSource {
    /// `DEFAULT VALUES`
    Defaults,
    /// `VALUES`; none stands for `DEFAULT`.
    Values(Vec<Vec<Option<Expr>>>),
    /// A query.
    Query(Box<Query>),
}

/// `UPDATE`
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Which table.
    pub table: TableName,
    /// Its alias.
    pub alias: Option<String>,
    /// What is set; no expression stands for `DEFAULT`.
    pub assignments: Vec<(String, Option<Expr>)>,
    /// `FROM`
    pub from: Vec<From>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `RETURNING`
    pub returning: Vec<SelectItem>,
}

/// `DELETE`
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// From which table.
    pub table: TableName,
    /// Its alias.
    pub alias: Option<String>,
    /// `USING`
    pub using: Vec<From>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `RETURNING`
    pub returning: Vec<SelectItem>,
}

/// `COPY`
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// Which table, or a query.
    pub source: CopySource,
    /// `TO STDOUT` rather than `FROM STDIN`.
    pub to: bool,
    /// How rows are written.
    pub format: CopyFormat,
}

/// What is copied.
#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// A table, with the columns given, or all.
    Table(TableName, Vec<String>),
    /// A query.
    Query(Box<Query>),
}

/// How `COPY` writes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// As lines.
    Lines(LineFormat),
    /// As the bytes that values have in messages.
    Binary,
}

/// The text formats of `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFormat {
    /// CSV rather than text.
    pub csv: bool,
    /// Between fields.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Around fields (CSV).
    pub quote: u8,
    /// Before a quote within quotes (CSV).
    pub escape: u8,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// NULL
    Null,
    /// `TRUE`, `FALSE`
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A quoted text: of any type until the context says which.
    Text(String),
    /// `$1` is 0.
    Param(usize),
    /// A column.
    Column {
        /// Its table or alias, if given.
        table: Option<String>,
        /// Its name.
        name: String,
        /// Where it stands.
        position: Option<u32>,
    },
    /// `-`, `NOT`
    Unary(UnaryOperator, Box<Expr>),
    /// Arithmetic, comparison, concatenation.
    Binary(BinaryOperator, Box<Expr>, Box<Expr>, Option<u32>),
    /// All of them.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// `IS [NOT] NULL`
    IsNull(Box<Expr>, bool),
    /// `IS [NOT] TRUE|FALSE|UNKNOWN`; unknown is none.
    IsBool(Box<Expr>, Option<bool>, bool),
    /// `IS [NOT] DISTINCT FROM`; true for NOT.
    IsDistinct(Box<Expr>, Box<Expr>, bool),
    /// `[NOT] IN`
    In(Box<Expr>, Vec<Expr>, bool),
    /// `[NOT] BETWEEN`
    Between {
        /// The value.
        expr: Box<Expr>,
        /// The least it may be.
        low: Box<Expr>,
        /// The most it may be.
        high: Box<Expr>,
        /// `SYMMETRIC`: or the other way round.
        symmetric: bool,
        /// `NOT`
        negated: bool,
    },
    /// `[NOT] LIKE`, `ILIKE`
    Like {
        /// The text.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The escape character; none is the backslash.
        escape: Option<Box<Expr>>,
        /// `NOT`
        negated: bool,
        /// `ILIKE`
        fold_case: bool,
    },
    /// `CASE`
    Case {
        /// What the conditions are compared with, if given.
        operand: Option<Box<Expr>>,
        /// Conditions and results.
        arms: Vec<(Expr, Expr)>,
        /// `ELSE`
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST`, `::`
    Cast(Box<Expr>, TypeName),
    /// `ARRAY[...]`
    Array(Vec<Expr>),
    /// `value op ANY (array)`, or `ALL` of it, if true.
    Quantified(BinaryOperator, Box<Expr>, Box<Expr>, bool),
    /// A function.
    Call(Box<Call>),
    /// `(SELECT ...)`: its value.
    Subquery(Box<Query>),
    /// `EXISTS (SELECT ...)`
    Exists(Box<Query>),
    /// `expr op ANY (SELECT ...)`, or ALL if true.
    QuantifiedQuery(BinaryOperator, Box<Expr>, Box<Query>, bool),
    /// `(a, b, ...)`
    Row(Vec<Expr>),
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its schema, if given and not that of the system's own.
    pub schema: Option<String>,
    /// In lower case.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// `count(*)`
    pub star: bool,
    /// `DISTINCT`
    pub distinct: bool,
    /// `ORDER BY` within the parentheses, or behind `WITHIN GROUP`.
    pub order_by: Vec<OrderBy>,
    /// `FILTER (WHERE ...)`
    pub filter: Option<Expr>,
    /// `OVER`
    pub over: Option<Over>,
    /// Where it stands.
    pub position: Option<u32>,
}

/// `OVER`
#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    /// A window of the `WINDOW` clause.
    Named(String),
    /// A window of its own.
    Window(Window),
}

/// `VACUUM` and `ANALYZE`. What is deleted is collected by itself, so that the first has nothing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// Spelled `VACUUM`.
    pub vacuums: bool,
    /// Whether statistics are gathered.
    pub analyzes: bool,
    /// Of which tables; all if none.
    pub tables: Vec<TableName>,
}

/// `EXPLAIN`
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// Of what.
    pub statement: Statement,
    /// Whether it is done, and measured.
    pub analyze: bool,
    /// Whether the plan is shown after each pass of the optimizer (`PASSES`).
    pub passes: bool,
}
