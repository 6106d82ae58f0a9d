//! What planning a statement goes by: the tables it names, the queries around the present one, its parameters.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

use cluster_store::Transaction;

use super::Relation;
use super::rel::Rel;
use crate::ast::TableName;
use crate::bind::{AggregateCall, Aggregates, Params, Scope, undefined_column};
use crate::catalog::{self, StoredRoutine, StoredTable, routine_name};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::path::SearchPath;
use crate::system;
use crate::types::DataType;

/// The tables that a statement names, by the schema that it gives, or none, and name; stored ones by their own schema,
/// too. Those that do not exist are not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relations {
    pub(crate) all: BTreeMap<(String, String), Relation>,
    /// Where they were looked for.
    pub(crate) path: Arc<SearchPath>,
    /// The keys of what would have been found first, had it been there.
    pub(crate) missed: Vec<Vec<u8>>,
    /// The routines that it calls, by the schema that it gives, or none, and name; those of triggers by their own schema.
    pub(crate) routines: BTreeMap<(String, String), Arc<StoredRoutine>>,
}

impl Relations {
    /// The table called `name`.
    pub(crate) fn find(&self, name: &TableName) -> SqlResult<Relation> {
        match self.all.get(&(name.schema.clone().unwrap_or_default(), name.name.clone())) {
            Some(relation) => Ok(relation.clone()),
            None => Err(catalog::undefined_table(name.schema.as_deref(), &name.name).at(name.position)),
        }
    }

    /// Looks up a name, in its schema or along the path.
    pub(super) async fn look_up<D: Database>(
        &mut self,
        schema: &Option<String>,
        name: &str,
        transaction: &mut Transaction,
        database: &D,
    ) -> SqlResult<Option<Relation>> {
        let path = self.path.clone();
        let mut missed = Vec::new();
        for schema in path.candidates(schema) {
            if let Some(relation) = super::find(schema, name, transaction, database).await? {
                self.missed.append(&mut missed);
                return Ok(Some(relation));
            }
            if !system::is_system_schema(schema) {
                missed.push(catalog::descriptor_key(schema, name));
            }
        }
        Ok(None)
    }

    /// Looks up the routine of a name, in its schema or along the path.
    pub(super) async fn look_up_routine<D: Database>(
        &mut self,
        schema: Option<String>,
        name: String,
        transaction: &mut Transaction,
        database: &D,
    ) -> SqlResult<()> {
        let key = (schema.clone().unwrap_or_default(), name);
        if self.routines.contains_key(&key) {
            return Ok(());
        }
        let path = self.path.clone();
        for schema in path.candidates(&schema) {
            if system::is_system_schema(schema) {
                continue;
            }
            if let Some(routine) = database.tables().find_routine(transaction, schema, &key.1).await? {
                self.routines.insert(key, routine);
                return Ok(());
            }
            self.missed.push(catalog::descriptor_key(schema, &routine_name(&key.1)));
        }
        Ok(())
    }

    /// The routine that is called so.
    pub(crate) fn routine(&self, schema: Option<&str>, name: &str) -> Option<Arc<StoredRoutine>> {
        self.routines.get(&(schema.unwrap_or_default().into(), name.into())).cloned()
    }

    /// The stored table of this schema and name.
    pub(crate) fn stored(&self, name: &(String, String)) -> Option<Arc<StoredTable>> {
        match self.all.get(name) {
            Some(Relation::Stored(table)) => Some(table.clone()),
            _ => None,
        }
    }
}

/// A query around the present one.
#[derive(Debug)]
pub(crate) struct Level {
    /// What names mean in it.
    pub(crate) scope: Scope,
    /// What the query within sees of its rows, as expressions over these: [`Expr::Outer`] counts them.
    pub(crate) outer: Vec<Expr>,
    /// Whether it may call aggregates where the query within stands.
    pub(crate) aggregates: Aggregates,
    /// Those that it calls so far.
    pub(crate) calls: Vec<AggregateCall>,
}

/// What `WITH` names.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) rel: Rel,
    pub(crate) columns: Vec<(String, DataType)>,
    /// How many queries were around it.
    pub(crate) depth: usize,
    /// Whether it depends on one of these.
    pub(crate) depends: bool,
    pub(crate) origin: NamedOrigin,
}

/// Where the rows come from that `WITH` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedOrigin {
    /// The last step of the recursion that is planned.
    Recursion,
    /// A query, shared under this number.
    Query(usize),
    /// A statement that has been run, and returned them.
    Change,
}

/// What a name of `WITH` gives, with the names and types of its columns.
pub(crate) type NamedRows = (Rel, Vec<(String, DataType)>);

/// What planning a statement goes by.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) params: Params,
    pub(crate) relations: Relations,
    /// The queries around the present one, outermost first.
    pub(crate) levels: Vec<Level>,
    /// What `WITH` names here, innermost last.
    pub(crate) named: Vec<Named>,
    /// How often each shared query is read, as far as that is known. What is read once is no longer shared.
    pub(crate) uses: Vec<usize>,
    ids: usize,
    /// The plan after each pass, if that is wanted.
    pub(super) passes: Option<RefCell<Vec<String>>>,
    /// What the statement is the body of: names of arguments are parameters.
    pub(crate) arguments: Arguments,
    /// Whether it calls a routine that may change tables.
    pub(crate) calls_volatile: bool,
}

/// What names mean in the body of a routine that no column has: the name of a table or nothing, a name, and its type.
pub(crate) type Arguments = Vec<(Option<String>, String, DataType)>;

impl Planner {
    pub(crate) fn new(relations: Relations, given: &[Option<DataType>]) -> Planner {
        Planner {
            params: Params(given.to_vec()),
            relations,
            levels: Vec::new(),
            named: Vec::new(),
            uses: Vec::new(),
            ids: 0,
            passes: None,
            arguments: Vec::new(),
            calls_volatile: false,
        }
    }

    /// A number that no other subquery or recursion of the statement has.
    pub(crate) fn next_id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    /// The column of a query around the present one that `table.name` means.
    pub(crate) fn outer_column(&mut self, table: Option<&str>, name: &str) -> SqlResult<(Expr, DataType)> {
        let mut has_table = false;
        for at in (0..self.levels.len()).rev() {
            let Some(level) = self.levels.get(at) else { continue };
            if let Some(column) = level.scope.find(table, name)? {
                let (expr, data_type) = (Expr::Column(column.index), column.data_type);
                return Ok((self.hand_down(at, expr), data_type));
            }
            has_table |= table.is_none_or(|table| level.scope.table(table).is_ok());
        }
        match table {
            Some(table) if !has_table => {
                let message = format!("missing FROM-clause entry for table \"{table}\"");
                Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
            }
            table => Err(undefined_column(table, name)),
        }
    }

    /// What `expr`, over the rows of the query at level `at`, is for the present query.
    pub(crate) fn hand_down(&mut self, at: usize, mut expr: Expr) -> Expr {
        for level in self.levels.iter_mut().skip(at) {
            let known = level.outer.iter().position(|known| *known == expr);
            let index = known.unwrap_or_else(|| {
                level.outer.push(expr);
                level.outer.len() - 1
            });
            expr = Expr::Outer(index);
        }
        expr
    }

    /// What `WITH` calls `name`, to be read once more.
    pub(crate) fn read_named(&mut self, name: &str) -> SqlResult<Option<NamedRows>> {
        let Some(named) = self.named.iter().rev().find(|named| named.name == name) else { return Ok(None) };
        if named.origin == NamedOrigin::Recursion && named.depth != self.levels.len() {
            let message =
                format!("recursive reference to query \"{name}\" must not appear within a subquery");
            return Err(SqlError::new(SqlState::INVALID_RECURSION, message));
        }
        if named.depends && named.depth != self.levels.len() {
            return Err(SqlError::not_supported(
                "a subquery over a WITH query that refers to columns outside of it",
            ));
        }
        if named.origin == NamedOrigin::Change && named.columns.is_empty() {
            let message = format!("WITH query \"{name}\" does not have a RETURNING clause");
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
        }
        let rel = match named.origin {
            NamedOrigin::Query(id) if !named.depends => {
                // What a subquery or the step of a recursion reads may be read for each row, or each time.
                let mut inner = self.named.iter().rev().take_while(|inner| inner.name != name);
                let is_repeated = named.depth < self.levels.len()
                    || inner.any(|inner| inner.origin == NamedOrigin::Recursion);
                let reads = if is_repeated && named.rel.clone().is_volatile()? { 2 } else { 1 };
                if let Some(uses) = self.uses.get_mut(id) {
                    *uses += reads;
                }
                Rel::Shared(Arc::new(super::rel::Shared {
                    id: super::rel::RunId(id),
                    input: named.rel.clone(),
                }))
            }
            _ => named.rel.clone(),
        };
        Ok(Some((rel, named.columns.clone())))
    }
}
