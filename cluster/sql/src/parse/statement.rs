//! Statements other than queries and definitions.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, explain, fold, idents, refuse, single};
use crate::ast::{
    ConflictTarget, ConflictUpdate, Delete, Expr, Insert, InsertSource, OnConflict, Statement, Truncate,
    Update,
};
use crate::database::Procedure;
use crate::error::{SqlError, SqlResult, SqlState};

impl Translator<'_> {
    pub(super) fn statement(&self, statement: ast::Statement) -> SqlResult<Statement> {
        use ast::Statement as S;
        match statement {
            S::Query(query) => self.query_statement(query),
            S::Insert(insert) => self.insert(insert),
            S::Update(update) => self.update(update),
            S::Delete(delete) => self.delete(delete),
            S::Truncate(truncate) => {
                let tables = truncate.table_names.iter().map(|target| self.table_name(&target.name));
                Ok(Statement::Truncate(Truncate {
                    tables: tables.collect::<SqlResult<_>>()?,
                    restart_identity: matches!(truncate.identity, Some(ast::TruncateIdentityOption::Restart)),
                    cascade: matches!(truncate.cascade, Some(ast::CascadeOption::Cascade)),
                }))
            }
            S::Copy { source, to, target, options, legacy_options, .. } => {
                self.copy(source, to, &target, options, legacy_options)
            }
            S::Explain { statement, analyze, options, .. } => {
                let statement = self.statement(*statement)?;
                explain::explain(statement, analyze, &options.unwrap_or_default())
            }
            S::Call(function) => self.call_statement(function),
            other => match self.definition(other)? {
                Ok(statement) => Ok(statement),
                Err(other) => self.session_statement(other),
            },
        }
    }

    fn call_statement(&self, function: ast::Function) -> SqlResult<Statement> {
        if let Some(procedure) = system_procedure(&function)? {
            return Ok(Statement::CallSystem(procedure));
        }
        match self.call(function)? {
            Expr::Call(call) => Ok(Statement::Call(call)),
            _ => Err(SqlError::not_supported("CALL of this")),
        }
    }

    fn session_statement(&self, statement: ast::Statement) -> SqlResult<Statement> {
        use ast::Statement as S;
        match statement {
            S::StartTransaction { modes, begin, statements, .. } if statements.is_empty() => {
                let read_only =
                    modes.contains(&ast::TransactionMode::AccessMode(ast::TransactionAccessMode::ReadOnly));
                Ok(Statement::Begin { read_only, start: !begin })
            }
            S::Commit { chain: false, .. } => Ok(Statement::Commit),
            S::Rollback { chain: false, savepoint: None } => Ok(Statement::Rollback),
            S::Rollback { chain: false, savepoint: Some(name) } => Ok(Statement::RollbackTo(fold(&name))),
            S::Savepoint { name } => Ok(Statement::Savepoint(fold(&name))),
            S::ReleaseSavepoint { name } => Ok(Statement::Release(fold(&name))),
            S::Set(set) => self.set(set),
            S::Reset(reset) => match reset.reset {
                ast::Reset::ALL => Ok(Statement::ResetAll),
                ast::Reset::ConfigurationParameter(name) => Ok(Statement::Reset(single(&name)?)),
                _ => Err(SqlError::not_supported("this form of RESET")),
            },
            S::ShowVariable { variable } => {
                let words: Vec<String> = variable.iter().map(|word| word.value.to_lowercase()).collect();
                Ok(Statement::Show(match words.join(" ").as_str() {
                    "transaction isolation level" => "transaction_isolation".into(),
                    "time zone" => "timezone".into(),
                    "session authorization" => "session_authorization".into(),
                    _ => words.join("."),
                }))
            }
            S::Deallocate { name, .. } => {
                let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
                Ok(Statement::Deallocate((!all).then(|| fold(&name))))
            }
            S::Discard { object_type: ast::DiscardObject::ALL } => Ok(Statement::DiscardAll),
            S::LISTEN { channel } => Ok(Statement::Listen(channel_name(&channel)?)),
            S::UNLISTEN { channel } => {
                let all = channel.quote_style.is_none() && channel.value == "*";
                Ok(Statement::Unlisten(if all { None } else { Some(channel_name(&channel)?) }))
            }
            S::NOTIFY { channel, payload } => {
                Ok(Statement::Notify(channel_name(&channel)?, payload.unwrap_or_default()))
            }
            other => self.named_statement(other),
        }
    }

    /// Statements about what has a name in the session, and about tables as a whole.
    fn named_statement(&self, statement: ast::Statement) -> SqlResult<Statement> {
        use ast::Statement as S;
        match statement {
            S::Prepare { name, data_types, statement } => {
                let types = data_types.iter().map(|data_type| Ok(self.data_type(data_type)?.data_type));
                let types = types.collect::<SqlResult<Vec<_>>>()?;
                Ok(Statement::Prepare(fold(&name), types, Box::new(self.statement(*statement)?)))
            }
            S::Execute { name: Some(name), parameters, .. } => {
                Ok(Statement::Execute(single(&name)?, self.exprs(parameters)?))
            }
            S::Declare { mut stmts } => match (stmts.pop(), stmts.is_empty()) {
                (Some(declare), true) => self.declare(declare),
                _ => Err(SqlError::not_supported("this form of DECLARE")),
            },
            S::Close { cursor: ast::CloseCursor::All } => Ok(Statement::Close(None)),
            S::Close { cursor: ast::CloseCursor::Specific { name } } => {
                Ok(Statement::Close(Some(fold(&name))))
            }
            S::Lock(lock) => {
                let tables = lock.tables.iter().map(|target| self.table_name(&target.name));
                Ok(Statement::Lock(tables.collect::<SqlResult<_>>()?))
            }
            other => Err(SqlError::not_supported(&first_words(&other))),
        }
    }

    fn set(&self, set: ast::Set) -> SqlResult<Statement> {
        match set {
            ast::Set::SingleAssignment { scope, variable, values, .. } => {
                let name =
                    idents(&variable)?.iter().map(|part| part.value.to_lowercase()).collect::<Vec<_>>();
                let local = matches!(scope, Some(ast::ContextModifier::Local));
                let values = values.iter().map(setting_value).collect::<SqlResult<Vec<_>>>()?;
                let value = values.join(", ");
                let is_default = value.eq_ignore_ascii_case("default");
                Ok(Statement::Set { name: name.join("."), value: (!is_default).then_some(value), local })
            }
            ast::Set::SetTimeZone { local, value } => {
                let value = setting_value(&value)?;
                Ok(Statement::Set { name: "timezone".into(), value: Some(value), local })
            }
            ast::Set::SetNames { charset_name, .. } => {
                let value = Some(charset_name.value);
                Ok(Statement::Set { name: "client_encoding".into(), value, local: false })
            }
            // One isolation level serves them all: the strictest.
            ast::Set::SetTransaction { modes, session, .. } => {
                let has = |mode| modes.contains(&ast::TransactionMode::AccessMode(mode));
                let value = match () {
                    _ if has(ast::TransactionAccessMode::ReadOnly) => Some("on".into()),
                    _ if has(ast::TransactionAccessMode::ReadWrite) => Some("off".into()),
                    _ => return Ok(Statement::Nothing("SET")),
                };
                let name = if session { "default_transaction_read_only" } else { "transaction_read_only" };
                Ok(Statement::Set { name: name.into(), value, local: !session })
            }
            _ => Err(SqlError::not_supported("this form of SET")),
        }
    }

    pub(super) fn insert(&self, insert: ast::Insert) -> SqlResult<Statement> {
        let ast::TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::not_supported("INSERT into anything but a table"));
        };
        let on_conflict = match insert.on {
            None => None,
            Some(ast::OnInsert::OnConflict(on)) => Some(self.on_conflict(on)?),
            Some(_) => return Err(SqlError::not_supported("this clause of INSERT")),
        };
        let source = match insert.source {
            None => InsertSource::Defaults,
            Some(query) => self.insert_source(query)?,
        };
        Ok(Statement::Insert(Insert {
            table: self.table_name(name)?,
            alias: insert.table_alias.as_ref().map(|alias| fold(&alias.alias)),
            columns: self.column_names(&insert.columns)?,
            source,
            on_conflict,
            returning: self.items(insert.returning.unwrap_or_default())?,
        }))
    }

    fn on_conflict(&self, on: ast::OnConflict) -> SqlResult<OnConflict> {
        let target = match on.conflict_target {
            None => None,
            Some(ast::ConflictTarget::Columns(names)) => {
                Some(ConflictTarget::Columns(names.iter().map(fold).collect()))
            }
            Some(ast::ConflictTarget::OnConstraint(name)) => Some(ConflictTarget::Constraint(single(&name)?)),
        };
        let update = match on.action {
            ast::OnConflictAction::DoNothing => None,
            ast::OnConflictAction::DoUpdate(update) => Some(ConflictUpdate {
                assignments: self.assignments(update.assignments)?,
                filter: update.selection.map(|filter| self.expr(filter)).transpose()?,
            }),
        };
        Ok(OnConflict { target, update })
    }

    fn assignments(&self, all: Vec<ast::Assignment>) -> SqlResult<Vec<(String, Option<Expr>)>> {
        let mut assignments = Vec::new();
        for assignment in all {
            let ast::AssignmentTarget::ColumnName(name) = &assignment.target else {
                return Err(SqlError::not_supported("assignment to a row of columns"));
            };
            assignments.push((single(name)?, self.or_default(assignment.value)?));
        }
        Ok(assignments)
    }

    fn insert_source(&self, query: Box<ast::Query>) -> SqlResult<InsertSource> {
        let is_plain = query.order_by.is_none() && query.limit_clause.is_none();
        match *query.body {
            ast::SetExpr::Values(values) if is_plain => {
                let row = |row: ast::Parens<Vec<ast::Expr>>| {
                    row.content.into_iter().map(|expr| self.or_default(expr)).collect::<SqlResult<Vec<_>>>()
                };
                Ok(InsertSource::Values(values.rows.into_iter().map(row).collect::<SqlResult<_>>()?))
            }
            _ => Ok(InsertSource::Query(self.boxed_query(query)?)),
        }
    }

    /// An expression, or none for `DEFAULT`.
    fn or_default(&self, expr: ast::Expr) -> SqlResult<Option<Expr>> {
        match &expr {
            ast::Expr::Identifier(word)
                if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") =>
            {
                Ok(None)
            }
            _ => self.expr(expr).map(Some),
        }
    }

    pub(super) fn update(&self, update: ast::Update) -> SqlResult<Statement> {
        let from = match update.from {
            None => Vec::new(),
            Some(ast::UpdateTableFromKind::AfterSet(from)) => self.from(from)?,
            Some(ast::UpdateTableFromKind::BeforeSet(_)) => {
                return Err(SqlError::not_supported("FROM before SET"));
            }
        };
        refuse(!update.order_by.is_empty() || update.limit.is_some(), "this clause of UPDATE")?;
        let (table, alias) = self.target(update.table)?;
        Ok(Statement::Update(Update {
            table,
            alias,
            assignments: self.assignments(update.assignments)?,
            from,
            filter: update.selection.map(|filter| self.expr(filter)).transpose()?,
            returning: self.items(update.returning.unwrap_or_default())?,
        }))
    }

    pub(super) fn delete(&self, delete: ast::Delete) -> SqlResult<Statement> {
        let using = self.from(delete.using.unwrap_or_default())?;
        refuse(!delete.order_by.is_empty() || delete.limit.is_some(), "this clause of DELETE")?;
        let (ast::FromTable::WithFromKeyword(mut from) | ast::FromTable::WithoutKeyword(mut from)) =
            delete.from;
        refuse(from.len() > 1 || !delete.tables.is_empty(), "DELETE from several tables")?;
        let target = from.pop().ok_or_else(|| SqlError::not_supported("DELETE from nothing"))?;
        let (table, alias) = self.target(target)?;
        let filter = delete.selection.map(|filter| self.expr(filter)).transpose()?;
        let returning = self.items(delete.returning.unwrap_or_default())?;
        Ok(Statement::Delete(Delete { table, alias, using, filter, returning }))
    }
}

/// A setting's value as text: a quoted text, a word or a number.
fn setting_value(expr: &ast::Expr) -> SqlResult<String> {
    match expr {
        ast::Expr::Identifier(word) => Ok(word.value.clone()),
        ast::Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => Ok(text.clone()),
            other => Ok(other.to_string()),
        },
        ast::Expr::UnaryOp { .. } => Ok(expr.to_string()),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "a setting's value must be a constant")),
    }
}

/// What a statement is called: its first words in capitals.
fn first_words(statement: &ast::Statement) -> String {
    let text = statement.to_string();
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase());
    let words: Vec<&str> = text.split(' ').take_while(is_word).take(3).collect();
    if words.is_empty() { "this statement".into() } else { words.join(" ") }
}

/// A procedure of schema `sys` that changes the cluster itself, if `function` is one.
fn system_procedure(function: &ast::Function) -> SqlResult<Option<Procedure>> {
    let name = match idents(&function.name)?.as_slice() {
        [name] => fold(name),
        [schema, name] if fold(schema) == "sys" => fold(name),
        _ => return Ok(None),
    };
    if !matches!(name.as_str(), "transfer_leadership" | "remove_node") {
        return Ok(None);
    }
    let arguments = match &function.args {
        ast::FunctionArguments::List(list) => {
            list.args.iter().map(integer).collect::<SqlResult<Vec<i64>>>()?
        }
        _ => Vec::new(),
    };
    match (name.as_str(), arguments.as_slice()) {
        ("transfer_leadership", []) => Ok(Some(Procedure::TransferLeadership(None))),
        ("transfer_leadership", [node]) => Ok(Some(Procedure::TransferLeadership(Some(*node)))),
        ("remove_node", [node]) => Ok(Some(Procedure::RemoveNode(*node))),
        _ => {
            let message = format!("procedure {function} does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .hint("There are sys.transfer_leadership([node]) and sys.remove_node(node)."))
        }
    }
}

fn integer(argument: &ast::FunctionArg) -> SqlResult<i64> {
    let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Value(value))) = argument else {
        return Err(SqlError::not_supported("an argument of CALL that is not a number"));
    };
    let ast::Value::Number(digits, _) = &value.value else {
        return Err(SqlError::not_supported("an argument of CALL that is not a number"));
    };
    let out_of_range = || SqlError::new(SqlState::OUT_OF_RANGE, "a node's number is out of range");
    digits.to_string().parse().map_err(|_| out_of_range())
}

/// A channel is a name; the parser takes a text for one.
fn channel_name(ident: &ast::Ident) -> SqlResult<String> {
    if ident.quote_style == Some('\'') {
        let message = format!("syntax error at or near \"'{}'\"", ident.value);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    Ok(fold(ident))
}
