//! Plans that are the best whatever the values are.

use crate::expr::Expr;
use crate::plan::change::{Conflict, InsertRows, Returning, TargetRows};
use crate::plan::rel::Rel;
use crate::plan::{Plan, Planned};
use crate::types::DataType;

impl Planned {
    /// Whether a statement that has these values as parameters does just what it does with the values themselves, and no
    /// plan would be better for some of them: it inserts the rows that it lists, or reads a single row by a key.
    pub(crate) fn is_general(&self) -> bool {
        match &self.plan {
            Plan::Query(rel) => self.reads_one_row(rel),
            Plan::Update(update) => {
                let mut values = update.assignments.iter().map(|(_, value)| value);
                values.all(|value| self.is_plain(value))
                    && self.changes_one_row(&update.rows, &update.returning)
            }
            Plan::Delete(delete) => self.changes_one_row(&delete.rows, &delete.returning),
            Plan::Insert(insert) => match &insert.rows {
                InsertRows::Values(rows) => {
                    // A single row is computed before anything else can fail.
                    let is_one = rows.len() == 1;
                    let is_fit =
                        |value: &Expr| if is_one { !value.has_subquery() } else { self.is_plain(value) };
                    rows.iter().flatten().all(is_fit)
                        && self.is_plain_conflict(&insert.on_conflict)
                        && self.are_plain(&insert.returning)
                }
                InsertRows::Query(..) => false,
            },
            _ => false,
        }
    }

    fn changes_one_row(&self, rows: &TargetRows, returning: &Option<Returning>) -> bool {
        !rows.is_joined && self.reads_one_row(&rows.rel) && self.are_plain(returning)
    }

    fn is_plain_conflict(&self, conflict: &Conflict) -> bool {
        match conflict {
            Conflict::Fails | Conflict::Ignored(_) => true,
            Conflict::Updates { assignments, filter, .. } => {
                assignments.iter().map(|(_, value)| value).chain(filter).all(|value| self.is_plain(value))
            }
        }
    }

    fn are_plain(&self, returning: &Option<Returning>) -> bool {
        returning.iter().flat_map(|returning| &returning.outputs).all(|output| self.is_plain(output))
    }

    fn reads_one_row(&self, rel: &Rel) -> bool {
        match rel {
            Rel::Project(node) => {
                node.outputs.iter().all(|output| self.is_plain(output)) && self.reads_one_row(&node.input)
            }
            Rel::Filter(node) => self.is_plain(&node.predicate) && self.reads_one_row(&node.input),
            Rel::Scan(node) => {
                node.access.is_point() && node.filter.as_ref().is_none_or(|filter| self.is_plain(filter))
            }
            _ => false,
        }
    }

    /// Whether it may fail only where it would with the values themselves. A value that has to become another type fails
    /// when the statement is planned, even if there is no row to compute it for.
    fn is_plain(&self, expr: &Expr) -> bool {
        let converts = |expr: &Expr| match expr {
            Expr::Cast(from, to) => !self.widens(from, *to) && is_of_params(from),
            Expr::Resize(from, ..) => is_of_params(from),
            Expr::Subquery(_) => true,
            _ => false,
        };
        !expr.any(&mut { converts })
    }

    fn widens(&self, from: &Expr, to: DataType) -> bool {
        let from = match from {
            Expr::Param(at) => self.params.get(*at),
            _ => None,
        };
        let is_wide = matches!(to, DataType::Numeric | DataType::Float8);
        match from {
            Some(DataType::Int4) => is_wide || to == DataType::Int8,
            Some(DataType::Int8) => is_wide,
            _ => false,
        }
    }
}

fn is_of_params(expr: &Expr) -> bool {
    expr.is_row_free() && expr.any(&mut |part| matches!(part, Expr::Param(_)))
}
