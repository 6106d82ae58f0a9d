//! The logical plan: a tree of operators, each of which makes rows of the rows of those below it.
//!
//! An operator's expressions see the columns of its input by their index; those of a join see the left's columns and
//! behind them the right's. Nodes are shared with the cursors that run them, so a plan does not change once it runs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use crate::access::Access;
use crate::ast::SetOperator;
use crate::bind::{AggregateCall, WindowCall};
use crate::catalog::StoredTable;
use crate::database::LiveTable;
use crate::error::SqlResult;
use crate::expr::{Expr, RoutineCall, SortExpr};
use crate::system::SystemTable;
use crate::types::DataType;

/// An operator with all that is below it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rel {
    /// One row without columns.
    Row,
    /// No rows, of so many columns.
    Empty(usize),
    Values(Arc<Values>),
    Scan(Arc<Scan>),
    Live(&'static LiveTable),
    /// `sys.settings`, and behind its columns each row's key.
    Settings,
    /// A system table, and behind its columns its object id.
    System(&'static SystemTable),
    Series(Arc<Series>),
    Called(Arc<Called>),
    Unroll(Arc<Unroll>),
    Shared(Arc<Shared>),
    Recursive(Arc<Recursive>),
    /// What the last step of the recursion of this number gave; of so many columns.
    Working(RunId, usize),
    Measured(Arc<Measured>),
    Filter(Arc<Filter>),
    Project(Arc<Project>),
    Join(Arc<Join>),
    Apply(Arc<Apply>),
    Aggregate(Arc<Aggregate>),
    Window(Arc<Window>),
    Sort(Arc<Sort>),
    Distinct(Arc<Distinct>),
    Limit(Arc<Limit>),
    Set(Arc<Set>),
}

/// What tells the shared or recursive queries of a statement apart while it runs. Two that say the same are the same where
/// expressions are compared: it does not count there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunId(pub(crate) usize);

impl PartialEq for RunId {
    fn eq(&self, _: &RunId) -> bool {
        true
    }
}

/// A list of rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values {
    pub(crate) rows: Vec<Vec<Expr>>,
    pub(crate) width: usize,
}

/// The rows of a stored table that pass a filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scan {
    pub(crate) table: Arc<StoredTable>,
    pub(crate) filter: Option<Expr>,
    /// Which keys are read.
    pub(crate) access: Access,
    /// Which columns are looked at; the others are NULL.
    pub(crate) needed: Vec<bool>,
    /// By descending key.
    pub(crate) backward: bool,
    /// Whether each row's key stands behind its columns.
    pub(crate) with_key: bool,
}

/// What a routine gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Called {
    pub(crate) call: RoutineCall,
    /// How many columns its rows have.
    pub(crate) width: usize,
}

/// `generate_series`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// Start, stop, step.
    pub(crate) arguments: [Expr; 3],
    pub(crate) data_type: DataType,
}

/// Functions that give several rows, for each row of the input: its columns, then what the functions give side by side,
/// NULL where one has given all it has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unroll {
    pub(crate) input: Rel,
    pub(crate) sets: Vec<RowSet>,
    /// Whether the number of each row stands behind the columns.
    pub(crate) ordinality: bool,
}

/// A function that gives several rows of one column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowSet {
    pub(crate) kind: RowSetKind,
    pub(crate) data_type: DataType,
}

/// What a function gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RowSetKind {
    /// The elements of an array.
    Elements(Expr),
    /// Their places.
    Subscripts(Expr),
    /// Start, stop, step.
    Series(Box<[Expr; 3]>),
}

impl RowSet {
    /// Calls `visit` with its arguments.
    pub(crate) fn for_each_expr(
        &mut self,
        visit: &mut dyn FnMut(&mut Expr) -> SqlResult<()>,
    ) -> SqlResult<()> {
        match &mut self.kind {
            RowSetKind::Elements(array) | RowSetKind::Subscripts(array) => visit(array),
            RowSetKind::Series(arguments) => arguments.iter_mut().try_for_each(visit),
        }
    }
}

/// What `WITH` names and several places read: computed once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shared {
    pub(crate) id: RunId,
    pub(crate) input: Rel,
}

/// `WITH RECURSIVE`: the rows of `base`, then what `step` makes of the last step's rows until it makes none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recursive {
    pub(crate) id: RunId,
    pub(crate) base: Rel,
    pub(crate) step: Rel,
    /// Whether rows that were there before are kept (`UNION ALL`).
    pub(crate) all: bool,
}

/// An operator that is watched while it runs, for `EXPLAIN ANALYZE`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) input: Rel,
    pub(crate) counters: Counters,
}

/// What is counted. Two are the same where plans are compared: they do not count there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(pub(crate) Arc<CounterValues>);

/// What an operator has done so far.
#[derive(Debug, Default)]
pub(crate) struct CounterValues {
    /// How often it was begun.
    pub(crate) loops: AtomicU64,
    pub(crate) rows: AtomicU64,
    /// With what is below it.
    pub(crate) micros: AtomicU64,
    /// Blocks of tables that were read, with what is below it: all of them, and those that were not in memory.
    pub(crate) blocks: AtomicU64,
    pub(crate) blocks_from_disk: AtomicU64,
}

impl PartialEq for Counters {
    fn eq(&self, _: &Counters) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    pub(crate) input: Rel,
    pub(crate) predicate: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Project {
    pub(crate) input: Rel,
    pub(crate) outputs: Vec<Expr>,
}

/// Which rows a join gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinType {
    Inner,
    /// And those of the left that match none, with NULLs.
    Left,
    /// And those of the right that match none.
    Right,
    Full,
    /// Those of the left that match some, without the right's columns.
    Semi,
    /// Those of the left that match none.
    Anti,
}

impl JoinType {
    /// Whether the right's columns are part of the result.
    pub(crate) fn has_right(self) -> bool {
        !matches!(self, JoinType::Semi | JoinType::Anti)
    }

    /// Whether rows of the left are part of the result that match nothing.
    pub(crate) fn keeps_left(self) -> bool {
        matches!(self, JoinType::Left | JoinType::Full | JoinType::Anti)
    }

    /// Whether rows of the right are: they come behind all others.
    pub(crate) fn keeps_right(self) -> bool {
        matches!(self, JoinType::Right | JoinType::Full)
    }
}

/// How the rows are found that match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JoinMethod {
    /// The right is kept in memory, by what must be equal, and the left passes by.
    Hash,
    /// Both come in the order of what must be equal, which are columns, and pass by each other: which of them come in descending
    /// order. A join that just asks whether there are matches is so only if nothing else must hold.
    Merge(Vec<bool>),
}

/// A join of two inputs that do not depend on each other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    pub(crate) join_type: JoinType,
    pub(crate) left: Rel,
    pub(crate) right: Rel,
    /// Equal in rows that match: what the left gives, what the right gives, over their own columns.
    pub(crate) equal: Vec<(Expr, Expr)>,
    /// What else must hold, over the columns of both.
    pub(crate) condition: Option<Expr>,
    pub(crate) method: JoinMethod,
}

/// A dependent join: the right is run for each row of the left, which it sees as outer columns behind those
/// that the left sees. Index lookups are such joins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Apply {
    pub(crate) join_type: JoinType,
    pub(crate) left: Rel,
    pub(crate) right: Rel,
    /// What the right sees of the left's row.
    pub(crate) outer: Vec<Expr>,
    pub(crate) condition: Option<Expr>,
}

/// Groups of rows with equal keys: the keys, then the results of the calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) input: Rel,
    pub(crate) keys: Vec<Expr>,
    pub(crate) calls: Vec<AggregateCall>,
}

/// The input's columns, then the results of calls that have one partition and order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) input: Rel,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<SortExpr>,
    pub(crate) calls: Vec<WindowCall>,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) column: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sort {
    pub(crate) input: Rel,
    pub(crate) keys: Vec<SortKey>,
    /// Whether only the first rows are wanted, as many as this limit and offset say.
    pub(crate) top: Option<(Option<Expr>, Option<Expr>)>,
}

/// The first of the rows that have equal values in these columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distinct {
    pub(crate) input: Rel,
    pub(crate) columns: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) input: Rel,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

/// `UNION`, `INTERSECT`, `EXCEPT`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Set {
    pub(crate) operator: SetOperator,
    pub(crate) all: bool,
    pub(crate) left: Rel,
    pub(crate) right: Rel,
}

impl Rel {
    /// How many columns its rows have.
    pub(crate) fn width(&self) -> usize {
        match self {
            Rel::Row => 0,
            Rel::Empty(width) | Rel::Working(_, width) => *width,
            Rel::Values(values) => values.width,
            Rel::Scan(scan) => scan.table.types.len() + usize::from(scan.with_key),
            Rel::Live(table) => table.columns.len(),
            Rel::Settings => crate::settings::TABLE.columns.len() + 1,
            Rel::System(table) => table.columns.len() + 1,
            Rel::Series(_) => 1,
            Rel::Called(called) => called.width,
            Rel::Unroll(unroll) => unroll.input.width() + unroll.sets.len() + usize::from(unroll.ordinality),
            Rel::Shared(shared) => shared.input.width(),
            Rel::Recursive(recursive) => recursive.base.width(),
            Rel::Measured(measured) => measured.input.width(),
            Rel::Filter(filter) => filter.input.width(),
            Rel::Project(project) => project.outputs.len(),
            Rel::Join(join) => joined_width(join.join_type, &join.left, &join.right),
            Rel::Apply(apply) => joined_width(apply.join_type, &apply.left, &apply.right),
            Rel::Aggregate(aggregate) => aggregate.keys.len() + aggregate.calls.len(),
            Rel::Window(window) => window.input.width() + window.calls.len(),
            Rel::Sort(sort) => sort.input.width(),
            Rel::Distinct(distinct) => distinct.input.width(),
            Rel::Limit(limit) => limit.input.width(),
            Rel::Set(set) => set.left.width(),
        }
    }

    /// `self` filtered, if there is a predicate.
    pub(crate) fn filter(self, predicate: Option<Expr>) -> Rel {
        match predicate {
            None => self,
            Some(predicate) => Rel::Filter(Arc::new(Filter { input: self, predicate })),
        }
    }

    /// The outputs for each row.
    pub(crate) fn project(self, outputs: Vec<Expr>) -> Rel {
        Rel::Project(Arc::new(Project { input: self, outputs }))
    }

    /// The first `width` columns.
    pub(crate) fn truncate(self, width: usize) -> Rel {
        if self.width() == width { self } else { self.project((0..width).map(Expr::Column).collect()) }
    }

    /// The operators directly below.
    pub(crate) fn inputs(&self) -> Vec<&Rel> {
        match self {
            Rel::Row | Rel::Empty(_) | Rel::Values(_) | Rel::Scan(_) | Rel::Live(_) => Vec::new(),
            Rel::Settings | Rel::System(_) | Rel::Series(_) | Rel::Working(..) => Vec::new(),
            Rel::Called(_) => Vec::new(),
            Rel::Unroll(unroll) => [&unroll.input].into(),
            Rel::Shared(shared) => [&shared.input].into(),
            Rel::Recursive(recursive) => [&recursive.base, &recursive.step].into(),
            Rel::Measured(measured) => [&measured.input].into(),
            Rel::Filter(filter) => [&filter.input].into(),
            Rel::Project(project) => [&project.input].into(),
            Rel::Join(join) => [&join.left, &join.right].into(),
            Rel::Apply(apply) => [&apply.left, &apply.right].into(),
            Rel::Aggregate(aggregate) => [&aggregate.input].into(),
            Rel::Window(window) => [&window.input].into(),
            Rel::Sort(sort) => [&sort.input].into(),
            Rel::Distinct(distinct) => [&distinct.input].into(),
            Rel::Limit(limit) => [&limit.input].into(),
            Rel::Set(set) => [&set.left, &set.right].into(),
        }
    }
}

fn joined_width(join_type: JoinType, left: &Rel, right: &Rel) -> usize {
    left.width() + if join_type.has_right() { right.width() } else { 0 }
}
