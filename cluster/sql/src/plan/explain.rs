//! Plans in words.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::rel::{JoinType, Rel};
use super::{InsertRows, Plan};

/// One line for each step, the last to act first.
pub(super) fn explain(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    match plan {
        Plan::Query(rel) => describe(rel, 0, &mut lines),
        Plan::Insert(insert) => {
            lines.push(format!("Insert on {}", insert.table.descriptor.name));
            if let InsertRows::Query(rel, _) = &insert.rows {
                describe(rel, 1, &mut lines);
            }
        }
        Plan::Update(update) => {
            let table = update.table.as_ref().map_or("sys.settings", |table| &table.descriptor.name);
            lines.push(format!("Update on {table}"));
            describe(&update.rows.rel, 1, &mut lines);
        }
        Plan::Delete(delete) => {
            lines.push(format!("Delete on {}", delete.table.descriptor.name));
            describe(&delete.rows.rel, 1, &mut lines);
        }
        _ => {}
    }
    lines
}

fn describe(rel: &Rel, depth: usize, lines: &mut Vec<String>) {
    let below = match named(rel) {
        Some(line) => {
            lines.push("  ".repeat(depth) + &line);
            depth + 1
        }
        // What does not show what it does with rows is not shown.
        None => depth,
    };
    rel.inputs().into_iter().for_each(|input| describe(input, below, lines));
}

fn named(rel: &Rel) -> Option<String> {
    Some(match rel {
        Rel::Project(_) => return None,
        Rel::Row | Rel::Empty(_) => "Result".into(),
        Rel::Values(values) => format!("Values of {} rows", values.rows.len()),
        Rel::Scan(scan) => {
            let name = &scan.table.descriptor.name;
            let direction = if scan.backward { " backward" } else { "" };
            match () {
                _ if scan.access.is_point() => format!("Point get on {name}"),
                _ if scan.access.is_full() => format!("Scan{direction} of {name}"),
                _ => format!("Range scan{direction} of {name}"),
            }
        }
        Rel::System(table) => format!("System table {}", table.name),
        Rel::Settings => "Scan of sys.settings".into(),
        Rel::Live(table) => format!("Live table sys.{}", table.name),
        Rel::Series(_) => "Function scan on generate_series".into(),
        Rel::Unroll(_) => "Function scan for each row".into(),
        Rel::Shared(shared) => format!("Shared query {}", shared.id.0 + 1),
        Rel::Recursive(_) => "Recursive union".into(),
        Rel::Working(..) => "Working table".into(),
        Rel::Filter(_) => "Filter".into(),
        Rel::Join(join) => {
            let method = if join.equal.is_empty() { "Nested loop" } else { "Hash" };
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
