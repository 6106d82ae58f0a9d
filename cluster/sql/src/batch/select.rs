//! Predicates and expressions over whole columns, as far as that needs no row.
//!
//! What is not dealt with here is evaluated row by row. No expression that is dealt with can fail, so it does not matter
//! which rows are looked at first.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{Column, Columns, Texts, WordKind, Words};
use crate::ast::BinaryOperator;
use crate::eval::{Env, compare, holds};
use crate::expr::{Between, Expr};
use crate::types::{DataType, Datum};

/// What an expression is without a row: a column, or one value for all.
enum Operand<'a> {
    Column(&'a Column),
    Value(&'a Datum),
}

fn operand<'a>(expr: &'a Expr, columns: &'a Columns, env: &Env<'a>) -> Option<Operand<'a>> {
    const NULL: Datum = Datum::Null;
    Some(match expr {
        Expr::Column(index) => match columns.columns.get(*index)? {
            Column::Same(value) => Operand::Value(value),
            column => Operand::Column(column),
        },
        Expr::Const(value) => Operand::Value(value),
        Expr::Param(index) => Operand::Value(env.params.get(*index).unwrap_or(&NULL)),
        Expr::Outer(index) => Operand::Value(env.outer.get(*index).unwrap_or(&NULL)),
        _ => return None,
    })
}

/// The values of `expr` for all rows, if it needs none of them.
pub(crate) fn values_of<'c>(expr: &Expr, columns: &'c Columns, env: &Env<'_>) -> Option<Cow<'c, Column>> {
    match expr {
        Expr::Column(index) => columns.columns.get(*index).map(Cow::Borrowed),
        Expr::Cast(inner, DataType::Numeric) => match operand(inner, columns, env) {
            // An integer is a number without decimals.
            Some(Operand::Column(Column::Words(words))) if words.kind.is_integer() => {
                Some(Cow::Owned(Column::Words(Words { kind: WordKind::Decimal(0), ..words.clone() })))
            }
            _ => None,
        },
        other => match operand(other, columns, env)? {
            Operand::Column(_) => None,
            Operand::Value(value) => Some(Cow::Owned(Column::Same(value.clone()))),
        },
    }
}

/// Keeps those of `rows` for which `predicate` holds; whether that could be told. If not, all are kept.
pub(crate) fn narrow(predicate: &Expr, columns: &Columns, rows: &mut Vec<u32>, env: &Env<'_>) -> bool {
    match predicate {
        Expr::Compare(op, left, right) => match (operand(left, columns, env), operand(right, columns, env)) {
            (Some(Operand::Column(left)), Some(Operand::Value(right))) => narrow_to(*op, left, right, rows),
            (Some(Operand::Value(left)), Some(Operand::Column(right))) => {
                narrow_to(flipped(*op), right, left, rows)
            }
            (Some(Operand::Column(left)), Some(Operand::Column(right))) => {
                narrow_pairs(*op, left, right, rows)
            }
            _ => false,
        },
        Expr::IsNull(inner, negated) => match operand(inner, columns, env) {
            Some(Operand::Column(column)) => {
                rows.retain(|row| column.is_null(*row as usize) != *negated);
                true
            }
            _ => false,
        },
        Expr::Between(between, negated) => narrow_between(between, *negated, columns, rows, env),
        Expr::In(inner, list, negated) => match operand(inner, columns, env) {
            Some(Operand::Column(Column::Words(words))) => narrow_in(words, list, *negated, rows),
            _ => false,
        },
        Expr::Or(any) => {
            let (mut left, mut found) = (rows.clone(), Vec::new());
            for part in any {
                let mut some = left.clone();
                if !narrow(part, columns, &mut some, env) {
                    return false;
                }
                subtract(&mut left, &some);
                found.append(&mut some);
            }
            found.sort_unstable();
            *rows = found;
            true
        }
        Expr::And(all) => {
            let mut left = rows.clone();
            let is_told = all.iter().all(|part| narrow(part, columns, &mut left, env));
            if is_told {
                *rows = left;
            }
            is_told
        }
        Expr::Column(index) => match columns.columns.get(*index) {
            Some(Column::Words(words)) => {
                rows.retain(|row| words.get(*row as usize) == Some(1));
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Takes `others` out of `rows`; both ascend.
fn subtract(rows: &mut Vec<u32>, others: &[u32]) {
    let mut others = others.iter().peekable();
    rows.retain(|row| others.next_if(|other| *other == row).is_none());
}

/// The comparison with its sides exchanged.
fn flipped(op: BinaryOperator) -> BinaryOperator {
    match op {
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        same => same,
    }
}

/// `column op value`
fn narrow_to(op: BinaryOperator, column: &Column, value: &Datum, rows: &mut Vec<u32>) -> bool {
    if value.is_null() {
        rows.clear();
        return true;
    }
    match (column, value) {
        (Column::Words(words), value) => match words.kind.word_of(value) {
            Some(word) => narrow_words(op, words, word, rows),
            None => return false,
        },
        (Column::Texts(texts), Datum::Text(text)) if texts.is_exact() => narrow_texts(op, texts, text, rows),
        (Column::Any(values), value) => rows
            .retain(|row| values.get(*row as usize).is_some_and(|own| compare(op, own, value) == Some(true))),
        _ => return false,
    }
    true
}

fn narrow_words(op: BinaryOperator, words: &Words, word: i64, rows: &mut Vec<u32>) {
    let narrow = |rows: &mut Vec<u32>, is_wanted: fn(i64, i64) -> bool| {
        rows.retain(|row| words.get(*row as usize).is_some_and(|own| is_wanted(own, word)));
    };
    match op {
        BinaryOperator::Eq => narrow(rows, |own, word| own == word),
        BinaryOperator::NotEq => narrow(rows, |own, word| own != word),
        BinaryOperator::Lt => narrow(rows, |own, word| own < word),
        BinaryOperator::LtEq => narrow(rows, |own, word| own <= word),
        BinaryOperator::Gt => narrow(rows, |own, word| own > word),
        _ => narrow(rows, |own, word| own >= word),
    }
}

fn narrow_texts(op: BinaryOperator, texts: &Texts, text: &str, rows: &mut Vec<u32>) {
    let text = text.as_bytes();
    rows.retain(|row| match texts.get(*row as usize) {
        Some(own) if op == BinaryOperator::Eq => own.as_bytes() == text,
        Some(own) => holds(op, own.as_bytes().cmp(text)),
        None => false,
    });
}

/// `left op right`
fn narrow_pairs(op: BinaryOperator, left: &Column, right: &Column, rows: &mut Vec<u32>) -> bool {
    match (left, right) {
        (Column::Words(left), Column::Words(right)) if left.kind.compares_with(right.kind) => {
            rows.retain(|row| match (left.get(*row as usize), right.get(*row as usize)) {
                (Some(left), Some(right)) => holds(op, left.cmp(&right)),
                _ => false,
            });
        }
        (Column::Any(left), Column::Any(right)) => {
            rows.retain(|row| match (left.get(*row as usize), right.get(*row as usize)) {
                (Some(left), Some(right)) => compare(op, left, right) == Some(true),
                _ => false,
            });
        }
        _ => return false,
    }
    true
}

fn narrow_between(
    between: &Between,
    negated: bool,
    columns: &Columns,
    rows: &mut Vec<u32>,
    env: &Env<'_>,
) -> bool {
    let bounds = (operand(&between.low, columns, env), operand(&between.high, columns, env));
    let (Some(Operand::Value(low)), Some(Operand::Value(high))) = bounds else { return false };
    let Some(Operand::Column(Column::Words(words))) = operand(&between.expr, columns, env) else {
        return false;
    };
    let (Some(low), Some(high)) = (words.kind.word_of(low), words.kind.word_of(high)) else { return false };
    if between.symmetric {
        return false;
    }
    rows.retain(|row| words.get(*row as usize).is_some_and(|word| (low <= word && word <= high) != negated));
    true
}

/// `words IN (list)`
fn narrow_in(words: &Words, list: &[Expr], negated: bool, rows: &mut Vec<u32>) -> bool {
    let mut wanted = Vec::with_capacity(list.len());
    let mut has_null = false;
    for item in list {
        match item {
            Expr::Const(Datum::Null) => has_null = true,
            Expr::Const(value) => match words.kind.word_of(value) {
                Some(word) => wanted.push(word),
                None => return false,
            },
            _ => return false,
        }
    }
    wanted.sort_unstable();
    rows.retain(|row| match words.get(*row as usize) {
        None => false,
        Some(word) => match wanted.binary_search(&word) {
            Ok(_) => !negated,
            // It may be equal to what is not known.
            Err(_) => negated && !has_null,
        },
    });
    true
}
