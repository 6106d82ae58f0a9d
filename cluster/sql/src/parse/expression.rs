//! Expressions.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use sqlparser::ast;

use super::call::plain_call;
use super::special::{binary_operator, unary_operator};
use super::{Translator, fold, refuse};
use crate::ast::{BinaryOperator, Expr, UnaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};

/// How deep a translated expression may be: what bounds the stack that binding and evaluation take.
const DEPTH_MAX: usize = 120;

impl Translator<'_> {
    pub(super) fn exprs(&self, exprs: Vec<ast::Expr>) -> SqlResult<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.expr(expr)).collect()
    }

    fn boxed(&self, expr: Box<ast::Expr>) -> SqlResult<Box<Expr>> {
        self.expr(*expr).map(Box::new)
    }

    fn optional(&self, expr: Option<Box<ast::Expr>>) -> SqlResult<Option<Box<Expr>>> {
        expr.map(|expr| self.boxed(expr)).transpose()
    }

    pub(super) fn expr(&self, expr: ast::Expr) -> SqlResult<Expr> {
        self.deeper(1, || self.plain_expr(expr))
    }

    /// Runs `inner`, whose result lies `levels` below the present one.
    pub(super) fn deeper<T>(&self, levels: usize, inner: impl FnOnce() -> SqlResult<T>) -> SqlResult<T> {
        let depth = self.depth.get();
        if depth + levels > DEPTH_MAX {
            let message = format!("an expression of more than {DEPTH_MAX} levels exceeds the limit");
            return Err(SqlError::new(SqlState::TOO_COMPLEX, message));
        }
        self.depth.set(depth + levels);
        let result = inner();
        self.depth.set(depth);
        result
    }

    fn plain_expr(&self, expr: ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        match expr {
            E::Identifier(ident) => self.column(&[&ident]),
            E::CompoundIdentifier(parts) => self.column(&parts.iter().collect::<Vec<_>>()),
            E::Nested(inner) => self.expr(*inner),
            E::Value(value) => self.value(value),
            E::TypedString(typed) => {
                let to = self.data_type(&typed.data_type)?;
                Ok(Expr::Cast(Box::new(self.value(typed.value)?), to))
            }
            E::UnaryOp { op: op @ (ast::UnaryOperator::Minus | ast::UnaryOperator::Plus), expr }
                if is_power(&expr) =>
            {
                self.expr(sign_below_power(op, *expr))
            }
            E::UnaryOp { op, expr } => self.unary(op, expr),
            E::BinaryOp { left, op: ast::BinaryOperator::Overlaps, right } => self.overlaps(*left, *right),
            E::BinaryOp { left, op, right } => self.chain(*left, op, *right),
            E::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => {
                let to = self.data_type(&data_type)?;
                Ok(Expr::Cast(self.boxed(expr)?, to))
            }
            E::Function(function) => self.call(function),
            E::Case { operand, conditions, else_result, .. } => {
                let arm = |when: ast::CaseWhen| Ok((self.expr(when.condition)?, self.expr(when.result)?));
                Ok(Expr::Case {
                    operand: self.optional(operand)?,
                    arms: conditions.into_iter().map(arm).collect::<SqlResult<_>>()?,
                    otherwise: self.optional(else_result)?,
                })
            }
            E::Subquery(query) => Ok(Expr::Subquery(self.boxed_query(query)?)),
            E::Tuple(items) => Ok(Expr::Row(self.exprs(items)?)),
            other => self.predicate(other),
        }
    }

    fn predicate(&self, expr: ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        match expr {
            E::IsNull(expr) => Ok(Expr::IsNull(self.boxed(expr)?, false)),
            E::IsNotNull(expr) => Ok(Expr::IsNull(self.boxed(expr)?, true)),
            E::IsTrue(expr) => Ok(Expr::IsBool(self.boxed(expr)?, Some(true), false)),
            E::IsNotTrue(expr) => Ok(Expr::IsBool(self.boxed(expr)?, Some(true), true)),
            E::IsFalse(expr) => Ok(Expr::IsBool(self.boxed(expr)?, Some(false), false)),
            E::IsNotFalse(expr) => Ok(Expr::IsBool(self.boxed(expr)?, Some(false), true)),
            E::IsUnknown(expr) => Ok(Expr::IsBool(self.boxed(expr)?, None, false)),
            E::IsNotUnknown(expr) => Ok(Expr::IsBool(self.boxed(expr)?, None, true)),
            E::IsDistinctFrom(a, b) => Ok(Expr::IsDistinct(self.boxed(a)?, self.boxed(b)?, false)),
            E::IsNotDistinctFrom(a, b) => Ok(Expr::IsDistinct(self.boxed(a)?, self.boxed(b)?, true)),
            E::InList { expr, mut list, negated } => {
                if let Some(first) = list.first_mut() {
                    super::marks::unmark(first);
                }
                Ok(Expr::In(self.boxed(expr)?, self.exprs(list)?, negated))
            }
            E::Between { expr, negated, mut low, high } => {
                let symmetric = super::marks::unmark(&mut low);
                let (expr, low, high) = (self.boxed(expr)?, self.boxed(low)?, self.boxed(high)?);
                Ok(Expr::Between { expr, low, high, symmetric, negated })
            }
            E::Like { negated, any, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char, Form { negated, any, fold_case: false })
            }
            E::ILike { negated, any, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char, Form { negated, any, fold_case: true })
            }
            E::InSubquery { expr, subquery, negated } => {
                let (expr, query) = (self.boxed(expr)?, self.boxed_query(subquery)?);
                let found = Expr::QuantifiedQuery(BinaryOperator::Eq, expr, query, false);
                Ok(if negated { Expr::Unary(UnaryOperator::Not, Box::new(found)) } else { found })
            }
            E::Exists { subquery, negated } => {
                let found = Expr::Exists(self.boxed_query(subquery)?);
                Ok(if negated { Expr::Unary(UnaryOperator::Not, Box::new(found)) } else { found })
            }
            other => self.special_call(other),
        }
    }

    fn like(
        &self,
        expr: Box<ast::Expr>,
        pattern: Box<ast::Expr>,
        escape: Option<Box<ast::Expr>>,
        form: Form,
    ) -> SqlResult<Expr> {
        let Form { negated, any, fold_case } = form;
        // What the parser takes for a function called ALL.
        let (pattern, all) = match *pattern {
            ast::Expr::Function(mut function) if function.name.to_string().eq_ignore_ascii_case("all") => {
                match &mut function.args {
                    ast::FunctionArguments::List(list) if list.args.len() == 1 => match list.args.pop() {
                        Some(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(inner))) => (inner, true),
                        _ => return Err(SqlError::not_supported("this LIKE ALL")),
                    },
                    _ => return Err(SqlError::not_supported("this LIKE ALL")),
                }
            }
            other => (other, false),
        };
        let (expr, pattern) = (self.boxed(expr)?, Box::new(self.expr(pattern)?));
        if any || all {
            refuse(escape.is_some(), "ESCAPE of LIKE ANY")?;
            let symbol = match (negated, fold_case) {
                (false, false) => "~~",
                (false, true) => "~~*",
                (true, false) => "!~~",
                (true, true) => "!~~*",
            };
            return Ok(Expr::Quantified(BinaryOperator::Named(symbol), expr, pattern, all));
        }
        Ok(Expr::Like { expr, pattern, escape: self.optional(escape)?, negated, fold_case })
    }

    fn column(&self, parts: &[&ast::Ident]) -> SqlResult<Expr> {
        let (table, name) = match parts {
            [name] => (None, name),
            [table, name] | [_, table, name] => (Some(fold(table)), name),
            _ => return Err(SqlError::not_supported("a column name of more than three parts")),
        };
        let position = parts.first().and_then(|part| self.position(part.span));
        if let (None, None) = (&table, name.quote_style) {
            // Functions that are written without parentheses.
            let lower = name.value.to_ascii_lowercase();
            match &*lower {
                "current_timestamp" | "localtimestamp" | "current_user" | "session_user" | "user"
                | "current_catalog" | "current_schema" | "current_role" | "current_date" | "localtime" => {
                    return Ok(call(&lower, Vec::new()));
                }
                _ => {}
            }
        }
        Ok(Expr::Column { table, name: fold(name), position })
    }

    fn value(&self, value: ast::ValueWithSpan) -> SqlResult<Expr> {
        use ast::Value as V;
        let position = self.position(value.span);
        Ok(match value.value {
            V::Null => Expr::Null,
            V::Boolean(value) => Expr::Bool(value),
            V::Number(digits, _) => Expr::Number(digits),
            V::SingleQuotedString(text) | V::EscapedStringLiteral(text) | V::UnicodeStringLiteral(text) => {
                Expr::Text(text)
            }
            V::DollarQuotedString(text) => Expr::Text(text.value),
            V::Placeholder(name) => match name.strip_prefix('$').and_then(|digits| digits.parse().ok()) {
                Some(number @ 1..=65_535usize) => Expr::Param(number - 1),
                _ => {
                    let message = format!("there is no parameter {name}");
                    return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message).at(position));
                }
            },
            _ => return Err(SqlError::not_supported("this kind of literal").at(position)),
        })
    }

    fn unary(&self, op: ast::UnaryOperator, expr: Box<ast::Expr>) -> SqlResult<Expr> {
        let op = unary_operator(&op)?;
        let expr = self.boxed(expr)?;
        // A negative number is one literal, so that the smallest integer can be written.
        match (op, *expr) {
            (UnaryOperator::Minus, Expr::Number(digits)) if !digits.starts_with('-') => {
                Ok(Expr::Number(format!("-{digits}")))
            }
            (op, expr) => Ok(Expr::Unary(op, Box::new(expr))),
        }
    }

    /// A chain of operators leans to the left and may be long: its spine is walked, not recursed into.
    fn chain(&self, left: ast::Expr, op: ast::BinaryOperator, right: ast::Expr) -> SqlResult<Expr> {
        let mut spine = vec![(op, right)];
        let mut leftmost = left;
        while let ast::Expr::BinaryOp { left, op, right } = leftmost {
            spine.push((op, *right));
            leftmost = *left;
        }
        let is_logical =
            |op: &ast::BinaryOperator| matches!(op, ast::BinaryOperator::And | ast::BinaryOperator::Or);
        let levels = spine.iter().filter(|(op, _)| !is_logical(op)).count();
        self.deeper(levels, || {
            let mut tree = self.expr(leftmost)?;
            while let Some((op, right)) = spine.pop() {
                let right = self.expr(right)?;
                tree = self.binary(tree, op, right)?;
            }
            Ok(tree)
        })
    }

    fn binary(&self, left: Expr, op: ast::BinaryOperator, right: Expr) -> SqlResult<Expr> {
        use ast::BinaryOperator as B;
        let op = match op {
            B::And => {
                return Ok(Expr::And(joined(left, right, |expr| match expr {
                    Expr::And(all) => Ok(all),
                    other => Err(other),
                })));
            }
            B::Or => {
                return Ok(Expr::Or(joined(left, right, |expr| match expr {
                    Expr::Or(all) => Ok(all),
                    other => Err(other),
                })));
            }
            other => binary_operator(&other)?,
        };
        Ok(Expr::Binary(op, Box::new(left), Box::new(right), None))
    }
}

fn is_power(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::BinaryOp { op: ast::BinaryOperator::PGExp, .. })
}

/// In Postgres a sign belongs to the base of a power, `-2 ^ 2` is 4; the parser takes it the other way.
fn sign_below_power(sign: ast::UnaryOperator, expr: ast::Expr) -> ast::Expr {
    let (mut base, mut powers) = (expr, Vec::new());
    loop {
        match base {
            ast::Expr::BinaryOp { left, op: ast::BinaryOperator::PGExp, right } => {
                powers.push(right);
                base = *left;
            }
            other => {
                base = ast::Expr::UnaryOp { op: sign, expr: Box::new(other) };
                break;
            }
        }
    }
    while let Some(right) = powers.pop() {
        base = ast::Expr::BinaryOp { left: Box::new(base), op: ast::BinaryOperator::PGExp, right };
    }
    base
}

/// Which `LIKE` it is.
struct Form {
    negated: bool,
    any: bool,
    fold_case: bool,
}

/// A call that no text names.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Call(Box::new(plain_call(name, arguments)))
}

pub(super) fn number(digits: &str) -> ast::Expr {
    ast::Expr::value(ast::Value::Number(digits.into(), false))
}

/// One list of `left` and `right`, where the left may be such a list already. One on the right was in parentheses, and
/// stays the expression it is: it may be grouped by.
fn joined(left: Expr, right: Expr, list: fn(Expr) -> Result<Vec<Expr>, Expr>) -> Vec<Expr> {
    let mut all = list(left).unwrap_or_else(|other| vec![other]);
    all.push(right);
    all
}
