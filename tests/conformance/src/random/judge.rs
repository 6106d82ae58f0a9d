//! Whether two servers have answered alike, and which differences are meant.

use crate::random::case::Statement;
use crate::session::{Answer, Failure};

/// What came of a statement.
pub type Outcome = Result<Answer, Failure>;

/// How two outcomes compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same rows.
    SameRows,
    /// The same SQLSTATE.
    SameError,
    /// Different, as is known and meant: the index in [`INTENDED`].
    Intended(usize),
    /// Different.
    Different,
}

/// What a difference is judged by: the statement, what Relix said, and what PostgreSQL said.
type Test = fn(&Statement, &Outcome, &Outcome) -> bool;

/// Differences that are no mistakes: a name, the reason, and how they are recognised. That rows come in any order unless
/// ORDER BY says which is none of them: such rows are compared as multisets to begin with.
pub const INTENDED: &[(&str, &str, Test)] = &[
    (
        "evaluation order",
        "SQL does not say which expression is evaluated first, nor for which rows: a failure may be met or not. Only \
         statements that the feature `failures` has made may differ so.",
        evaluation_order,
    ),
    (
        "full join limits",
        "PostgreSQL refuses FULL JOIN with conditions that it can neither merge nor hash, also when its own simplifications \
         have made them so.",
        |_, _, theirs| state(theirs) == "0A000" && message(theirs).contains("FULL JOIN"),
    ),
    (
        "limits of length",
        "Relix bounds how long an expression is, PostgreSQL how deep its stack.",
        |_, ours, _| state(ours) == "54001",
    ),
    ("out of time", "PostgreSQL was stopped by the time limit of this test.", |_, _, theirs| {
        state(theirs) == "57014"
    }),
    (
        "representative",
        "Of equal values that do not look the same (1.0 and 1.00, 0 and -0), any may stand for a group, be the least or \
         survive DISTINCT.",
        |statement, ours, theirs| same_but_for(statement, ours, theirs, &plain),
    ),
    (
        "sums of floating point",
        "The sum of floating point numbers depends on the order of the rows: its last digits may differ.",
        |statement, ours, theirs| {
            let text = statement.tree.to_string();
            let sums = text.contains("sum(") || text.contains("avg(");
            sums && same_but_for(statement, ours, theirs, &rounded)
        },
    ),
    (
        "constants that fail",
        "PostgreSQL computes what is constant when it plans, and fails though no row asks for it.",
        |_, ours, theirs| {
            let has_no_rows = ours.as_ref().is_ok_and(|answer| answer.rows.is_empty() && answer.count == 0);
            has_no_rows && is_of_data(theirs)
        },
    ),
    (
        "flag of NULLs",
        "The binary form of an array has a flag that says whether NULLs are in it: PostgreSQL's slices keep that of the \
         array they are of, though none is left.",
        |statement, ours, theirs| statement.extended && same_but_for(statement, ours, theirs, &without_flag),
    ),
];

fn state(outcome: &Outcome) -> &str {
    outcome.as_ref().err().map_or("", |failure| failure.state.as_str())
}

fn message(outcome: &Outcome) -> &str {
    outcome.as_ref().err().map_or("", |failure| failure.message.as_str())
}

/// Whether a value was to blame. That neither NaN nor infinity is an integer is 0A000.
fn is_of_data(outcome: &Outcome) -> bool {
    let is_no_integer = |value: &str| message(outcome).starts_with(&format!("cannot convert {value}"));
    state(outcome).starts_with("22") || is_no_integer("NaN") || is_no_integer("infinity")
}

fn evaluation_order(statement: &Statement, ours: &Outcome, theirs: &Outcome) -> bool {
    let is_fine =
        |outcome: &Outcome| outcome.is_ok() || is_of_data(outcome) || state(outcome).starts_with("21");
    let both_rows = ours.is_ok() && theirs.is_ok();
    statement.may_fail && !both_rows && is_fine(ours) && is_fine(theirs)
}

/// A number without zeros at its end, nor a sign of zero.
fn plain(value: &str) -> String {
    if value.parse::<f64>().is_err() {
        return value.to_string();
    }
    let short = if value.contains(['e', 'E']) || !value.contains('.') {
        value
    } else {
        value.trim_end_matches('0').trim_end_matches('.')
    };
    if short == "-0" { "0".into() } else { short.to_string() }
}

/// A number without its last digits.
fn rounded(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) => format!("{number:.11e}").replace("-0.00000000000e0", "0.00000000000e0"),
        Err(_) => value.to_string(),
    }
}

/// The binary form of an array of one dimension, as hexadecimal digits, without the flag that says that NULLs are in it.
fn without_flag(value: &str) -> String {
    match value.strip_prefix("0000000100000001") {
        Some(rest) if rest.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            format!("0000000100000000{rest}")
        }
        _ => value.to_string(),
    }
}

/// The rows of an answer in the order in which they are compared.
fn rows(answer: &Answer, is_ordered: bool, seen_as: &dyn Fn(&str) -> String) -> Vec<Vec<Option<String>>> {
    let row = |row: &Vec<Option<String>>| row.iter().map(|value| value.as_deref().map(seen_as)).collect();
    let mut rows: Vec<Vec<Option<String>>> = answer.rows.iter().map(row).collect();
    if !is_ordered {
        rows.sort();
    }
    rows
}

fn same_but_for(
    statement: &Statement,
    ours: &Outcome,
    theirs: &Outcome,
    seen_as: &dyn Fn(&str) -> String,
) -> bool {
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return false };
    let is_ordered = statement.is_ordered();
    ours.columns == theirs.columns && rows(ours, is_ordered, seen_as) == rows(theirs, is_ordered, seen_as)
}

/// Compares what Relix and PostgreSQL have said.
pub fn judge(statement: &Statement, ours: &Outcome, theirs: &Outcome) -> Verdict {
    let same = match (ours, theirs) {
        // A connection that is gone says nothing, and is never right.
        (Err(ours), Err(theirs)) if ours.state == theirs.state && !ours.state.is_empty() => {
            return Verdict::SameError;
        }
        (Ok(one), Ok(other)) => {
            (one.count == other.count || !one.columns.is_empty())
                && one.columns == other.columns
                && (one.rows == other.rows || same_but_for(statement, ours, theirs, &str::to_string))
        }
        _ => false,
    };
    if same {
        return Verdict::SameRows;
    }
    match INTENDED.iter().position(|(_, _, is_meant)| is_meant(statement, ours, theirs)) {
        Some(which) => Verdict::Intended(which),
        None => Verdict::Different,
    }
}

/// What kind of a difference it is: what stays while the statement is made smaller, and what two findings have in common
/// if they are likely to be the same.
pub fn signature(ours: &Outcome, theirs: &Outcome) -> String {
    if let (Ok(one), Ok(other)) = (ours, theirs) {
        let mut rows = [one.rows.clone(), other.rows.clone()];
        rows.iter_mut().for_each(|rows| rows.sort());
        let columns = one.columns.iter().zip(&other.columns).find(|(one, other)| one != other);
        if let Some((one, other)) = columns.filter(|_| rows[0] == rows[1]) {
            return format!("column {one:?} / {other:?}");
        }
    }
    let said = |outcome: &Outcome| match outcome {
        Ok(_) => "rows".to_string(),
        Err(failure) => {
            // Without names and numbers.
            let mut quoted = false;
            let message = failure.message.chars().filter(|letter| {
                quoted ^= *letter == '"';
                !quoted && !letter.is_ascii_digit()
            });
            format!("{} {}", failure.state, message.collect::<String>())
        }
    };
    format!("{} / {}", said(ours), said(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::tree::{Role, Tree};

    fn statement(text: &str, ordered: bool) -> Statement {
        let order = if ordered { Tree::new(Role::Order, " ORDER BY 1", vec![]) } else { Tree::nothing() };
        let tree = Tree::new(Role::Query, &format!("{text}{{}}"), vec![order]);
        Statement { tree, changes: false, may_fail: false, extended: false }
    }

    fn rows(values: &[&str]) -> Outcome {
        let rows: Vec<_> = values.iter().map(|value| vec![Some(value.to_string())]).collect();
        Ok(Answer { columns: vec![("x".into(), String::new())], count: rows.len() as u64, rows })
    }

    fn error(state: &str) -> Outcome {
        Err(Failure { state: state.into(), message: String::new() })
    }

    #[test]
    fn order_matters_where_it_is_asked_for() {
        let (one, other) = (rows(&["1", "2"]), rows(&["2", "1"]));
        assert_eq!(judge(&statement("SELECT x", false), &one, &other), Verdict::SameRows);
        assert_eq!(judge(&statement("SELECT x", true), &one, &other), Verdict::Different);
        assert_eq!(judge(&statement("SELECT x", false), &one, &rows(&["1", "1"])), Verdict::Different);
    }

    #[test]
    fn errors_are_compared_by_state() {
        let query = statement("SELECT x", false);
        assert_eq!(judge(&query, &error("22012"), &error("22012")), Verdict::SameError);
        assert_eq!(judge(&query, &error("22012"), &error("22003")), Verdict::Different);
        assert_eq!(judge(&query, &error("22012"), &rows(&["1"])), Verdict::Different);
        assert_eq!(judge(&query, &error(""), &error("")), Verdict::Different, "both connections are gone");
    }

    #[test]
    fn what_is_meant_has_a_name() {
        let name = |verdict| match verdict {
            Verdict::Intended(which) => INTENDED[which].0,
            other => panic!("{other:?}"),
        };
        let query = statement("SELECT DISTINCT x", false);
        assert_eq!(name(judge(&query, &rows(&["1.0"]), &rows(&["1.00"]))), "representative");
        assert_eq!(judge(&query, &rows(&["10"]), &rows(&["100"])), Verdict::Different);
        let (one, other) = (rows(&["0.30000000000000004"]), rows(&["0.3"]));
        assert_eq!(judge(&query, &one, &other), Verdict::Different);
        assert_eq!(name(judge(&statement("SELECT sum(x)", false), &one, &other)), "sums of floating point");
        let flagged = [rows(&["000000010000000100000017"]), rows(&["000000010000000000000017"])];
        assert_eq!(judge(&query, &flagged[0], &flagged[1]), Verdict::Different);
        let binary = Statement { extended: true, ..query.clone() };
        assert_eq!(name(judge(&binary, &flagged[0], &flagged[1])), "flag of NULLs");
        assert_eq!(name(judge(&query, &rows(&[]), &error("22003"))), "constants that fail");
        assert_eq!(judge(&query, &one, &error("22003")), Verdict::Different);
        let failing = Statement { may_fail: true, ..query };
        assert_eq!(name(judge(&failing, &error("22012"), &rows(&["1"]))), "evaluation order");
        assert_eq!(judge(&failing, &error("42883"), &rows(&["1"])), Verdict::Different);
    }
}
