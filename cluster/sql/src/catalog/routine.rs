//! Functions and procedures that users define.
//!
//! A routine's descriptor stands beside those of tables, under its name and a pair of parentheses, so that a table may have
//! the same name. There is one of each name.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;
use serde::{Deserialize, Serialize};
use spin::Mutex;

use crate::ast::{Expr, Statement};
use crate::error::SqlResult;
use crate::parse;
use crate::path::SearchPath;
use crate::plan::Planned;
use crate::programs::{FIND, MODULE};
use crate::types::DataType;

/// A function, or a procedure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoutineDescriptor {
    /// Its object id.
    pub id: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether it is for `CALL`.
    pub is_procedure: bool,
    /// What it is called with.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub returns: Returns,
    /// Whether it does more than to give something.
    pub volatility: Volatility,
    /// Whether it gives NULL at once if any argument is NULL.
    pub strict: bool,
    /// What its body is.
    pub language: Language,
    /// As it was written: statements, or the name of a program.
    pub body: String,
    /// What is said of it.
    #[serde(skip)]
    pub comment: Option<String>,
}

/// A parameter of a routine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name; empty if only its number leads to it.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// What it is if it is not given.
    pub default: Option<String>,
}

/// What a routine gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Returns {
    /// Nothing: a procedure, or `void`.
    Nothing,
    /// A value.
    Value(DataType),
    /// Rows of these columns: `TABLE (...)`, or `SETOF` with a single one.
    Rows(Vec<(String, DataType)>),
    /// It is called by triggers alone.
    Trigger,
}

/// What a routine may do, and when it has to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Volatility {
    /// Its value depends on its arguments alone.
    Immutable,
    /// Its value is the same all through a statement.
    Stable,
    /// It may change tables.
    Volatile,
}

/// What the body of a routine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// Statements, one after the other; the last one says what it gives.
    Sql,
    /// A program of `sys.programs`, whose result is what it gives.
    Wasm {
        /// The export that a call begins at.
        entry: String,
    },
}

impl Language {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Language::Sql => "sql",
            Language::Wasm { .. } => "wasm",
        }
    }
}

/// A routine, with the bytes it was read from: equal bytes, equal routine.
#[derive(Debug)]
pub(crate) struct StoredRoutine {
    pub(crate) key: Vec<u8>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) descriptor: RoutineDescriptor,
    /// Of a program, those that find it.
    pub(crate) body: Vec<BodyStatement>,
    /// The statements that a program has run, by their text, those used last at the end.
    pub(crate) of_program: Mutex<VecDeque<(String, Arc<BodyStatement>)>>,
    /// What parameters are that are not given.
    pub(crate) defaults: Vec<Option<Expr>>,
}

/// A statement of a routine's body.
#[derive(Debug)]
pub(crate) struct BodyStatement {
    pub(crate) statement: Arc<Statement>,
    /// The plan that was made last.
    planned: Mutex<Option<Arc<Planned>>>,
}

impl BodyStatement {
    /// One that was not planned yet.
    pub(crate) fn new(statement: Arc<Statement>) -> BodyStatement {
        BodyStatement { statement, planned: Mutex::new(None) }
    }

    /// The plan that was made last, if what it was made for is in `transaction` what it was.
    pub(crate) async fn planned(
        &self,
        transaction: &mut Transaction,
        path: &Arc<SearchPath>,
    ) -> SqlResult<Option<Arc<Planned>>> {
        let known = self.planned.lock().clone();
        Ok(match known {
            Some(planned) if planned.is_current(transaction, path).await? => Some(planned),
            _ => None,
        })
    }

    /// Keeps a plan.
    pub(crate) fn keep(&self, planned: Arc<Planned>) {
        *self.planned.lock() = Some(planned);
    }
}

impl PartialEq for StoredRoutine {
    fn eq(&self, other: &StoredRoutine) -> bool {
        self.key == other.key && self.bytes == other.bytes
    }
}

impl StoredRoutine {
    pub(super) fn new(
        key: Vec<u8>,
        bytes: Arc<[u8]>,
        descriptor: RoutineDescriptor,
    ) -> SqlResult<StoredRoutine> {
        let body = match &descriptor.language {
            Language::Sql => parse::parse(&descriptor.body)?,
            Language::Wasm { .. } => parse::parse(&format!("{FIND}; {MODULE}"))?,
        };
        let body = body.into_iter().map(|statement| BodyStatement::new(Arc::new(statement)));
        let default = |parameter: &Parameter| parameter.default.as_deref().map(parse::expression).transpose();
        let defaults = descriptor.parameters.iter().map(default).collect::<SqlResult<_>>()?;
        let (body, of_program) = (body.collect(), Mutex::default());
        Ok(StoredRoutine { key, bytes, body, of_program, defaults, descriptor })
    }
}

impl RoutineDescriptor {
    /// What its name is in the catalog.
    pub(crate) fn catalog_name(&self) -> String {
        routine_name(&self.name)
    }

    /// What it is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_procedure { "procedure" } else { "function" }
    }

    /// Its name with the types that it takes, for messages.
    pub(crate) fn signature(&self) -> String {
        let types: Vec<&str> = self.parameters.iter().map(|parameter| parameter.data_type.name()).collect();
        format!("{}({})", self.name, types.join(", "))
    }

    /// Whether calling it may change tables.
    pub(crate) fn is_volatile(&self) -> bool {
        self.volatility == Volatility::Volatile
    }
}

/// What a routine called `name` is called in the catalog.
pub(crate) fn routine_name(name: &str) -> String {
    format!("{name}()")
}
