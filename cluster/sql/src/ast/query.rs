//! Queries.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Expr, Statement, TableName};

/// A query: a body, and what is done with its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `WITH`
    pub with: Vec<Cte>,
    /// `WITH RECURSIVE`
    pub recursive: bool,
    /// Where its rows come from.
    pub body: Body,
    /// `ORDER BY`
    pub order_by: Vec<OrderBy>,
    /// `LIMIT`
    pub limit: Option<Expr>,
    /// `OFFSET`
    pub offset: Option<Expr>,
    /// `FOR UPDATE` or one of its weaker forms.
    pub locks: bool,
}

impl Query {
    /// `body`, and nothing more.
    pub fn of(body: Body) -> Query {
        Query {
            with: Vec::new(),
            recursive: false,
            body,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            locks: false,
        }
    }

    /// Whether it is a body and nothing more.
    pub fn is_plain(&self) -> bool {
        self.with.is_empty()
            && self.order_by.is_empty()
            && self.limit.is_none()
            && self.offset.is_none()
            && !self.locks
    }
}

/// A common table expression: a query with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Cte {
    /// Its name.
    pub name: String,
    /// New names for its first columns.
    pub columns: Vec<String>,
    /// What it stands for.
    pub query: Query,
}

/// A statement behind `WITH`.
#[derive(Clone, Debug, PartialEq)]
pub struct With {
    /// `WITH RECURSIVE`
    pub recursive: bool,
    /// What it names.
    pub items: Vec<WithItem>,
    /// What may read that.
    pub statement: Statement,
}

/// What `WITH` names.
#[derive(Clone, Debug, PartialEq)]
pub enum WithItem {
    /// A query.
    Query(Cte),
    /// The rows that a statement returns.
    Change {
        /// Its name.
        name: String,
        /// New names for its first columns.
        columns: Vec<String>,
        /// The statement, which is run whether or not its rows are read.
        statement: Statement,
    },
}

/// Where a query's rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `SELECT`
    Select(Box<Select>),
    /// `VALUES`
    Values(Vec<Vec<Expr>>),
    /// `UNION`, `INTERSECT`, `EXCEPT`
    Set(Box<SetOperation>),
    /// A query in parentheses.
    Query(Box<Query>),
}

/// `left UNION right` and the like.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOperation {
    /// Which.
    pub operator: SetOperator,
    /// `ALL`: rows keep how often they come.
    pub all: bool,
    /// Its first operand.
    pub left: Body,
    /// Its second operand.
    pub right: Body,
}

/// What becomes of the rows of two queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// Those of either.
    Union,
    /// Those of both.
    Intersect,
    /// Those of the first that are not of the second.
    Except,
}

impl SetOperator {
    /// Its keyword.
    pub const fn name(self) -> &'static str {
        match self {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Except => "EXCEPT",
        }
    }
}

/// `SELECT`
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: Distinct,
    /// The select list.
    pub items: Vec<SelectItem>,
    /// `FROM`: all of these, crossed.
    pub from: Vec<From>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group_by: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// `WINDOW`
    pub windows: Vec<(String, Window)>,
}

impl Select {
    /// `SELECT items FROM from`, and nothing more.
    pub fn of(items: Vec<SelectItem>, from: From) -> Select {
        Select {
            distinct: Distinct::No,
            items,
            from: [from].into(),
            filter: None,
            group_by: Vec::new(),
            having: None,
            windows: Vec::new(),
        }
    }
}

/// Which rows of a `SELECT` are the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Distinct {
    /// None.
    No,
    /// Those with equal outputs.
    Yes,
    /// `DISTINCT ON`: those for which these are equal.
    On(Vec<Expr>),
}

/// What a query reads.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// A table, a view, or what `WITH` names so.
    Table {
        /// Its name.
        name: TableName,
        /// Its alias.
        alias: Option<Alias>,
    },
    /// A function that gives rows.
    Function {
        /// Its name; without a schema if that is the system's own.
        name: TableName,
        /// Its arguments.
        arguments: Vec<Expr>,
        /// `WITH ORDINALITY`
        ordinality: bool,
        /// Its alias.
        alias: Option<Alias>,
    },
    /// A query.
    Query {
        /// Which.
        query: Box<Query>,
        /// Its alias.
        alias: Option<Alias>,
    },
    /// A join.
    Join(Box<Join>),
}

/// A new name for a table and for its first columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The table's.
    pub name: String,
    /// Its columns'.
    pub columns: Vec<String>,
}

/// A join.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which rows it keeps.
    pub kind: JoinKind,
    /// What stands before the keyword.
    pub left: From,
    /// What stands behind it.
    pub right: From,
    /// Which rows belong together.
    pub condition: JoinCondition,
    /// A name for its result.
    pub alias: Option<Alias>,
}

/// Which rows a join keeps though they match none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left.
    Left,
    /// Those of the right.
    Right,
    /// All.
    Full,
}

/// Which rows of a join belong together.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinCondition {
    /// All.
    None,
    /// Those for which this holds.
    On(Expr),
    /// Those with equal columns of these names, which become one.
    Using(Vec<String>),
    /// As `Using` all names that both sides have.
    Natural,
}

/// An item of a select list.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItem {
    /// `*`, or `table.*`
    All(Option<String>),
    /// An expression.
    Expr {
        /// The expression.
        expr: Expr,
        /// Its name, if given.
        alias: Option<String>,
    },
}

/// A key of `ORDER BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// What it sorts by.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`
    pub nulls_first: bool,
}

/// Which rows a window function sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The window that this one adds to.
    pub base: Option<String>,
    /// `PARTITION BY`
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`
    pub order_by: Vec<OrderBy>,
    /// Which rows of the partition; none for all up to the present one's peers.
    pub frame: Option<Frame>,
}

/// `ROWS BETWEEN start AND end`
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What its bounds count.
    pub units: FrameUnits,
    /// The first row.
    pub start: FrameBound,
    /// The last row.
    pub end: FrameBound,
}

/// What the bounds of a frame count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// The value that rows are ordered by.
    Range,
    /// Groups of rows that are ordered the same.
    Groups,
}

/// An end of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameBound {
    /// The partition's first row.
    UnboundedPreceding,
    /// So much before the present row.
    Preceding(Box<Expr>),
    /// The present row.
    CurrentRow,
    /// So much behind it.
    Following(Box<Expr>),
    /// The partition's last row.
    UnboundedFollowing,
}

/// `DECLARE`
#[derive(Clone, Debug, PartialEq)]
pub struct Declare {
    /// The cursor's name.
    pub name: String,
    /// Its query.
    pub query: Box<Query>,
    /// `SCROLL`: it can go back.
    pub scroll: bool,
    /// `WITH HOLD`: it outlives its transaction.
    pub hold: bool,
}

/// Where a cursor goes. Numbers may be negative, for the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// So many rows on.
    Forward(i64),
    /// All rows that are left, or before it if false.
    All(bool),
    /// To the row at this place, from 1; from the end if negative.
    Absolute(i64),
    /// To the row so far from the present one.
    Relative(i64),
}
