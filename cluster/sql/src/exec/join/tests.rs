//! Merge joins against hash joins, over batches of all lengths.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_calendar::{Date, Timestamp};
use cluster_numeric::Numeric;
use proptest::prelude::*;

use crate::ast::{BinaryOperator, SetOperator};
use crate::batch::Batch;
use crate::error::SqlState;
use crate::exec::Row;
use crate::exec::sort::order;
use crate::exec::tests::{planned, run};
use crate::expr::Expr;
use crate::key::{self, KeyOrder};
use crate::plan::rel::{Apply, Join, JoinMethod, JoinType, Rel, Set, Values};
use crate::types::Datum;

/// What keys are: of the left, and of the right.
const KINDS: usize = 6;

/// The value that `number` stands for; every kind has its order.
fn value(kind: usize, is_left: bool, number: i32) -> Datum {
    match kind {
        0 => Datum::Int4(number),
        1 if is_left => Datum::Int4(number),
        1 => Datum::Int8(i64::from(number)),
        2 => Datum::Text(format!("t{}", number + 5)),
        3 if is_left => Datum::numeric(Numeric::from(i64::from(number))),
        3 => Datum::numeric(Numeric::of_parts(i64::from(number) * 100, 2).unwrap()),
        4 if is_left => Datum::Date(Date::from_days(number).unwrap()),
        4 => {
            let micros = i64::from(number) * 86_400_000_000;
            Datum::Timestamp(Timestamp::from_micros(micros).unwrap())
        }
        _ => Datum::Bpchar(format!("b{}{}", number + 5, if is_left { "" } else { "  " })),
    }
}

/// Two keys, and how many rows come in a batch with it.
type Input = Vec<(Option<i32>, Option<i32>, usize)>;

#[derive(Clone, Debug)]
struct Case {
    kinds: [usize; 2],
    descending: Vec<bool>,
    nulls_first: bool,
    has_condition: bool,
    left: Input,
    right: Input,
}

fn input() -> impl Strategy<Value = Input> {
    let key = || prop::option::weighted(0.85, -2i32..3);
    prop::collection::vec((key(), key(), 1usize..4), 0..30)
}

fn case() -> impl Strategy<Value = Case> {
    let kinds = prop::array::uniform2(0..KINDS);
    let descending = prop::collection::vec(any::<bool>(), 1..=2);
    (kinds, descending, any::<bool>(), any::<bool>(), input(), input()).prop_map(
        |(kinds, descending, nulls_first, has_condition, left, right)| Case {
            kinds,
            descending,
            nulls_first,
            has_condition,
            left,
            right,
        },
    )
}

fn values(rows: &[Row]) -> Rel {
    let rows = rows.iter().map(|row| row.iter().cloned().map(Expr::Const).collect()).collect();
    Rel::Values(Arc::new(Values { rows, width: 3 }))
}

/// The rows of `input`, sorted and numbered, in batches as it says.
fn rel(case: &Case, is_left: bool) -> Rel {
    let input = if is_left { &case.left } else { &case.right };
    let key = |at: usize, number: Option<i32>| {
        number.map_or(Datum::Null, |number| value(case.kinds[at], is_left, number))
    };
    let mut rows: Vec<Row> = input.iter().map(|(a, b, _)| vec![key(0, *a), key(1, *b)]).collect();
    rows.sort_by(|one, other| {
        let orders = case.descending.iter().enumerate();
        let mut orders =
            orders.map(|(at, descending)| order(&one[at], &other[at], *descending, case.nulls_first));
        orders.find(|order| order.is_ne()).unwrap_or(core::cmp::Ordering::Equal)
    });
    rows.iter_mut().zip(0..).for_each(|(row, number)| row.push(Datum::Int4(number)));
    let mut parts = input.iter().map(|(_, _, len)| *len);
    let mut all = values(&[]);
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (some, others) = rest.split_at(parts.next().unwrap_or(1).min(rest.len()));
        rest = others;
        let (left, right) = (all, values(some));
        all = Rel::Set(Arc::new(Set { operator: SetOperator::Union, all: true, left, right }));
    }
    all
}

fn join(case: &Case, join_type: JoinType, method: JoinMethod) -> Rel {
    let column = |at: usize| Expr::Column(at);
    let equal = (0..case.descending.len()).map(|at| (column(at), column(at))).collect();
    let condition = Expr::Compare(BinaryOperator::Lt, column(2).into(), column(5).into());
    let condition = (case.has_condition && join_type.has_right()).then_some(condition);
    let (left, right) = (rel(case, true), rel(case, false));
    Rel::Join(Arc::new(Join { join_type, left, right, equal, condition, method }))
}

fn rows(rel: &Rel) -> Vec<Row> {
    run(rel).unwrap().batches.into_iter().flat_map(Batch::into_rows).collect()
}

/// In an order of their own.
fn sorted(rows: Vec<Row>) -> Vec<Vec<u8>> {
    let bytes = |row: &Row| {
        let mut bytes = Vec::new();
        row.iter().for_each(|value| key::write(value, KeyOrder::Ascending, &mut bytes));
        bytes
    };
    let mut all: Vec<Vec<u8>> = rows.iter().map(bytes).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn merging_gives_what_hashing_gives(case in case()) {
        use JoinType::{Anti, Full, Inner, Left, Right, Semi};
        for join_type in [Inner, Left, Right, Full, Semi, Anti] {
            let merged = rows(&join(&case, join_type, JoinMethod::Merge(case.descending.clone())));
            if !matches!(join_type, Right | Full) {
                let numbers: Vec<i64> = merged.iter().filter_map(|row| row[2].as_i64()).collect();
                prop_assert!(numbers.is_sorted(), "{:?}: {:?}", join_type, numbers);
            }
            let hashed = rows(&join(&case, join_type, JoinMethod::Hash));
            prop_assert_eq!(sorted(merged), sorted(hashed), "{:?}", join_type);
        }
    }
}

/// A merge by the first column of two queries, which come in its order.
fn merged(join_type: JoinType, left: &str, right: Rel, condition: Option<Expr>) -> Rel {
    let equal = vec![(Expr::Column(0), Expr::Column(0))];
    let (left, method) = (planned(left), JoinMethod::Merge(vec![false]));
    Rel::Join(Arc::new(Join { join_type, left, right, equal, condition, method }))
}

#[test]
fn runs_that_are_longer_than_batches_are_merged() {
    let of = |from: &str, key: &str| format!("SELECT {key}, g FROM generate_series({from}) g");
    // Each of the left's keys 0 to 29 comes a hundred times, each of the right's 10 to 11 a thousand times and more.
    let (left, right) = (of("0, 2999", "g / 100"), of("15000, 17499", "g / 1500"));
    let count = |join_type, condition| -> usize {
        let joined = merged(join_type, &left, planned(&right), condition);
        run(&joined).unwrap().batches.iter().map(Batch::len).sum()
    };
    let pairs = 100 * 2500;
    let expected: [(JoinType, usize); 6] = [
        (JoinType::Inner, pairs),
        (JoinType::Left, pairs + 2800),
        (JoinType::Right, pairs),
        (JoinType::Full, pairs + 2800),
        (JoinType::Semi, 200),
        (JoinType::Anti, 2800),
    ];
    for (join_type, rows) in expected {
        assert_eq!(count(join_type, None), rows, "{join_type:?}");
    }
    // Of the pairs of one row, which come in several batches, those with the last row of the right match; and none.
    let last = |row: i32| {
        let number = Expr::Const(Datum::Int4(row));
        Some(Expr::Compare(BinaryOperator::Eq, Expr::Column(3).into(), number.into()))
    };
    let expected = [
        (JoinType::Inner, 100, 0),
        (JoinType::Left, 3000, 3000),
        (JoinType::Right, 100 + 2499, 2500),
        (JoinType::Full, 3000 + 2499, 3000 + 2500),
    ];
    for (join_type, one_matches, none) in expected {
        assert_eq!(count(join_type, last(16499)), one_matches, "{join_type:?}");
        assert_eq!(count(join_type, last(0)), none, "{join_type:?}");
    }
}

/// The run of one key is all that is kept, and it is charged for.
#[test]
fn a_run_that_is_too_long_is_refused() {
    let long = |key: &str| {
        let texts = "SELECT repeat('x', 100000) AS t, g FROM generate_series(1, 1000) g";
        format!("SELECT {key}, t FROM ({texts}) x")
    };
    let left = "SELECT g FROM generate_series(1, 1000) g";
    let run_of = |right: Rel| run(&merged(JoinType::Inner, left, right, None));
    let refused = |right: Rel| run_of(right).err().map(|error| error.state);
    assert_eq!(refused(planned(&long("g * 0 + 1"))), Some(SqlState::OUT_OF_MEMORY));
    // Also where the rows come of a join that gives back what it needed itself for each of its rows.
    let (join_type, outer, condition) = (JoinType::Inner, Vec::new(), None);
    let ones = planned("SELECT g * 0 + 1 FROM generate_series(1, 1000) g");
    let right = planned("SELECT repeat('x', 100000) FROM generate_series(1, 100)");
    let each = Apply { join_type, left: ones, right, outer, condition };
    assert_eq!(refused(Rel::Apply(Arc::new(each))), Some(SqlState::OUT_OF_MEMORY));
    let ran = run_of(planned(&long("g"))).unwrap();
    assert!(ran.in_use_max < 4 << 20, "{}", ran.in_use_max);
    assert_eq!(ran.batches.iter().map(Batch::len).sum::<usize>(), 1000);
    let is_short = |batch: &Batch| batch.len() <= 11;
    assert!(ran.batches.iter().all(is_short));
}
