//! Expressions.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use sqlparser::ast;

use super::call::plain_call;
use super::{Translator, fold};
use crate::ast::{BinaryOperator, Expr, UnaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::DataType;

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
                let (data_type, _) = self.data_type(&typed.data_type)?;
                Ok(Expr::Cast(Box::new(self.value(typed.value)?), data_type))
            }
            E::UnaryOp { op, expr } => self.unary(op, expr),
            E::BinaryOp { left, op, right } => self.chain(*left, op, *right),
            E::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => {
                let (data_type, _) = self.data_type(&data_type)?;
                Ok(Expr::Cast(self.boxed(expr)?, data_type))
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
            E::InList { expr, list, negated } => Ok(Expr::In(self.boxed(expr)?, self.exprs(list)?, negated)),
            E::Between { expr, negated, low, high } => {
                let (expr, low, high) = (self.boxed(expr)?, self.boxed(low)?, self.boxed(high)?);
                Ok(Expr::Between { expr, low, high, negated })
            }
            E::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char, negated, false)
            }
            E::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char, negated, true)
            }
            E::InSubquery { expr, subquery, negated } => {
                let (expr, query) = (self.boxed(expr)?, self.boxed_query(subquery)?);
                let found = Expr::Quantified(BinaryOperator::Eq, expr, query, false);
                Ok(if negated { Expr::Unary(UnaryOperator::Not, Box::new(found)) } else { found })
            }
            E::Exists { subquery, negated } => {
                let found = Expr::Exists(self.boxed_query(subquery)?);
                Ok(if negated { Expr::Unary(UnaryOperator::Not, Box::new(found)) } else { found })
            }
            E::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, *right, false),
            E::AllOp { left, compare_op, right } => self.quantified(left, compare_op, *right, true),
            other => self.special_call(other),
        }
    }

    /// `left op ANY (SELECT ...)`, or ALL.
    fn quantified(
        &self,
        left: Box<ast::Expr>,
        op: ast::BinaryOperator,
        right: ast::Expr,
        all: bool,
    ) -> SqlResult<Expr> {
        let ast::Expr::Subquery(query) = right else {
            return Err(SqlError::not_supported("ANY or ALL of an array"));
        };
        let (left, query) = (self.boxed(left)?, self.boxed_query(query)?);
        Ok(Expr::Quantified(comparison(op)?, left, query, all))
    }

    fn like(
        &self,
        expr: Box<ast::Expr>,
        pattern: Box<ast::Expr>,
        escape: Option<Box<ast::Expr>>,
        negated: bool,
        fold_case: bool,
    ) -> SqlResult<Expr> {
        let (expr, pattern) = (self.boxed(expr)?, self.boxed(pattern)?);
        Ok(Expr::Like { expr, pattern, escape: self.optional(escape)?, negated, fold_case })
    }

    /// Functions with a grammar of their own.
    fn special_call(&self, expr: ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        let no_field = |field: &ast::CeilFloorKind| {
            matches!(field, ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime))
        };
        let (name, arguments) = match expr {
            E::Ceil { expr, field } if no_field(&field) => ("ceil", vec![*expr]),
            E::Floor { expr, field } if no_field(&field) => ("floor", vec![*expr]),
            E::Position { expr, r#in } => ("position", vec![*r#in, *expr]),
            E::Substring { expr, substring_from, substring_for, shorthand, .. } => {
                let start = substring_from.map_or_else(|| number("1"), |from| *from);
                (
                    if shorthand { "substr" } else { "substring" },
                    [Some(*expr), Some(start), substring_for.map(|len| *len)].into_iter().flatten().collect(),
                )
            }
            E::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                (name, [Some(*expr), trim_what.map(|what| *what)].into_iter().flatten().collect())
            }
            E::Extract { field, expr, .. } => {
                let field = Expr::Text(field.to_string().to_lowercase());
                let call = call("extract", vec![field, self.expr(*expr)?]);
                return Ok(call);
            }
            other => return Err(SqlError::not_supported(unsupported_name(&other))),
        };
        Ok(call(name, self.exprs(arguments)?))
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
                | "current_catalog" | "current_schema" | "current_role" => {
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
        let op = match op {
            ast::UnaryOperator::Minus => UnaryOperator::Minus,
            ast::UnaryOperator::Plus => UnaryOperator::Plus,
            ast::UnaryOperator::Not => UnaryOperator::Not,
            other => return Err(SqlError::not_supported(&format!("the operator {other}"))),
        };
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
            B::Plus => BinaryOperator::Add,
            B::Minus => BinaryOperator::Subtract,
            B::Multiply => BinaryOperator::Multiply,
            B::Divide => BinaryOperator::Divide,
            B::Modulo => BinaryOperator::Modulo,
            B::StringConcat => BinaryOperator::Concat,
            other => comparison(other)?,
        };
        Ok(Expr::Binary(op, Box::new(left), Box::new(right), None))
    }

    /// A type, with the most characters of a `varchar(n)`.
    pub(super) fn data_type(&self, data_type: &ast::DataType) -> SqlResult<(DataType, Option<u32>)> {
        use ast::DataType as T;
        let plain = match data_type {
            T::Bool | T::Boolean => DataType::Bool,
            T::Int(None) | T::Integer(None) | T::Int4(None) => DataType::Int4,
            T::BigInt(None) | T::Int8(None) => DataType::Int8,
            T::Float8 | T::DoublePrecision | T::Double(ast::ExactNumberInfo::None) => DataType::Float8,
            T::Float(ast::ExactNumberInfo::None) => DataType::Float8,
            T::Text | T::Varchar(None) | T::CharacterVarying(None) | T::CharVarying(None) => DataType::Text,
            T::Timestamp(None, ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone) => {
                DataType::Timestamp
            }
            T::Varchar(Some(len)) | T::CharacterVarying(Some(len)) | T::CharVarying(Some(len)) => {
                return Ok((DataType::Text, Some(chars_max(len)?)));
            }
            other => {
                let feature = format!("the type {}", other.to_string().to_lowercase());
                let hint =
                    "Types are boolean, integer, bigint, double precision, text, varchar(n) and timestamp.";
                return Err(SqlError::not_supported(&feature).hint(hint));
            }
        };
        Ok((plain, None))
    }
}

fn chars_max(len: &ast::CharacterLength) -> SqlResult<u32> {
    match len {
        ast::CharacterLength::IntegerLength { length: length @ 1..=10_485_760, unit: None } => {
            Ok(u32::try_from(*length).unwrap_or(u32::MAX))
        }
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "length for type varchar must be between 1 and 10485760",
        )),
    }
}

/// A call that no text names.
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Call(Box::new(plain_call(name, arguments)))
}

fn comparison(op: ast::BinaryOperator) -> SqlResult<BinaryOperator> {
    use ast::BinaryOperator as B;
    Ok(match op {
        B::Eq => BinaryOperator::Eq,
        B::NotEq => BinaryOperator::NotEq,
        B::Lt => BinaryOperator::Lt,
        B::LtEq => BinaryOperator::LtEq,
        B::Gt => BinaryOperator::Gt,
        B::GtEq => BinaryOperator::GtEq,
        other => return Err(SqlError::not_supported(&format!("the operator {other}"))),
    })
}

fn number(digits: &str) -> ast::Expr {
    ast::Expr::value(ast::Value::Number(digits.into(), false))
}

/// One list of `left` and `right`, where either may be such a list already.
fn joined(left: Expr, right: Expr, list: fn(Expr) -> Result<Vec<Expr>, Expr>) -> Vec<Expr> {
    let mut all = list(left).unwrap_or_else(|other| vec![other]);
    all.extend(list(right).unwrap_or_else(|other| vec![other]));
    all
}

fn unsupported_name(expr: &ast::Expr) -> &'static str {
    use ast::Expr as E;
    match expr {
        E::Array(_) => "an array",
        E::Interval(_) => "an interval",
        E::AtTimeZone { .. } => "AT TIME ZONE",
        E::Collate { .. } => "COLLATE",
        E::SimilarTo { .. } => "SIMILAR TO",
        E::CompoundFieldAccess { .. } | E::JsonAccess { .. } => "access to a part of a value",
        _ => "this kind of expression",
    }
}
