//! Plans in words.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Plan, SelectPlan, Source};

/// One line for each step, the last to act first.
pub(super) fn explain(plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Select(select) => select.explain(),
        Plan::Insert(insert) => [format!("Insert on {}", insert.table.descriptor.name)].into(),
        Plan::Update(update) => explain_change("Update", &update.rows),
        Plan::Delete(delete) => explain_change("Delete", &delete.rows),
        _ => Vec::new(),
    }
}

fn explain_change(verb: &str, rows: &SelectPlan) -> Vec<String> {
    let mut lines = rows.explain();
    for line in &mut lines {
        line.insert_str(0, "  ");
    }
    lines.insert(0, verb.into());
    lines
}

impl SelectPlan {
    pub(crate) fn explain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut push = |line: String| {
            let indent = "  ".repeat(lines.len());
            lines.push(indent + &line);
        };
        if self.limit.is_some() || self.offset.is_some() {
            push("Limit".into());
        }
        if !self.sort.is_empty() {
            push("Sort".into());
        }
        if self.distinct {
            push("Unique".into());
        }
        if let Some(aggregation) = &self.aggregation {
            push(if aggregation.keys.is_empty() { "Aggregate" } else { "HashAggregate" }.into());
        }
        push(match &self.source {
            Source::Nothing => "Result".into(),
            Source::Table { table, access, backward, .. } => {
                let name = &table.descriptor.name;
                let direction = if *backward { " backward" } else { "" };
                match () {
                    _ if access.is_point() => format!("Point get on {name}"),
                    _ if access.is_full() => format!("Scan{direction} of {name}"),
                    _ => format!("Range scan{direction} of {name}"),
                }
            }
            Source::Settings => "Scan of sys.settings".into(),
            Source::Live(table) => format!("Live table sys.{}", table.name),
            Source::Series(..) => "Function scan on generate_series".into(),
            Source::Values(rows) => format!("Values of {} rows", rows.len()),
        });
        lines
    }
}
