//! What was counted and found, as text.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tests_conformance::random::case::{Case, Statement};
use tests_conformance::random::judge::{INTENDED, Outcome, Verdict};
use tests_conformance::session::Failure;

/// How many rows of an answer are shown.
const ROWS_SHOWN: usize = 10;

/// How many kinds of what is missing are shown, the most frequent ones.
const MISSING_SHOWN: usize = 40;

/// How statements were answered.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// All of them.
    pub statements: u64,
    same_rows: u64,
    rows: u64,
    different: u64,
    /// By SQLSTATE, with a statement for each.
    same_errors: BTreeMap<String, (u64, String)>,
    intended: BTreeMap<usize, u64>,
    /// What Relix says it lacks.
    missing: BTreeMap<String, u64>,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, statement: &Statement, verdict: Verdict, theirs: &Outcome) {
        self.statements += 1;
        match (verdict, theirs) {
            (Verdict::SameError, Err(failure)) => {
                let example = || format!("{}: {}", failure.message, statement.tree);
                self.same_errors.entry(failure.state.clone()).or_insert_with(|| (0, example())).0 += 1;
            }
            (Verdict::Intended(which), _) => *self.intended.entry(which).or_default() += 1,
            (Verdict::Different, _) => self.different += 1,
            (_, answer) => {
                self.same_rows += 1;
                self.rows += answer.as_ref().map_or(0, |answer| answer.rows.len() as u64);
            }
        }
    }

    /// One that Relix lacks something for.
    pub fn add_missing(&mut self, failure: &Failure) {
        self.statements += 1;
        // Without the statement, of which there are many.
        let what = failure.to_string();
        let what = what.split_once(" (CREATE").map_or(what.as_str(), |(what, _)| what);
        *self.missing.entry(what.to_string()).or_default() += 1;
    }

    /// Those of another case, too.
    pub fn merge(&mut self, more: &Counts) {
        self.statements += more.statements;
        self.same_rows += more.same_rows;
        self.rows += more.rows;
        self.different += more.different;
        for (state, (count, example)) in &more.same_errors {
            self.same_errors.entry(state.clone()).or_insert_with(|| (0, example.clone())).0 += count;
        }
        more.missing.iter().for_each(|(what, count)| *self.missing.entry(what.clone()).or_default() += count);
        more.intended.iter().for_each(|(which, count)| *self.intended.entry(*which).or_default() += count);
    }

    /// All of it; the last line is the sum.
    pub fn report(&self, elapsed: Duration) -> String {
        let mut lines = Vec::new();
        for (state, (count, example)) in &self.same_errors {
            let example: String = example.chars().take(150).collect();
            lines.push(format!("{state} {count:6}  {example}"));
        }
        let mut missing: Vec<(&String, &u64)> = self.missing.iter().collect();
        missing.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        lines.extend(
            missing.iter().take(MISSING_SHOWN).map(|(what, count)| format!("{count:6} missing: {what}")),
        );
        for (which, count) in &self.intended {
            lines.push(format!("{:6} {}: {}", count, INTENDED[*which].0, INTENDED[*which].1));
        }
        let errors: u64 = self.same_errors.values().map(|(count, _)| count).sum();
        let missing: u64 = self.missing.values().sum();
        let intended: u64 = self.intended.values().sum();
        let share = 100.0 * self.same_rows as f64 / self.statements.max(1) as f64;
        let rate = self.statements as f64 / elapsed.as_secs_f64();
        lines.push(format!(
            "{} statements ({rate:.0}/s): {} with the same rows ({share:.1} %; {} rows), {errors} with the same error \
             ({} SQLSTATEs), {intended} with an intended difference, {missing} that Relix lacks something for, {} different",
            self.statements,
            self.same_rows,
            self.rows,
            self.same_errors.len(),
            self.different,
        ));
        lines.join("\n")
    }
}

/// A difference, as small as it could be made.
pub struct Finding {
    /// Its last statement differs.
    pub case: Case,
    /// What Relix says.
    pub ours: Outcome,
    /// What PostgreSQL says.
    pub theirs: Outcome,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_binary = self.case.statements.last().is_some_and(|statement| statement.extended);
        let protocol = if is_binary { " (extended protocol, binary)" } else { "" };
        write!(f, "seed {}{protocol}\n{}", self.case.seed, script(&self.case))?;
        write!(f, "Relix:\n{}\nPostgreSQL:\n{}", shown(&self.ours), shown(&self.theirs))
    }
}

/// A case as statements that can be run.
pub fn script(case: &Case) -> String {
    let setup = case.tables.iter().flat_map(|table| table.setup());
    let texts = setup.chain(case.statements.iter().map(|statement| statement.tree.to_string()));
    texts.map(|text| format!("{text};\n")).collect()
}

fn shown(outcome: &Outcome) -> String {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(failure) => return format!("  {failure}"),
    };
    let columns: Vec<String> = answer.columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
    let row = |row: &Vec<Option<String>>| row.iter().map(value).collect::<Vec<_>>().join(" | ");
    let rows = answer.rows.iter().take(ROWS_SHOWN).map(row);
    let lines: Vec<String> =
        [columns.join(" | ")].into_iter().chain(rows).map(|line| format!("  {line}")).collect();
    format!("{}\n  {} rows", lines.join("\n"), answer.count)
}
