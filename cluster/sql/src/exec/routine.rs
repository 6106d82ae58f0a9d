//! Calling functions and procedures: the statements of a body are run one after the other, in the transaction of the statement
//! that calls.
//!
//! Each of them sees what all before it have written, and the statement that calls sees none of that: it reads what was there
//! when it began (see [`crate::plan::WithPlan`]).

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Budget, Context, Cursor, Row, collect, row_len, run_change};
use crate::ast::Statement;
use crate::cast;
use crate::catalog::{BodyStatement, Returns, StoredRoutine};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::memo::Memo;
use crate::plan::{self, Arguments, Plan, Planned};
use crate::types::{DataType, Datum};

/// How deep routines may call each other. What a call takes of the stack is bounded, and stacks are small.
pub(crate) const DEPTH_MAX: usize = 16;

/// What a routine has given.
pub(crate) struct Called {
    /// Rows of as many values as it says.
    pub(crate) rows: Vec<Row>,
}

impl Called {
    /// The value that it is.
    pub(crate) fn into_value(self) -> Datum {
        self.rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Datum::Null)
    }
}

impl<D: Database> Context<'_, D> {
    /// Calls `routine`. Of a function that gives one value, the first row is all there is.
    pub(crate) async fn call(
        &mut self,
        routine: &Arc<StoredRoutine>,
        arguments: Vec<Datum>,
    ) -> SqlResult<Called> {
        if self.env.depth >= DEPTH_MAX {
            let message = format!("routines call each other deeper than the limit of {DEPTH_MAX}");
            return Err(SqlError::new(SqlState::TOO_COMPLEX, message));
        }
        self.check_cancel()?;
        let parts = self.transaction.put_parts_aside();
        let called = self.run_body(routine, &arguments).await;
        self.transaction.bring_parts_back(parts);
        called
    }

    async fn run_body(&mut self, routine: &StoredRoutine, arguments: &[Datum]) -> SqlResult<Called> {
        let mut budget = Budget::new(self.database.memory());
        let mut last = Vec::new();
        for (at, statement) in routine.body.iter().enumerate() {
            budget.return_to(0);
            let memo = Memo::default();
            let env =
                Env { params: arguments, outer: &[], memo: &memo, depth: self.env.depth + 1, ..self.env };
            let mut inner = Context {
                database: self.database,
                transaction: self.transaction,
                env,
                cancel: self.cancel,
                budget: &mut budget,
            };
            let is_last = at + 1 == routine.body.len();
            last = run_statement(routine, statement, is_last, &mut inner).await.map_err(|error| {
                let name = &routine.descriptor.name;
                error.within(format!("SQL function \"{name}\" statement {}", at + 1))
            })?;
        }
        converted(routine, last, self)
    }
}

/// Runs a statement; its rows, if they are wanted.
async fn run_statement<D: Database>(
    routine: &StoredRoutine,
    statement: &BodyStatement,
    is_last: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    let path = &context.env.session.path;
    let planned = match statement.planned(context.transaction, path).await? {
        Some(planned) => planned,
        None => {
            let planned = Arc::new(plan_statement(routine, &statement.statement, context).await?);
            statement.keep(planned.clone());
            planned
        }
    };
    match &planned.plan {
        Plan::Query(rel) if is_last && !matches!(routine.descriptor.returns, Returns::Rows(_)) => {
            let mut cursor = Cursor::open(rel);
            while let Some(batch) = cursor.next_wanted(context, 1).await? {
                if let Some(row) = batch.into_rows().into_iter().next() {
                    return Ok([row].into());
                }
            }
            Ok(Vec::new())
        }
        Plan::Query(rel) => collect(rel, context).await,
        plan => Ok(run_change(plan, context).await?.returned),
    }
}

/// The plan of a statement in the body of `routine`, for the tables as the transaction sees them.
pub(crate) async fn plan_statement<D: Database>(
    routine: &StoredRoutine,
    statement: &Statement,
    context: &mut Context<'_, D>,
) -> SqlResult<Planned> {
    let path = context.env.session.path.clone();
    let relations = plan::relations(statement, context.transaction, context.database, &path).await?;
    let (given, arguments) = parameters(routine);
    let planned = plan::plan_body(statement, relations, &given, arguments)?;
    if planned.params.len() > given.len() {
        let message = format!("there is no parameter ${}", planned.params.len());
        return Err(SqlError::new(SqlState("42P02"), message));
    }
    let writes = match &planned.plan {
        Plan::Query(_) => false,
        Plan::Insert(_) | Plan::Update(_) | Plan::Delete(_) | Plan::With(_) => true,
        _ => return Err(SqlError::not_supported("this statement in a function")),
    };
    if writes && !routine.descriptor.is_volatile() {
        let message = "a function that is not VOLATILE cannot change tables, or call one that is";
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
    }
    Ok(planned)
}

/// The types of a routine's parameters, and what names mean in its body.
fn parameters(routine: &StoredRoutine) -> (Vec<Option<DataType>>, Arguments) {
    let descriptor = &routine.descriptor;
    let types = descriptor.parameters.iter().map(|parameter| Some(parameter.data_type));
    let arguments = descriptor
        .parameters
        .iter()
        .map(|parameter| (Some(descriptor.name.clone()), parameter.name.clone(), parameter.data_type));
    (types.collect(), arguments.collect())
}

/// What the last statement has given, as the routine says that it does.
fn converted<D>(routine: &StoredRoutine, rows: Vec<Row>, context: &mut Context<'_, D>) -> SqlResult<Called> {
    let types: Vec<DataType> = match &routine.descriptor.returns {
        // What is void is a text without characters.
        Returns::Nothing => {
            return Ok(Called { rows: [[Datum::Text(Default::default())].into()].into() });
        }
        Returns::Trigger => return Ok(Called { rows }),
        Returns::Value(data_type) => [*data_type].into(),
        Returns::Rows(columns) => columns.iter().map(|(_, data_type)| *data_type).collect(),
    };
    let mut all = Vec::with_capacity(rows.len());
    for mut row in rows {
        for (value, data_type) in row.iter_mut().zip(&types) {
            if !value.is_null() && value.data_type() != Some(*data_type) {
                *value = cast::cast(value, *data_type, &context.env.session.style)?;
            }
        }
        context.budget.charge(row_len(&row))?;
        all.push(row);
    }
    Ok(Called { rows: all })
}
