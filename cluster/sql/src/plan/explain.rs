//! Plans in words.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::optimize::{origin, rows};
use super::rel::{CounterValues, Counters, Join, JoinMethod, JoinType, Measured, Rel, Scan};
use super::{InsertRows, Plan};
use crate::error::SqlResult;
use crate::expr::Expr;

/// One line for each step, the last to act first, with how many rows are expected and, if the plan has been measured,
/// how many there were.
pub(crate) fn explain(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let heading = match plan {
        Plan::With(with) => {
            for part in &with.parts {
                lines.push(format!("With {}", part.name));
                lines.extend(explain(&part.plan).iter().map(|line| format!("  {line}")));
            }
            lines.extend(explain(&with.last));
            return lines;
        }
        Plan::Insert(insert) => Some(format!("Insert on {}", insert.table.descriptor.name)),
        Plan::Update(update) => {
            let table = update.table.as_ref().map_or("sys.settings", |table| &table.descriptor.name);
            Some(format!("Update on {table}"))
        }
        Plan::Delete(delete) => Some(format!("Delete on {}", delete.table.descriptor.name)),
        Plan::End(_) => Some("Delete on sys.sessions".into()),
        _ => None,
    };
    let depth = usize::from(heading.is_some());
    lines.extend(heading);
    rels_of(plan).into_iter().for_each(|rel| describe(rel, depth, None, &mut lines));
    lines
}

/// As [`explain`], of a query.
pub(super) fn explain_rel(rel: &Rel) -> Vec<String> {
    let mut lines = Vec::new();
    describe(rel, 0, None, &mut lines);
    lines
}

/// Has every operator of `plan` watched while it runs.
pub(super) fn measure(plan: &mut Plan) -> SqlResult<()> {
    let rel = match plan {
        Plan::With(with) => {
            with.parts.iter_mut().try_for_each(|part| measure(&mut part.plan))?;
            return measure(&mut with.last);
        }
        Plan::Query(rel) => rel,
        Plan::Insert(insert) => match &mut insert.rows {
            InsertRows::Query(rel, _) => rel,
            _ => return Ok(()),
        },
        Plan::Update(update) => &mut update.rows.rel,
        Plan::Delete(delete) => &mut delete.rows.rel,
        _ => return Ok(()),
    };
    *rel = measured(core::mem::replace(rel, Rel::Row))?;
    Ok(())
}

/// Begins to count anew.
pub(crate) fn reset(plan: &Plan) {
    rels_of(plan).into_iter().for_each(reset_rel);
}

fn reset_rel(rel: &Rel) {
    if let Rel::Measured(measured) = rel {
        let CounterValues { loops, rows, micros, blocks, blocks_from_disk } = &*measured.counters.0;
        [loops, rows, micros, blocks, blocks_from_disk]
            .into_iter()
            .for_each(|counter| counter.store(0, Ordering::Relaxed));
    }
    rel.inputs().into_iter().for_each(reset_rel);
}

/// What the rows of a statement come from.
pub(super) fn rels_of(plan: &Plan) -> Vec<&Rel> {
    match plan {
        Plan::Query(rel) | Plan::End(rel) => [rel].into(),
        Plan::Insert(insert) => match &insert.rows {
            InsertRows::Query(rel, _) => [rel].into(),
            _ => Vec::new(),
        },
        Plan::Update(update) => [&update.rows.rel].into(),
        Plan::Delete(delete) => [&delete.rows.rel].into(),
        Plan::Explain(explained) => rels_of(&explained.plan),
        Plan::With(with) => {
            let mut rels: Vec<&Rel> = with.parts.iter().flat_map(|part| rels_of(&part.plan)).collect();
            rels.extend(rels_of(&with.last));
            rels
        }
        _ => Vec::new(),
    }
}

fn measured(rel: Rel) -> SqlResult<Rel> {
    let is_shown = named(&rel).is_some();
    let input = rel.map_inputs(&mut measured)?;
    if !is_shown {
        return Ok(input);
    }
    Ok(Rel::Measured(Arc::new(Measured { input, counters: Counters::default() })))
}

fn describe(rel: &Rel, depth: usize, counters: Option<&Counters>, lines: &mut Vec<String>) {
    if let Rel::Measured(measured) = rel {
        return describe(&measured.input, depth, Some(&measured.counters), lines);
    }
    let below = match named(rel) {
        Some(line) => {
            let actual = counters.map(actual).unwrap_or_default();
            lines.push(format!("{}{line}  (rows={:.0}){actual}", "  ".repeat(depth), rows(rel)));
            let below = "  ".repeat(depth + 1);
            lines.extend(merge_condition(rel).map(|condition| format!("{below}Merge Cond: {condition}")));
            depth + 1
        }
        // What does not show what it does with rows is not shown.
        None => depth,
    };
    rel.inputs().into_iter().for_each(|input| describe(input, below, None, lines));
}

/// What was counted.
fn actual(counters: &Counters) -> String {
    let CounterValues { loops, rows, micros, blocks, blocks_from_disk } = &*counters.0;
    let [loops, rows, micros, blocks, from_disk] =
        [loops, rows, micros, blocks, blocks_from_disk].map(|counter| counter.load(Ordering::Relaxed));
    match loops {
        0 => " (never executed)".into(),
        _ => format!(
            " (actual rows={rows} loops={loops} time={}.{:03} ms blocks={blocks} from disk={from_disk})",
            micros / 1000,
            micros % 1000
        ),
    }
}

fn scan_name(scan: &Scan) -> String {
    let table = &scan.table.descriptor;
    let direction = if scan.backward { " backward" } else { "" };
    let index = scan.access.index.and_then(|index| table.indexes.get(index));
    let by = index.map_or(String::new(), |index| format!(" by {}", index.name));
    let filtered = if scan.filter.is_some() { ", filtered" } else { "" };
    let name = &table.name;
    match () {
        _ if scan.access.is_point() => format!("Point get on {name}{by}"),
        _ if scan.access.is_full() => format!("Scan{direction} of {name}{by}{filtered}"),
        _ => format!("Range scan{direction} of {name}{by}{filtered}"),
    }
}

fn named(rel: &Rel) -> Option<String> {
    Some(match rel {
        Rel::Project(_) => return None,
        Rel::Row | Rel::Empty(_) => "Result".into(),
        Rel::Values(values) => format!("Values of {} rows", values.rows.len()),
        Rel::Scan(scan) => scan_name(scan),
        Rel::Measured(measured) => return named(&measured.input),
        Rel::System(table) => format!("System table {}", table.name),
        Rel::Settings => "Scan of sys.settings".into(),
        Rel::Live(table) => format!("Live table sys.{}", table.name),
        Rel::Series(_) => "Function scan on generate_series".into(),
        Rel::Called(called) => format!("Function scan on {}", called.call.routine.descriptor.name),
        Rel::Unroll(_) => "Function scan for each row".into(),
        Rel::Shared(shared) => format!("Shared query {}", shared.id.0 + 1),
        Rel::Recursive(_) => "Recursive union".into(),
        Rel::Working(..) => "Working table".into(),
        Rel::Filter(_) => "Filter".into(),
        Rel::Join(join) => {
            let method = match join.method {
                JoinMethod::Merge(_) => "Merge",
                JoinMethod::Hash if join.equal.is_empty() => "Nested loop",
                JoinMethod::Hash => "Hash",
            };
            format!("{method} {}", kind(join.join_type))
        }
        Rel::Apply(apply) => format!("Lookup {}", kind(apply.join_type)),
        Rel::Aggregate(aggregate) if aggregate.keys.is_empty() => "Aggregate".into(),
        Rel::Aggregate(_) => "HashAggregate".into(),
        Rel::Window(_) => "Window".into(),
        Rel::Sort(sort) if sort.top.is_some() => "Sort, first rows".into(),
        Rel::Sort(_) => "Sort".into(),
        Rel::Distinct(_) => "Unique".into(),
        Rel::Limit(_) => "Limit".into(),
        Rel::Set(set) => format!("{}{}", set.operator.name(), if set.all { " ALL" } else { "" }),
    })
}

/// What must be equal in a merge, as Postgres words it.
fn merge_condition(rel: &Rel) -> Option<String> {
    let Rel::Join(join) = rel else { return None };
    let Join { left, right, equal, method: JoinMethod::Merge(_), .. } = &**join else { return None };
    let pair = |(a, b): &(Expr, Expr)| format!("({} = {})", column_name(left, a), column_name(right, b));
    let pairs: Vec<String> = equal.iter().map(pair).collect();
    Some(if pairs.len() > 1 { format!("({})", pairs.join(" AND ")) } else { pairs.concat() })
}

fn column_name(rel: &Rel, expr: &Expr) -> String {
    let Expr::Column(at) = expr else { return "?column?".into() };
    let column = origin(rel, *at).and_then(|(table, at)| Some((table, table.descriptor.columns.get(at)?)));
    match column {
        Some((table, column)) => format!("{}.{}", table.descriptor.name, column.name),
        None => "?column?".into(),
    }
}

fn kind(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Inner => "join",
        JoinType::Left => "left join",
        JoinType::Right => "right join",
        JoinType::Full => "full join",
        JoinType::Semi => "semi join",
        JoinType::Anti => "anti join",
    }
}
