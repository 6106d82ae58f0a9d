//! Operators and functions with a grammar of their own.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use sqlparser::ast;

use super::Translator;
use super::expression::{call, number};
use super::types::literal_modifier;
use crate::ast::{BinaryOperator, Expr, UnaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, TypeName};

impl Translator<'_> {
    /// Functions with a grammar of their own.
    pub(super) fn special_call(&self, expr: ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        let no_field = |field: &ast::CeilFloorKind| {
            matches!(field, ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime))
        };
        let (name, arguments) = match expr {
            E::Ceil { expr, field } if no_field(&field) => ("ceil", vec![*expr]),
            E::Floor { expr, field } if no_field(&field) => ("floor", vec![*expr]),
            E::Position { expr, mut r#in } => {
                super::marks::unmark(&mut r#in);
                ("position", vec![*r#in, *expr])
            }
            E::Substring { expr, substring_from, substring_for, shorthand, .. } => {
                let start = substring_from.map_or_else(|| number("1"), |from| *from);
                (
                    if shorthand { "substr" } else { "substring" },
                    [Some(*expr), Some(start), substring_for.map(|len| *len)].into_iter().flatten().collect(),
                )
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let arguments = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for];
                ("overlay", arguments.into_iter().flatten().map(|argument| *argument).collect())
            }
            E::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let set = trim_what.map(|what| *what).into_iter().chain(trim_characters.unwrap_or_default());
                (name, core::iter::once(*expr).chain(set).collect())
            }
            E::Extract { field, expr, .. } => {
                let field = Expr::Text(field.to_string().trim_matches(['\'', '"']).to_lowercase());
                return Ok(call("extract", vec![field, self.expr(*expr)?]));
            }
            E::AtTimeZone { timestamp, time_zone } => ("timezone", vec![*time_zone, *timestamp]),
            other => return self.constructed(other),
        };
        Ok(call(name, self.exprs(arguments)?))
    }

    /// Arrays, intervals, parts of values.
    fn constructed(&self, expr: ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        match expr {
            E::Array(ast::Array { elem, .. }) => Ok(Expr::Array(self.exprs(elem)?)),
            E::Interval(interval) => {
                let modifier = literal_modifier(&interval)?;
                let to = TypeName { data_type: DataType::Interval, modifier };
                Ok(Expr::Cast(Box::new(self.expr(*interval.value)?), to))
            }
            E::CompoundFieldAccess { root, access_chain } => {
                let mut chain = access_chain.into_iter().peekable();
                let mut root = *root;
                // `table.column[index]`
                while let Some(ast::AccessExpr::Dot(E::Identifier(part))) =
                    chain.next_if(|access| matches!(access, ast::AccessExpr::Dot(E::Identifier(_))))
                {
                    root = match root {
                        E::Identifier(first) => E::CompoundIdentifier(vec![first, part]),
                        E::CompoundIdentifier(mut parts) => {
                            parts.push(part);
                            E::CompoundIdentifier(parts)
                        }
                        _ => return Err(SqlError::not_supported("access to a field of a value")),
                    };
                }
                let mut value = self.expr(root)?;
                for access in chain {
                    let ast::AccessExpr::Subscript(subscript) = access else {
                        return Err(SqlError::not_supported("access to a field of a value"));
                    };
                    value = self.subscript(value, subscript)?;
                }
                Ok(value)
            }
            E::AnyOp { left, compare_op, right, .. } => self.quantified(*left, &compare_op, *right, false),
            E::AllOp { left, compare_op, right } => self.quantified(*left, &compare_op, *right, true),
            E::SimilarTo { negated, expr, pattern, escape_char } => {
                let (expr, pattern) = (self.expr(*expr)?, self.expr(*pattern)?);
                let similar = match escape_char {
                    None => Expr::Binary(
                        BinaryOperator::Named("SIMILAR TO"),
                        Box::new(expr),
                        Box::new(pattern),
                        None,
                    ),
                    Some(_) => return Err(SqlError::not_supported("ESCAPE of SIMILAR TO")),
                };
                Ok(if negated { Expr::Unary(UnaryOperator::Not, Box::new(similar)) } else { similar })
            }
            // All texts are ordered by their bytes.
            E::Collate { expr, collation }
                if collation.0.last().and_then(|part| part.as_ident()).is_some_and(|name| {
                    matches!(name.value.as_str(), "default" | "C" | "POSIX" | "ucs_basic")
                }) =>
            {
                self.expr(*expr)
            }
            other => Err(SqlError::not_supported(unsupported_name(&other))),
        }
    }

    /// `(start, end) OVERLAPS (start, end)`
    pub(super) fn overlaps(&self, left: ast::Expr, right: ast::Expr) -> SqlResult<Expr> {
        match (left, right) {
            (ast::Expr::Tuple(left), ast::Expr::Tuple(right)) if left.len() == 2 && right.len() == 2 => {
                Ok(call("overlaps", self.exprs(left.into_iter().chain(right).collect())?))
            }
            _ => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "wrong number of parameters of OVERLAPS expression",
            )),
        }
    }

    fn subscript(&self, value: Expr, subscript: ast::Subscript) -> SqlResult<Expr> {
        match subscript {
            ast::Subscript::Index { index } => Ok(call("value[index]", vec![value, self.expr(index)?])),
            ast::Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                let bound = |bound: Option<ast::Expr>, default: i32| {
                    bound.map_or_else(|| Ok(Expr::Number(default.to_string())), |bound| self.expr(bound))
                };
                let (low, high) = (bound(lower_bound, 1)?, bound(upper_bound, i32::MAX)?);
                Ok(call("value[low:high]", vec![value, low, high]))
            }
            ast::Subscript::Slice { .. } => Err(SqlError::not_supported("the stride of a slice")),
        }
    }

    fn quantified(
        &self,
        left: ast::Expr,
        op: &ast::BinaryOperator,
        right: ast::Expr,
        all: bool,
    ) -> SqlResult<Expr> {
        let op = binary_operator(op)?;
        let right = match right {
            ast::Expr::Nested(inner) => *inner,
            other => other,
        };
        if let ast::Expr::Subquery(query) = right {
            let (left, query) = (Box::new(self.expr(left)?), self.boxed_query(query)?);
            return Ok(Expr::QuantifiedQuery(op, left, query, all));
        }
        Ok(Expr::Quantified(op, Box::new(self.expr(left)?), Box::new(self.expr(right)?), all))
    }

    /// The arguments of `make_interval` that are given by name, in their places.
    pub(super) fn interval_arguments(
        &self,
        arguments: &mut Vec<Expr>,
        named: Vec<(ast::Ident, ast::Expr)>,
    ) -> SqlResult<()> {
        const NAMES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
        for (name, expr) in named {
            let known = NAMES.iter().position(|known| *known == super::fold(&name));
            let at = known.ok_or_else(|| {
                let message = "function make_interval with such an argument does not exist";
                SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
            })?;
            while arguments.len() <= at {
                arguments.push(Expr::Number("0".into()));
            }
            if let Some(place) = arguments.get_mut(at) {
                *place = self.expr(expr)?;
            }
        }
        Ok(())
    }
}

/// The operators that are no logic.
pub(super) fn binary_operator(op: &ast::BinaryOperator) -> SqlResult<BinaryOperator> {
    use ast::BinaryOperator as B;
    Ok(match op {
        B::Plus => BinaryOperator::Add,
        B::Minus => BinaryOperator::Subtract,
        B::Multiply => BinaryOperator::Multiply,
        B::Divide => BinaryOperator::Divide,
        B::Modulo => BinaryOperator::Modulo,
        B::StringConcat => BinaryOperator::Concat,
        B::Eq => BinaryOperator::Eq,
        B::NotEq => BinaryOperator::NotEq,
        B::Lt => BinaryOperator::Lt,
        B::LtEq => BinaryOperator::LtEq,
        B::Gt => BinaryOperator::Gt,
        B::GtEq => BinaryOperator::GtEq,
        other => BinaryOperator::Named(match other {
            B::BitwiseOr => "|",
            B::BitwiseAnd => "&",
            B::PGBitwiseXor => "#",
            B::PGBitwiseShiftLeft => "<<",
            B::PGBitwiseShiftRight => ">>",
            B::PGExp | B::BitwiseXor => "^",
            B::PGOverlap => "&&",
            B::PGRegexMatch => "~",
            B::PGRegexIMatch => "~*",
            B::PGRegexNotMatch => "!~",
            B::PGRegexNotIMatch => "!~*",
            B::PGLikeMatch => "~~",
            B::PGILikeMatch => "~~*",
            B::PGNotLikeMatch => "!~~",
            B::PGNotILikeMatch => "!~~*",
            B::PGStartsWith => "^@",
            B::Arrow => "->",
            B::LongArrow => "->>",
            B::HashArrow => "#>",
            B::HashLongArrow => "#>>",
            B::AtArrow => "@>",
            B::ArrowAt => "<@",
            B::HashMinus => "#-",
            B::Question => "?",
            B::QuestionAnd => "?&",
            B::QuestionPipe => "?|",
            B::PGCustomBinaryOperator(_) => return schema_operator(other),
            other => return Err(SqlError::not_supported(&alloc::format!("the operator {other}"))),
        }),
    })
}

/// `OPERATOR(pg_catalog.~)`, which psql writes.
fn schema_operator(op: &ast::BinaryOperator) -> SqlResult<BinaryOperator> {
    let ast::BinaryOperator::PGCustomBinaryOperator(parts) = op else {
        return Err(SqlError::not_supported("this operator"));
    };
    match parts.last().map_or("", |symbol| symbol.as_str()) {
        "~" => Ok(BinaryOperator::Named("~")),
        "!~" => Ok(BinaryOperator::Named("!~")),
        "=" => Ok(BinaryOperator::Eq),
        "<>" => Ok(BinaryOperator::NotEq),
        "+" => Ok(BinaryOperator::Add),
        other => Err(SqlError::not_supported(&alloc::format!("the operator {other}"))),
    }
}

/// Operators with one operand.
pub(super) fn unary_operator(op: &ast::UnaryOperator) -> SqlResult<UnaryOperator> {
    Ok(match op {
        ast::UnaryOperator::Minus => UnaryOperator::Minus,
        ast::UnaryOperator::Plus => UnaryOperator::Plus,
        ast::UnaryOperator::Not => UnaryOperator::Not,
        ast::UnaryOperator::BitwiseNot => UnaryOperator::Named("~"),
        ast::UnaryOperator::PGAbs => UnaryOperator::Named("@"),
        ast::UnaryOperator::PGSquareRoot => UnaryOperator::Named("|/"),
        ast::UnaryOperator::PGCubeRoot => UnaryOperator::Named("||/"),
        other => return Err(SqlError::not_supported(&alloc::format!("the operator {other}"))),
    })
}

fn unsupported_name(expr: &ast::Expr) -> &'static str {
    use ast::Expr as E;
    match expr {
        E::Subquery(_) | E::InSubquery { .. } | E::Exists { .. } => "a subquery",
        E::Tuple(_) => "a row value",
        E::Collate { .. } => "COLLATE of anything but default, C or POSIX",
        E::JsonAccess { .. } => "access to a part of a value",
        _ => "this kind of expression",
    }
}
