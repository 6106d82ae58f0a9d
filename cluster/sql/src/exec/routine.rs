//! Calling functions and procedures: the statements of a body are run one after the other, in the transaction of the statement
//! that calls.
//!
//! Each of them sees what all before it have written. A statement that calls functions which may change tables reads what was
//! there when it began (see [`crate::plan::WithPlan`]).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::Ordering;

use super::{Budget, Context, Cursor, Row, collect, run_change};
use crate::ast::Statement;
use crate::cast;
use crate::catalog::{BodyStatement, Language, Returns, RoutineDescriptor, StoredRoutine, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::memo::Memo;
use crate::plan::{self, Arguments, Plan, Planned, Rel};
use crate::types::{DataType, Datum};

/// How deep routines may call each other. What a call takes of the stack is bounded, and stacks are small.
pub(crate) const DEPTH_MAX: usize = 16;

/// What a trigger's function calls the row as it was, and as it becomes.
pub(crate) const OLD: &str = "old";
pub(crate) const NEW: &str = "new";

/// What a trigger's function knows besides: what has happened, the trigger's name, and its table's.
pub(super) const TRIGGER_FACTS: [&str; 3] = ["tg_op", "tg_name", "tg_table_name"];

/// Statements that are run one after the other.
pub(crate) struct Body<'a> {
    pub(crate) routine: &'a StoredRoutine,
    pub(crate) statements: &'a [BodyStatement],
    /// The table whose row a trigger is called for, if it is called for one: what it was and what it becomes are parameters.
    pub(crate) row_of: Option<&'a TableDescriptor>,
}

/// What a body has given: its last statement, or its program.
#[derive(Default)]
pub(super) struct Given {
    pub(super) rows: Vec<Row>,
    pub(super) columns: Columns,
}

/// What the columns of the rows are that a body has given.
#[derive(Default)]
pub(super) enum Columns {
    /// It gives no rows.
    #[default]
    None,
    /// Those of a plan, if it has any.
    Planned(Arc<Planned>),
    /// Those of these names.
    Named(Vec<String>),
}

impl Columns {
    /// Their names, if it gives rows.
    pub(super) fn names(&self) -> Option<Vec<&str>> {
        match self {
            Columns::None => None,
            Columns::Planned(planned) => {
                let columns = planned.columns.as_ref()?;
                Some(columns.iter().map(|column| column.name.as_str()).collect())
            }
            Columns::Named(names) => Some(names.iter().map(String::as_str).collect()),
        }
    }
}

impl<D: Database> Context<'_, D> {
    /// Calls a function: the rows that it gives, of which only the first is looked for if it gives one value.
    pub(super) async fn call(&mut self, routine: &StoredRoutine, arguments: &[Datum]) -> SqlResult<Vec<Row>> {
        let body = Body { routine, statements: &routine.body, row_of: None };
        let Given { rows, .. } = self.run_body(&body, arguments).await?;
        converted(routine, rows, self)
    }

    /// Runs the statements of a body, which may call others; what the last one gives.
    pub(super) fn run_body<'b>(
        &'b mut self,
        body: &'b Body<'_>,
        arguments: &'b [Datum],
    ) -> Pin<Box<dyn Future<Output = SqlResult<Given>> + Send + 'b>> {
        Box::pin(self.enter_body(body, arguments))
    }

    async fn enter_body(&mut self, body: &Body<'_>, arguments: &[Datum]) -> SqlResult<Given> {
        if self.env.depth >= DEPTH_MAX {
            let message = format!("routines call each other deeper than the limit of {DEPTH_MAX}");
            return Err(SqlError::new(SqlState::TOO_COMPLEX, message));
        }
        // Calls of calls may be many, and none of them need read a row.
        self.breathe(self.env.session.calls.fetch_add(1, Ordering::Relaxed)).await?;
        let parts = self.transaction.put_parts_aside();
        let given = match &body.routine.descriptor.language {
            Language::Sql => self.run_statements(body, arguments).await,
            Language::Wasm { entry } => self.run_program(body, entry, arguments).await,
        };
        self.transaction.bring_parts_back(parts);
        given
    }

    async fn run_statements(&mut self, body: &Body<'_>, arguments: &[Datum]) -> SqlResult<Given> {
        let mut budget = Budget::new(self.database.memory());
        let mut last = Given::default();
        for (at, statement) in body.statements.iter().enumerate() {
            budget.return_to(0);
            let memo = Memo::default();
            let mut inner = self.of_routine(arguments, &memo, &mut budget);
            let is_last = at + 1 == body.statements.len();
            let ran = run_statement(body, statement, is_last, &mut inner).await;
            last = ran.map_err(|error| error.within(place(body.routine, at)))?;
        }
        Ok(last)
    }
}

/// Runs a statement; its rows, if they are wanted.
async fn run_statement<D: Database>(
    body: &Body<'_>,
    statement: &BodyStatement,
    is_last: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Given> {
    let path = &context.env.session.path;
    let planned = match statement.planned(context.transaction, path).await? {
        Some(planned) => planned,
        None => {
            let planned = Arc::new(plan_statement(body, &statement.statement, context).await?);
            statement.keep(planned.clone());
            planned
        }
    };
    // What may change something does it for all rows, though only the first may be wanted.
    let descriptor = &body.routine.descriptor;
    let wants_all = matches!(descriptor.returns, Returns::Rows(_)) || descriptor.is_volatile();
    let rows = match &planned.plan {
        Plan::Query(rel) if is_last && !wants_all => first_row(rel, context).await?,
        Plan::Query(rel) => collect(rel, context).await?,
        plan => run_change(plan, context).await?.returned,
    };
    Ok(Given { rows, columns: Columns::Planned(planned) })
}

async fn first_row<D: Database>(rel: &Rel, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let mut cursor = Cursor::open(rel);
    while let Some(batch) = cursor.next_wanted(context, 1).await? {
        if let Some(row) = batch.into_rows().into_iter().next() {
            return Ok([row].into());
        }
    }
    Ok(Vec::new())
}

/// The plans of a body's statements, for the tables as the transaction sees them; an error says in which of them it is.
pub(crate) async fn plan_body<D: Database>(
    body: &Body<'_>,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Planned>> {
    let mut plans = Vec::with_capacity(body.statements.len());
    for (at, statement) in body.statements.iter().enumerate() {
        let planned = plan_statement(body, &statement.statement, context).await;
        plans.push(planned.map_err(|error| error.within(place(body.routine, at)))?);
    }
    Ok(plans)
}

fn place(routine: &StoredRoutine, at: usize) -> String {
    format!("SQL function \"{}\" statement {}", routine.descriptor.name, at + 1)
}

async fn plan_statement<D: Database>(
    body: &Body<'_>,
    statement: &Statement,
    context: &mut Context<'_, D>,
) -> SqlResult<Planned> {
    let path = context.env.session.path.clone();
    let relations = plan::relations(statement, context.transaction, context.database, &path).await?;
    let (given, arguments) = body.parameters();
    let planned = plan::plan_body(statement, relations, &given, arguments)?;
    if planned.params.len() > given.len() {
        let message = format!("there is no parameter ${}", planned.params.len());
        return Err(SqlError::new(SqlState("42P02"), message));
    }
    check_fits(&planned, body.routine)?;
    Ok(planned)
}

/// 0A000 if a statement is none that a routine may run.
pub(super) fn check_fits(planned: &Planned, routine: &StoredRoutine) -> SqlResult<()> {
    let writes = match &planned.plan {
        Plan::Query(_) => false,
        Plan::Insert(_) | Plan::Update(_) | Plan::Delete(_) | Plan::With(_) => true,
        _ => return Err(SqlError::not_supported("this statement in a function")),
    };
    if writes && !routine.descriptor.is_volatile() {
        let message = "a function that is not VOLATILE cannot change tables, or call one that is";
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
    }
    Ok(())
}

impl Body<'_> {
    /// The types of its parameters, and what names mean in it.
    fn parameters(&self) -> (Vec<Option<DataType>>, Arguments) {
        let RoutineDescriptor { name, parameters, .. } = &self.routine.descriptor;
        let mut arguments: Arguments = parameters
            .iter()
            .map(|parameter| (Some(name.clone()), parameter.name.clone(), parameter.data_type))
            .collect();
        if let Some(table) = self.row_of {
            for row in [OLD, NEW] {
                let columns = table.columns.iter().map(|column| {
                    // What is dropped has no name.
                    let called = if column.dropped { String::new() } else { column.name.clone() };
                    (Some(row.into()), called, column.data_type)
                });
                arguments.extend(columns);
            }
        }
        if self.routine.descriptor.returns == Returns::Trigger {
            arguments.extend(TRIGGER_FACTS.map(|fact| (None, fact.into(), DataType::Text)));
        }
        (arguments.iter().map(|(_, _, data_type)| Some(*data_type)).collect(), arguments)
    }
}

/// Makes a value that a body has given one of the type that is wanted.
pub(super) fn become_type<D>(
    value: &mut Datum,
    data_type: DataType,
    context: &Context<'_, D>,
) -> SqlResult<()> {
    if !value.is_null() && value.data_type() != Some(data_type) {
        *value = cast::cast(value, data_type, &context.env.session.style)?;
    }
    Ok(())
}

/// What the last statement has given, as the routine says that it does.
fn converted<D>(
    routine: &StoredRoutine,
    mut rows: Vec<Row>,
    context: &Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    let types: Vec<DataType> = match &routine.descriptor.returns {
        // What is void is a text without characters.
        Returns::Nothing => return Ok([[Datum::Text(String::new())].into()].into()),
        Returns::Trigger => return Ok(rows),
        Returns::Value(data_type) => [*data_type].into(),
        Returns::Rows(columns) => columns.iter().map(|(_, data_type)| *data_type).collect(),
    };
    for row in &mut rows {
        if row.len() != types.len() {
            // A table that it reads all of has others by now.
            let (wants, has) = (types.len(), row.len());
            let message = format!("return type mismatch in function \"{}\"", routine.descriptor.name);
            let detail = format!("Its last statement must give {wants} columns, and gives {has}.");
            return Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).detail(detail));
        }
        for (value, data_type) in row.iter_mut().zip(&types) {
            become_type(value, *data_type, context)?;
        }
    }
    Ok(rows)
}
