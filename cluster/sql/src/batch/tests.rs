//! Columns against the rows that they stand for.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use cluster_calendar::{Date, Timestamp};
use cluster_numeric::Numeric;
use proptest::prelude::*;

use super::{Batch, Columns, Gathered, NO_ROW, narrow};
use crate::ast::BinaryOperator;
use crate::eval::{Env, SessionFacts};
use crate::exec::Row;
use crate::expr::{Between, Expr};
use crate::memo::Memo;
use crate::types::Datum;

/// A value of one of the kinds of columns.
fn value(kind: usize) -> BoxedStrategy<Datum> {
    let some = match kind {
        0 => (-3i32..3).prop_map(Datum::Int4).boxed(),
        1 => (-3i64..3).prop_map(Datum::Int8).boxed(),
        2 => any::<bool>().prop_map(Datum::Bool).boxed(),
        3 => "[ab]{0,2}".prop_map(Datum::Text).boxed(),
        4 => (-3i32..3).prop_map(|days| Datum::Date(Date::from_days(days).unwrap())).boxed(),
        5 => (-3i64..3).prop_map(|number| Datum::numeric(Numeric::from(number))).boxed(),
        6 => (-3i64..3).prop_map(|micros| Datum::Timestamp(Timestamp::from_micros(micros).unwrap())).boxed(),
        _ => "[ab]{0,2} {0,2}".prop_map(Datum::Bpchar).boxed(),
    };
    prop_oneof![1 => Just(Datum::Null), 4 => some].boxed()
}

const KINDS: usize = 8;

fn row() -> impl Strategy<Value = Row> {
    (0..KINDS).map(value).collect::<Vec<_>>()
}

/// Comparisons of columns with values, and what is made of them.
fn predicate() -> impl Strategy<Value = Expr> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let op = || prop::sample::select(vec![Eq, NotEq, Lt, LtEq, Gt, GtEq]);
    let column = |kind| Box::new(Expr::Column(kind));
    let constant = |kind| value(kind).prop_map(Expr::Const);
    let single = (0..KINDS, op(), any::<bool>()).prop_flat_map(move |(kind, op, flipped)| {
        let with_constant = constant(kind).prop_map(move |constant| match flipped {
            true => Expr::Compare(op, Box::new(constant), column(kind)),
            false => Expr::Compare(op, column(kind), Box::new(constant)),
        });
        let listed = (prop::collection::vec(constant(kind), 1..4), any::<bool>())
            .prop_map(move |(list, negated)| Expr::In(column(kind), list, negated));
        let between =
            (constant(kind), constant(kind), any::<bool>()).prop_map(move |(low, high, negated)| {
                let between = Between { expr: Expr::Column(kind), low, high, symmetric: false };
                Expr::Between(Box::new(between), negated)
            });
        prop_oneof![
            with_constant,
            listed,
            between,
            Just(Expr::IsNull(column(kind), flipped)),
            Just(Expr::Compare(op, column(0), column(1))),
            Just(Expr::Column(2)),
        ]
    });
    single.prop_recursive(2, 8, 3, |inner| {
        let parts = prop::collection::vec(inner, 2..4);
        prop_oneof![parts.clone().prop_map(Expr::And), parts.prop_map(Expr::Or)]
    })
}

proptest! {
    #[test]
    fn a_predicate_keeps_the_rows_for_which_it_holds(
        rows in prop::collection::vec(row(), 0..20),
        predicate in predicate(),
    ) {
        let (facts, memo) = (SessionFacts::of_nobody(), Memo::default());
        let env = Env::new(&[], &facts, &memo);
        let columns = Columns::of_rows(rows.clone(), KINDS);
        let mut kept: Vec<u32> = (0..rows.len() as u32).collect();
        let all = kept.clone();
        if narrow(&predicate, &columns, &mut kept, &env) {
            let holds = |row: &u32| predicate.test(&rows[*row as usize], &env) == Ok(Some(true));
            prop_assert_eq!(kept, all.into_iter().filter(holds).collect::<Vec<_>>());
        } else {
            prop_assert_eq!(kept, all, "what cannot be told changes nothing");
        }
    }

    #[test]
    fn rows_survive_being_columns(
        parts in prop::collection::vec(prop::collection::vec(row(), 0..6), 0..5),
        picked in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        skip in 0usize..10, most in 0usize..10,
    ) {
        let all: Vec<Row> = parts.concat();
        let mut gathered = Gathered::new(KINDS);
        for part in parts {
            gathered.append(Columns::of_rows(part, KINDS));
        }
        let columns = gathered.finish();
        prop_assert_eq!(&columns.clone().into_rows(), &all);
        let mut batch = Batch::Columns(columns.clone());
        batch.cut(skip, most);
        let left: Vec<Row> = all.iter().skip(skip).take(most).cloned().collect();
        prop_assert_eq!(batch.into_rows(), left);
        if !all.is_empty() {
            let mut rows: Vec<u32> = picked.iter().map(|index| index.index(all.len()) as u32).collect();
            rows.push(NO_ROW);
            let found = columns.gather(&rows).into_rows();
            let of = |row: &u32| all.get(*row as usize).cloned().unwrap_or(vec![Datum::Null; KINDS]);
            prop_assert_eq!(found, rows.iter().map(of).collect::<Vec<_>>());
            for (one, other) in rows.iter().zip(rows.iter().skip(1)).filter(|(_, other)| **other != NO_ROW) {
                let (one, other) = (*one as usize, *other as usize);
                for (kind, column) in columns.columns.iter().enumerate() {
                    let mut comparable = [vec![], vec![]];
                    prop_assert_eq!(column.is_null(one), all[one][kind].is_null());
                    column.write_comparable(one, &mut comparable[0]);
                    column.write_comparable(other, &mut comparable[1]);
                    if !column.is_null(one) && !column.is_null(other) {
                        let order = all[one][kind].order(&all[other][kind]);
                        prop_assert_eq!(column.order(one, other), order);
                        prop_assert_eq!(comparable[0] == comparable[1], order.is_eq());
                    }
                }
            }
        }
    }
}
