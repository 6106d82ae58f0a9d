//! Functions, procedures and triggers.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Translator, fold, refuse, single};
use crate::ast::{CreateRoutine, CreateTrigger, Drop, DropTrigger, ObjectKind, Statement};
use crate::catalog::{Events, Language, Parameter, Returns, Timing, Trigger, Volatility};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::DataType;

/// Where a call of a program begins, unless something else is said.
const ENTRY: &str = "run";

/// Whether the statement makes a procedure. The parser knows these by another dialect's grammar, so it is shown a function.
pub(super) fn makes_procedure(tokens: &mut [TokenWithSpan]) -> bool {
    let keyword = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    let words: Vec<_> = tokens.iter().take(4).map(keyword).collect();
    let at = match words[..] {
        [Some(Keyword::CREATE), Some(Keyword::PROCEDURE), ..] => 1,
        [Some(Keyword::CREATE), Some(Keyword::OR), Some(Keyword::REPLACE), Some(Keyword::PROCEDURE)] => 3,
        _ => return false,
    };
    if let Some(TokenWithSpan { token, .. }) = tokens.get_mut(at) {
        *token = Token::make_keyword("FUNCTION");
    }
    true
}

impl Translator<'_> {
    /// A statement about routines or triggers, or else the statement itself.
    pub(super) fn routine_statement(
        &self,
        statement: ast::Statement,
    ) -> SqlResult<Result<Statement, ast::Statement>> {
        use ast::Statement as S;
        Ok(Ok(match statement {
            S::CreateFunction(create) => Statement::CreateRoutine(Box::new(self.create_function(create)?)),
            S::DropFunction(drop) => {
                self.drop_routines(ObjectKind::Function, drop.if_exists, &drop.func_desc, drop.drop_behavior)?
            }
            S::DropProcedure { if_exists, proc_desc, drop_behavior } => {
                self.drop_routines(ObjectKind::Procedure, if_exists, &proc_desc, drop_behavior)?
            }
            S::CreateTrigger(create) => Statement::CreateTrigger(Box::new(self.create_trigger(create)?)),
            S::DropTrigger(drop) => {
                let Some(table) = &drop.table_name else {
                    let message = "DROP TRIGGER needs ON and the name of a table";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                };
                Statement::DropTrigger(DropTrigger {
                    name: single(&drop.trigger_name)?,
                    table: self.table_name(table)?,
                    if_exists: drop.if_exists,
                })
            }
            other => return Ok(Err(other)),
        }))
    }

    fn create_function(&self, create: ast::CreateFunction) -> SqlResult<CreateRoutine> {
        refuse(create.temporary || create.if_not_exists, "this form of CREATE FUNCTION")?;
        refuse(!create.set_params.is_empty(), "SET in CREATE FUNCTION")?;
        refuse(matches!(create.security, Some(ast::FunctionSecurity::Definer)), "SECURITY DEFINER")?;
        let (language, body) = body(create.language.as_ref().map(fold).as_deref(), create.function_body)?;
        let mut parameters = Vec::new();
        for parameter in create.args.unwrap_or_default() {
            parameters.push(self.parameter(parameter)?);
        }
        let returns = match create.return_type {
            None => Returns::Nothing,
            Some(ast::FunctionReturnType::SetOf(data_type)) => {
                let data_type = self.data_type(&data_type)?.data_type;
                Returns::Rows([(single_name(&create.name), data_type)].into())
            }
            Some(ast::FunctionReturnType::DataType(data_type)) => self.returns(data_type)?,
        };
        Ok(CreateRoutine {
            name: self.table_name(&create.name)?,
            or_replace: create.or_replace,
            is_procedure: false,
            parameters,
            returns,
            volatility: match create.behavior {
                Some(ast::FunctionBehavior::Immutable) => Volatility::Immutable,
                Some(ast::FunctionBehavior::Stable) => Volatility::Stable,
                Some(ast::FunctionBehavior::Volatile) | None => Volatility::Volatile,
            },
            strict: matches!(
                create.called_on_null,
                Some(ast::FunctionCalledOnNull::Strict | ast::FunctionCalledOnNull::ReturnsNullOnNullInput)
            ),
            language,
            body,
        })
    }

    fn parameter(&self, parameter: ast::OperateFunctionArg) -> SqlResult<Parameter> {
        refuse(
            !matches!(parameter.mode, None | Some(ast::ArgMode::In)),
            "a parameter that is OUT, INOUT or VARIADIC",
        )?;
        Ok(Parameter {
            name: parameter.name.as_ref().map_or_else(String::new, fold),
            data_type: self.data_type(&parameter.data_type)?.data_type,
            default: parameter.default_expr.map(|expr| self.source(expr)).transpose()?.map(|expr| expr.text),
        })
    }

    fn returns(&self, data_type: ast::DataType) -> SqlResult<Returns> {
        Ok(match data_type {
            ast::DataType::Trigger => Returns::Trigger,
            ast::DataType::Table(Some(columns)) => {
                let column = |column: ast::ColumnDef| {
                    Ok((fold(&column.name), self.data_type(&column.data_type)?.data_type))
                };
                Returns::Rows(
                    columns.into_iter().map(column).collect::<SqlResult<Vec<(String, DataType)>>>()?,
                )
            }
            ast::DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("void") => {
                Returns::Nothing
            }
            other => Returns::Value(self.data_type(&other)?.data_type),
        })
    }

    fn drop_routines(
        &self,
        kind: ObjectKind,
        if_exists: bool,
        routines: &[ast::FunctionDesc],
        behavior: Option<ast::DropBehavior>,
    ) -> SqlResult<Statement> {
        // There is one of each name, so the types that may stand behind it say nothing.
        let names = routines.iter().map(|routine| self.table_name(&routine.name));
        Ok(Statement::Drop(Drop {
            kind,
            names: names.collect::<SqlResult<_>>()?,
            if_exists,
            cascade: matches!(behavior, Some(ast::DropBehavior::Cascade)),
        }))
    }

    fn create_trigger(&self, create: ast::CreateTrigger) -> SqlResult<CreateTrigger> {
        refuse(create.temporary || create.is_constraint, "this form of CREATE TRIGGER")?;
        refuse(!create.referencing.is_empty(), "REFERENCING")?;
        refuse(create.referenced_table_name.is_some(), "FROM in CREATE TRIGGER")?;
        let timing = match create.period {
            Some(ast::TriggerPeriod::Before) => Timing::Before,
            Some(ast::TriggerPeriod::After) => Timing::After,
            _ => return Err(SqlError::not_supported("a trigger that is neither BEFORE nor AFTER")),
        };
        let (mut events, mut columns) = (Events::default(), Vec::new());
        for event in create.events {
            match event {
                ast::TriggerEvent::Insert => events.insert = true,
                ast::TriggerEvent::Delete => events.delete = true,
                ast::TriggerEvent::Update(named) => {
                    events.update = true;
                    columns = named.iter().map(fold).collect();
                }
                ast::TriggerEvent::Truncate => return Err(SqlError::not_supported("a trigger on TRUNCATE")),
            }
        }
        let Some(ast::TriggerExecBody { func_desc: routine, .. }) = create.exec_body else {
            let message = "a trigger needs EXECUTE FUNCTION and the name of a function";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        };
        refuse(routine.args.is_some_and(|args| !args.is_empty()), "arguments of a trigger's function")?;
        let routine = self.table_name(&routine.name)?;
        use ast::{TriggerObject, TriggerObjectKind as Kind};
        let trigger = Trigger {
            name: single(&create.name)?,
            timing,
            events,
            columns,
            for_each_row: matches!(
                create.trigger_object,
                Some(Kind::For(TriggerObject::Row) | Kind::ForEach(TriggerObject::Row))
            ),
            condition: create
                .condition
                .map(|expr| self.source(within(expr)))
                .transpose()?
                .map(|expr| expr.text),
            // Which schema that is, is found out when it is made.
            routine: (routine.schema.unwrap_or_default(), routine.name),
        };
        Ok(CreateTrigger {
            table: self.table_name(&create.table_name)?,
            trigger,
            or_replace: create.or_replace,
        })
    }
}

/// What stands in the parentheses that WHEN has, however many there are.
fn within(mut expr: ast::Expr) -> ast::Expr {
    while let ast::Expr::Nested(inner) = expr {
        expr = *inner;
    }
    expr
}

fn single_name(name: &ast::ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map_or_else(String::new, fold)
}

/// The language of a function, and its body.
fn body(language: Option<&str>, body: Option<ast::CreateFunctionBody>) -> SqlResult<(Language, String)> {
    const HINT: &str = "There are LANGUAGE sql and LANGUAGE wasm.";
    use ast::CreateFunctionBody as B;
    match (language, body) {
        (None, _) => {
            let message = "no language specified";
            Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).hint(HINT))
        }
        (_, None) => {
            let message = "no function body specified";
            Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message))
        }
        (Some("sql"), Some(B::AsBeforeOptions { body, link_symbol: None })) => {
            Ok((Language::Sql, text(body)?))
        }
        (Some("sql"), Some(B::Return(expr))) => Ok((Language::Sql, format!("SELECT {expr}"))),
        (Some("wasm"), Some(B::AsBeforeOptions { body, link_symbol })) => {
            let entry = link_symbol.map_or_else(|| Ok(ENTRY.into()), text)?;
            Ok((Language::Wasm { entry }, text(body)?))
        }
        (Some("sql" | "wasm"), Some(_)) => Err(SqlError::not_supported("this form of a function's body")),
        (Some(other), Some(_)) => {
            let message = format!("language \"{other}\" does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).hint(HINT))
        }
    }
}

/// The text that a function's body is.
fn text(body: ast::Expr) -> SqlResult<String> {
    match body {
        ast::Expr::Value(value) => match value.value {
            ast::Value::DollarQuotedString(text) => Ok(text.value),
            ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => Ok(text),
            _ => Err(SqlError::not_supported("this form of a function's body")),
        },
        _ => Err(SqlError::not_supported("this form of a function's body")),
    }
}
