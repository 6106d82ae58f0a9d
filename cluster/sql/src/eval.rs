//! The value of an expression for a row. Three-valued: NULL is "not known".

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::sync::atomic::AtomicUsize;

use spin::Mutex;

use crate::ast::BinaryOperator;
use crate::cast;
use crate::chance::Chance;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Deferred, OwnSequences, RowIds};
use crate::expr::{Between, Case, Expr, Like, Quantified, Test};
use crate::function::{self, Regexes};
use crate::like::like;
use crate::memo::{self, Memo};
use crate::notify::Told;
use crate::path::SearchPath;
use crate::session::{AskedSetting, Notice, Settings};
use crate::types::{Array, DataType, Datum, fit_explicitly};
use crate::wire::Style;

/// What an expression may know besides its row.
#[derive(Clone, Copy)]
pub(crate) struct Env<'a> {
    /// The parameters.
    pub(crate) params: &'a [Datum],
    /// The session.
    pub(crate) session: &'a SessionFacts,
    /// What is seen of the row around the query.
    pub(crate) outer: &'a [Datum],
    /// What subqueries have given so far.
    pub(crate) memo: &'a Memo,
    /// How many routines have called each other.
    pub(crate) depth: usize,
}

impl<'a> Env<'a> {
    /// Of a statement's own expressions.
    pub(crate) fn new(params: &'a [Datum], session: &'a SessionFacts, memo: &'a Memo) -> Env<'a> {
        Env { params, session, outer: &[], memo, depth: 0 }
    }
}

/// What functions such as `now()` and `current_user` answer with.
#[derive(Clone)]
pub(crate) struct SessionFacts {
    pub(crate) user: Arc<str>,
    pub(crate) database: Arc<str>,
    pub(crate) cluster: Arc<str>,
    /// Where names are looked for.
    pub(crate) path: Arc<SearchPath>,
    /// The settings as they are now.
    pub(crate) settings: Arc<Settings>,
    /// What `set_config` has asked for, to be done when the statement is through.
    pub(crate) asked_settings: Arc<Mutex<Vec<AskedSetting>>>,
    pub(crate) backend: u32,
    /// Its settings that texts depend on, and the wall time of the transaction's start.
    pub(crate) style: Style,
    pub(crate) chance: Arc<Chance>,
    pub(crate) regexes: Arc<Mutex<Regexes>>,
    /// The wall time of the statement's start.
    pub(crate) statement_micros: i64,
    /// Who puts rows into the index that the statement makes, if they are not to be put there at once.
    pub(crate) builder: Option<u64>,
    /// The service whose tables it defines.
    pub(crate) service: Option<u8>,
    /// What of its transaction is to be checked at its end.
    pub(crate) deferred: Arc<Mutex<Deferred>>,
    /// What sequences have given it.
    pub(crate) sequences: Arc<Mutex<SessionSequences>>,
    /// What its transaction is to tell.
    pub(crate) told: Arc<Mutex<Told>>,
    /// What is worth a remark of what it has read.
    pub(crate) remarks: Arc<Mutex<Vec<Notice>>>,
    /// How often routines have been called.
    pub(crate) calls: Arc<AtomicUsize>,
    /// The hidden ids of rows that it inserts.
    pub(crate) row_ids: Arc<Mutex<RowIds>>,
}

impl SessionFacts {
    /// For what is the same in all sessions.
    pub(crate) fn of_nobody() -> SessionFacts {
        SessionFacts {
            user: Arc::default(),
            database: Arc::default(),
            cluster: Arc::default(),
            path: Arc::default(),
            settings: Arc::default(),
            asked_settings: Arc::default(),
            backend: 0,
            style: Style::default(),
            chance: Arc::new(Chance::new(0, 0)),
            regexes: Arc::default(),
            statement_micros: 0,
            builder: None,
            service: None,
            deferred: Arc::default(),
            sequences: Arc::default(),
            told: Arc::default(),
            remarks: Arc::default(),
            calls: Arc::default(),
            row_ids: Arc::new(Mutex::new(RowIds::new(0))),
        }
    }
}

/// What sequences have given a session.
#[derive(Debug, Default)]
pub(crate) struct SessionSequences {
    /// By their ids.
    pub(crate) current: BTreeMap<u32, i64>,
    /// The id and the number of the one that was asked last.
    pub(crate) last: Option<(u32, i64)>,
    /// Those that its transaction has made, or begun anew.
    pub(crate) own: OwnSequences,
}

impl SessionSequences {
    pub(crate) fn note(&mut self, id: u32, number: i64) {
        self.current.insert(id, number);
        self.last = Some((id, number));
    }
}

/// A borrowed or computed value.
pub(crate) type Value<'a> = Cow<'a, Datum>;

/// Longest text that an expression may compute.
pub(crate) const TEXT_LEN_MAX: usize = 8 * 1024 * 1024;

fn known(value: Option<bool>) -> Value<'static> {
    Cow::Owned(value.map_or(Datum::Null, Datum::Bool))
}

impl Expr {
    /// Its value for `row`.
    pub(crate) fn eval<'a>(&'a self, row: &'a [Datum], env: &Env<'a>) -> SqlResult<Value<'a>> {
        const NULL: Datum = Datum::Null;
        Ok(match self {
            Expr::Const(datum) => Cow::Borrowed(datum),
            Expr::Column(index) => Cow::Borrowed(row.get(*index).unwrap_or(&NULL)),
            Expr::Param(index) => Cow::Borrowed(env.params.get(*index).unwrap_or(&NULL)),
            Expr::Outer(index) => Cow::Borrowed(env.outer.get(*index).unwrap_or(&NULL)),
            Expr::Aggregate(_) | Expr::Window(_) => Cow::Owned(Datum::Null),
            Expr::Subquery(subquery) => Cow::Owned(memo::eval(subquery, row, env)?),
            Expr::Sequence(call) => Cow::Owned(memo::eval_sequence(call, row, env)?),
            Expr::Routine(call) => Cow::Owned(memo::eval_routine(call, row, env)?),
            Expr::Signal(ends, pid) => Cow::Owned(memo::eval_signal(*ends, &*pid.eval(row, env)?, env)?),
            Expr::And(all) => known(all_of(all, row, env, false)?),
            Expr::Or(any) => known(all_of(any, row, env, true)?),
            Expr::Not(inner) => known(inner.test(row, env)?.map(|value| !value)),
            Expr::IsNull(inner, negated) => known(Some(inner.eval(row, env)?.is_null() != *negated)),
            Expr::IsBool(inner, expected, negated) => {
                known(Some((inner.test(row, env)? == *expected) != *negated))
            }
            Expr::IsDistinct(left, right, negated) => {
                let (left, right) = (left.eval(row, env)?, right.eval(row, env)?);
                known(Some(is_same(&left, &right) == *negated))
            }
            Expr::Compare(op, left, right) => {
                known(compare(*op, &*left.eval(row, env)?, &*right.eval(row, env)?))
            }
            other => return other.eval_value(row, env),
        })
    }

    fn eval_value<'a>(&'a self, row: &'a [Datum], env: &Env<'a>) -> SqlResult<Value<'a>> {
        match self {
            Expr::In(inner, list, negated) => {
                let found = is_in(&*inner.eval(row, env)?, list, row, env)?;
                Ok(known(found.map(|found| found != *negated)))
            }
            Expr::Between(between, negated) => {
                let within = is_between(between, row, env)?;
                Ok(known(within.map(|within| within != *negated)))
            }
            Expr::Like(like) => is_like(like, row, env).map(known),
            Expr::Case(case) => eval_case(case, row, env),
            Expr::Cast(inner, data_type) => {
                let value = inner.eval(row, env)?;
                if value.data_type() == Some(*data_type) && *data_type != DataType::Text {
                    return Ok(value);
                }
                cast::cast(&value, *data_type, &env.session.style).map(Cow::Owned)
            }
            Expr::Resize(inner, data_type, modifier) => {
                let mut value = inner.eval(row, env)?.into_owned();
                fit_explicitly(&mut value, *data_type, *modifier)?;
                Ok(Cow::Owned(value))
            }
            Expr::Array(element, items) => {
                let items = items.iter().map(|item| Ok(item.eval(row, env)?.into_owned()));
                let array = Array::new(*element, items.collect::<SqlResult<_>>()?);
                Ok(Cow::Owned(Datum::Array(Box::new(array))))
            }
            Expr::Quantified(quantified) => is_quantified(quantified, row, env).map(known),
            Expr::Coalesce(all) => {
                for expr in all {
                    let value = expr.eval(row, env)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Cow::Owned(Datum::Null))
            }
            Expr::NullIf(left, right) => {
                let left = left.eval(row, env)?;
                let equal = compare(BinaryOperator::Eq, &left, &*right.eval(row, env)?);
                Ok(if equal == Some(true) { Cow::Owned(Datum::Null) } else { left })
            }
            Expr::Extreme(greatest, all) => extreme(*greatest, all, row, env),
            Expr::Call(function, arguments) => {
                // Most have one or two: these take no memory but the stack's.
                let value = match arguments.as_slice() {
                    [one] => function::call(*function, &[&*one.eval(row, env)?], env)?,
                    [left, right] => {
                        let (left, right) = (left.eval(row, env)?, right.eval(row, env)?);
                        function::call(*function, &[&*left, &*right], env)?
                    }
                    all => {
                        let values =
                            all.iter().map(|one| one.eval(row, env)).collect::<SqlResult<Vec<_>>>()?;
                        let values: Vec<&Datum> = values.iter().map(|value| &**value).collect();
                        function::call(*function, &values, env)?
                    }
                };
                Ok(Cow::Owned(value))
            }
            _ => Ok(Cow::Owned(Datum::Null)),
        }
    }

    /// Its truth for `row`, none if not known.
    pub(crate) fn test(&self, row: &[Datum], env: &Env<'_>) -> SqlResult<Option<bool>> {
        Ok(match &*self.eval(row, env)? {
            Datum::Bool(value) => Some(*value),
            _ => None,
        })
    }
}

/// The truth of a comparison.
pub(crate) fn compare(op: BinaryOperator, left: &Datum, right: &Datum) -> Option<bool> {
    if left.is_null() || right.is_null() {
        return None;
    }
    Some(holds(op, left.order(right)))
}

/// Whether a comparison holds for values that are ordered like this.
#[inline]
pub(crate) fn holds(op: BinaryOperator, order: Ordering) -> bool {
    match op {
        BinaryOperator::Eq => order.is_eq(),
        BinaryOperator::NotEq => order.is_ne(),
        BinaryOperator::Lt => order.is_lt(),
        BinaryOperator::LtEq => order.is_le(),
        BinaryOperator::Gt => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// Whether two values are the same, NULL being the same as NULL.
pub(crate) fn is_same(left: &Datum, right: &Datum) -> bool {
    match (left.is_null(), right.is_null()) {
        (false, false) => left.order(right) == Ordering::Equal,
        (left, right) => left == right,
    }
}

/// `AND`, or `OR` where `decisive` is true: one decisive value decides, else one that is not known.
fn all_of(all: &[Expr], row: &[Datum], env: &Env<'_>, decisive: bool) -> SqlResult<Option<bool>> {
    let mut result = Some(!decisive);
    for expr in all {
        match expr.test(row, env)? {
            Some(value) if value == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

fn is_in(value: &Datum, list: &[Expr], row: &[Datum], env: &Env<'_>) -> SqlResult<Option<bool>> {
    let mut result = Some(false);
    for expr in list {
        match compare(BinaryOperator::Eq, value, &*expr.eval(row, env)?) {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => result = None,
        }
    }
    Ok(result)
}

fn is_between(between: &Between, row: &[Datum], env: &Env<'_>) -> SqlResult<Option<bool>> {
    let value = between.expr.eval(row, env)?;
    let (low, high) = (between.low.eval(row, env)?, between.high.eval(row, env)?);
    let within = |low: &Datum, high: &Datum| {
        let above = compare(BinaryOperator::GtEq, &value, low);
        let below = compare(BinaryOperator::LtEq, &value, high);
        match (above, below) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    };
    let found = within(&low, &high);
    if !between.symmetric || found == Some(true) {
        return Ok(found);
    }
    Ok(match (found, within(&high, &low)) {
        (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    })
}

fn is_like(expr: &Like, row: &[Datum], env: &Env<'_>) -> SqlResult<Option<bool>> {
    let (text, pattern) = (expr.expr.eval(row, env)?, expr.pattern.eval(row, env)?);
    let escape = match &expr.escape {
        None => Some('\\'),
        Some(escape) => match &*escape.eval(row, env)? {
            Datum::Text(text) if text.chars().count() <= 1 => text.chars().next(),
            Datum::Text(_) => {
                return Err(SqlError::new(SqlState::INVALID_ESCAPE, "invalid escape string")
                    .hint("Escape string must be empty or one character."));
            }
            _ => return Ok(None),
        },
    };
    // The blanks of a `char(n)` count here.
    let (Datum::Text(text) | Datum::Bpchar(text), Datum::Text(pattern)) = (&*text, &*pattern) else {
        return Ok(None);
    };
    let matched = match expr.fold_case {
        true => like(&text.to_lowercase(), &pattern.to_lowercase(), escape)?,
        false => like(text, pattern, escape)?,
    };
    Ok(Some(matched != expr.negated))
}

fn eval_case<'a>(case: &'a Case, row: &'a [Datum], env: &Env<'a>) -> SqlResult<Value<'a>> {
    let operand = case.operand.as_ref().map(|operand| operand.eval(row, env)).transpose()?;
    for (condition, result) in &case.arms {
        let holds = match &operand {
            None => condition.test(row, env)?,
            Some(operand) => compare(BinaryOperator::Eq, operand, &*condition.eval(row, env)?),
        };
        if holds == Some(true) {
            return result.eval(row, env);
        }
    }
    case.otherwise.as_ref().map_or(Ok(Cow::Owned(Datum::Null)), |otherwise| otherwise.eval(row, env))
}

fn extreme<'a>(greatest: bool, all: &'a [Expr], row: &'a [Datum], env: &Env<'a>) -> SqlResult<Value<'a>> {
    let mut best: Value<'a> = Cow::Owned(Datum::Null);
    for expr in all {
        let value = expr.eval(row, env)?;
        let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
        if !value.is_null() && (best.is_null() || value.order(&best) == wanted) {
            best = value;
        }
    }
    Ok(best)
}

/// `value op ANY (array)`, or `ALL` of it.
fn is_quantified(quantified: &Quantified, row: &[Datum], env: &Env<'_>) -> SqlResult<Option<bool>> {
    let (value, array) = (quantified.value.eval(row, env)?, quantified.array.eval(row, env)?);
    let Datum::Array(array) = &*array else { return Ok(None) };
    let mut result = Some(quantified.all);
    for item in &array.items {
        let holds = match quantified.test {
            Test::Compare(op) => compare(op, &value, item),
            Test::Call(function) => match function::call(function, &[&*value, item], env)? {
                Datum::Bool(holds) => Some(holds),
                _ => None,
            },
        };
        match holds {
            Some(holds) if holds != quantified.all => return Ok(Some(holds)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

/// 54000 if a text of `len` bytes is more than an expression may compute.
pub(crate) fn check_text_len(len: usize) -> SqlResult<()> {
    if len > TEXT_LEN_MAX {
        let message = alloc::format!("a text of {len} bytes exceeds the limit of {TEXT_LEN_MAX} bytes");
        return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
    }
    Ok(())
}
