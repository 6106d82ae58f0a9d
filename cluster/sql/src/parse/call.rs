//! Function calls, and the windows they may be over.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sqlparser::ast;

use super::{Translator, fold, idents, refuse};
use crate::ast::{Alias, Body, From, Query, Select, SelectItem};
use crate::ast::{Call, Expr, Frame, FrameBound, FrameUnits, Over, Window};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, TypeName};

impl Translator<'_> {
    pub(super) fn call(&self, function: ast::Function) -> SqlResult<Expr> {
        refuse(function.null_treatment.is_some(), "IGNORE NULLS and RESPECT NULLS")?;
        let parts = idents(&function.name)?;
        let position = parts.first().and_then(|part| self.position(part.span));
        let (schema, name) = match *parts {
            [name] => (None, fold(name)),
            [schema, name] if fold(schema) == "pg_catalog" => (None, fold(name)),
            [schema, name] => (Some(fold(schema)), fold(name)),
            _ => {
                let message = format!("function {} does not exist", function.name);
                return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).at(position));
            }
        };
        let mut call = Call { schema, position, ..plain_call(&name, Vec::new()) };
        call.filter = function.filter.map(|filter| self.expr(*filter)).transpose()?;
        call.order_by = self.order_by(function.within_group)?;
        call.over = function.over.map(|over| self.over(over)).transpose()?;
        match function.args {
            ast::FunctionArguments::None => {}
            ast::FunctionArguments::Subquery(query) if name == "array" => {
                return Ok(array_of(*self.boxed_query(query)?));
            }
            ast::FunctionArguments::Subquery(query) => {
                call.arguments.push(Expr::Subquery(self.boxed_query(query)?));
            }
            ast::FunctionArguments::List(list) => self.arguments(&mut call, list)?,
        }
        Ok(with_precision(call))
    }

    fn arguments(&self, call: &mut Call, list: ast::FunctionArgumentList) -> SqlResult<()> {
        call.distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
        let mut named = Vec::new();
        for argument in list.args {
            match argument {
                ast::FunctionArg::Named { name, arg: ast::FunctionArgExpr::Expr(expr), .. } => {
                    named.push((name, expr));
                }
                ast::FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name),
                    arg: ast::FunctionArgExpr::Expr(expr),
                    ..
                } => named.push((name, expr)),
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => {
                    call.arguments.push(self.expr(expr)?);
                }
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard) => call.star = true,
                _ => return Err(SqlError::not_supported("this function argument")),
            }
        }
        if call.name == "make_interval" {
            self.interval_arguments(&mut call.arguments, named)?;
        } else if !named.is_empty() {
            return Err(SqlError::not_supported("a named function argument"));
        }
        for clause in list.clauses {
            match clause {
                ast::FunctionArgumentClause::OrderBy(keys) => call.order_by = self.order_by(keys)?,
                _ => return Err(SqlError::not_supported("this clause within a function's arguments")),
            }
        }
        Ok(())
    }

    fn over(&self, over: ast::WindowType) -> SqlResult<Over> {
        Ok(match over {
            ast::WindowType::NamedWindow(name) => Over::Named(fold(&name)),
            ast::WindowType::WindowSpec(spec) => Over::Window(self.window(spec)?),
        })
    }

    pub(super) fn named_window(&self, definition: ast::NamedWindowExpr) -> SqlResult<Window> {
        Ok(match definition {
            ast::NamedWindowExpr::NamedWindow(name) => {
                Window { base: Some(fold(&name)), ..Window::default() }
            }
            ast::NamedWindowExpr::WindowSpec(spec) => self.window(spec)?,
        })
    }

    fn window(&self, spec: ast::WindowSpec) -> SqlResult<Window> {
        Ok(Window {
            base: spec.window_name.as_ref().map(fold),
            partition_by: self.exprs(spec.partition_by)?,
            order_by: self.order_by(spec.order_by)?,
            frame: spec.window_frame.map(|frame| self.frame(frame)).transpose()?,
        })
    }

    fn frame(&self, frame: ast::WindowFrame) -> SqlResult<Frame> {
        let units = match frame.units {
            ast::WindowFrameUnits::Rows => FrameUnits::Rows,
            ast::WindowFrameUnits::Range => FrameUnits::Range,
            ast::WindowFrameUnits::Groups => FrameUnits::Groups,
        };
        Ok(Frame {
            units,
            start: self.frame_bound(frame.start_bound)?,
            end: frame.end_bound.map_or(Ok(FrameBound::CurrentRow), |bound| self.frame_bound(bound))?,
        })
    }

    fn frame_bound(&self, bound: ast::WindowFrameBound) -> SqlResult<FrameBound> {
        use ast::WindowFrameBound as B;
        Ok(match bound {
            B::CurrentRow => FrameBound::CurrentRow,
            B::Preceding(None) => FrameBound::UnboundedPreceding,
            B::Following(None) => FrameBound::UnboundedFollowing,
            B::Preceding(Some(expr)) => FrameBound::Preceding(Box::new(self.expr(*expr)?)),
            B::Following(Some(expr)) => FrameBound::Following(Box::new(self.expr(*expr)?)),
        })
    }
}

/// `current_timestamp(3)` and the like: a cast of what has all digits.
fn with_precision(mut call: Call) -> Expr {
    let data_type = match call.name.as_str() {
        "current_timestamp" => DataType::Timestamptz,
        "localtimestamp" => DataType::Timestamp,
        "localtime" => DataType::Time,
        _ => return Expr::Call(Box::new(call)),
    };
    match call.arguments.first() {
        Some(Expr::Number(digits)) => {
            let modifier = Some(digits.parse::<u32>().unwrap_or(6).min(6));
            call.arguments.clear();
            Expr::Cast(Box::new(Expr::Call(Box::new(call))), TypeName { data_type, modifier })
        }
        _ => Expr::Call(Box::new(call)),
    }
}

/// A call of `name` with `arguments`, and nothing more.
/// `ARRAY(query)`: what `array_agg` makes of the query's only column, or nothing.
fn array_of(query: Query) -> Expr {
    let alias = Alias { name: "rows".into(), columns: ["value".into()].into() };
    let value = Expr::Column { table: None, name: "value".into(), position: None };
    let all =
        SelectItem::Expr { expr: Expr::Call(Box::new(plain_call("array_agg", [value].into()))), alias: None };
    let from = From::Query { query: Box::new(query), alias: Some(alias) };
    let select = Select::of([all].into(), from);
    let array = Expr::Subquery(Box::new(Query::of(Body::Select(Box::new(select)))));
    let none = Expr::Text("{}".into());
    Expr::Call(Box::new(plain_call("array", [array, none].into())))
}

pub(super) fn plain_call(name: &str, arguments: Vec<Expr>) -> Call {
    Call {
        schema: None,
        name: String::from(name),
        arguments,
        star: false,
        distinct: false,
        order_by: Vec::new(),
        filter: None,
        over: None,
        position: None,
    }
}
