//! What the subqueries and `WITH` queries of a statement have given so far.
//!
//! Evaluating an expression does not wait; reading tables does. So an expression that meets a subquery whose result is
//! not known says which one it is and fails with [`SqlError::pending`]; whoever evaluates it runs that subquery, notes its
//! result here, and evaluates the expression again. A subquery is thus run when its value is asked for, not before,
//! and once for all rows that it sees the same of. Numbers of sequences are had in the same way, and so is what routines give.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};
use spin::Mutex;

use crate::ast::BinaryOperator;
use crate::catalog::StoredRoutine;
use crate::error::{SqlError, SqlResult};
use crate::eval::{Env, compare};
use crate::expr::{RoutineCall, SequenceCall, SequenceFunction, Subquery, SubqueryKind};
use crate::key::{self, KeyOrder};
use crate::programs::{ProgramRow, Ready};
use crate::sessions::Signal;
use crate::system::Catalog;
use crate::types::Datum;

/// Results of one subquery that are kept, one for each set of outer values.
const RESULTS_MAX: usize = 4096;

/// Programs that are kept.
const PROGRAMS_MAX: usize = 4;

/// What a subquery has given.
#[derive(Debug)]
pub(crate) enum SubqueryResult {
    Value(Datum),
    Exists(bool),
    /// Its rows, and those that have no NULLs by what they are compared as.
    Rows(Vec<Vec<Datum>>, HashSet<Vec<u8>>),
}

/// What an expression cannot be evaluated without.
#[derive(Debug)]
pub(crate) enum Pending {
    Subquery(PendingSubquery),
    Sequence(SequenceRequest),
    Routine(RoutineRequest),
    Signal(Signal),
    /// What there is.
    Catalog,
}

/// A subquery that is to be run, and what it sees of the row around it.
#[derive(Debug)]
pub(crate) struct PendingSubquery {
    pub(crate) subquery: Arc<Subquery>,
    pub(crate) outer: Vec<Datum>,
}

/// What a sequence is asked for.
#[derive(Debug)]
pub(crate) struct SequenceRequest {
    pub(crate) function: SequenceFunction,
    /// Which sequence; the one that was last asked if none.
    pub(crate) name: Option<String>,
    /// For `setval`: the number, and whether it has been given.
    pub(crate) set: (i64, bool),
}

/// A routine that is to be called.
#[derive(Debug)]
pub(crate) struct RoutineRequest {
    pub(crate) routine: Arc<StoredRoutine>,
    pub(crate) arguments: Vec<Datum>,
}

/// The results of one subquery, by outer values, and the memory they take in bytes.
#[derive(Debug, Default)]
struct Results {
    by_outer: HashMap<Vec<u8>, Arc<SubqueryResult>>,
    len: usize,
}

/// Whom an expression has asked for an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    Sequence(SequenceFunction, Option<String>),
    Routine(Vec<u8>),
    Signal(Signal),
}

impl Pending {
    /// Whom it asks for an answer that is kept for the expression in hand.
    pub(crate) fn asked(&self) -> Option<Asked> {
        match self {
            Pending::Sequence(request) => Some(Asked::Sequence(request.function, request.name.clone())),
            Pending::Routine(request) => Some(Asked::Routine(request.routine.key.clone())),
            Pending::Signal(signal) => Some(Asked::Signal(*signal)),
            Pending::Subquery(_) | Pending::Catalog => None,
        }
    }
}

/// What holds for one evaluation of one expression.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    /// Numbers of sequences and what routines have given, in the order in which the expression asks for them, and how many it
    /// has asked for.
    answers: Vec<(Asked, Datum)>,
    asked: usize,
    /// Subqueries whose results are for this row alone, though another may look the same to them.
    passing: Vec<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// Programs that routines have run.
    programs: Vec<(ProgramRow, Ready)>,
    results: HashMap<usize, Results>,
    pending: Option<Pending>,
    in_hand: InHand,
    shared: HashMap<usize, Arc<Vec<Vec<Datum>>>>,
    working: HashMap<usize, Arc<Vec<Vec<Datum>>>>,
    catalog: Option<Arc<Catalog>>,
    /// The rows of system tables, by object id.
    system: HashMap<u32, Arc<Vec<Vec<Datum>>>>,
}

/// What the subqueries and `WITH` queries of a statement have given so far.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    state: Mutex<State>,
}

impl Memo {
    /// The subquery that an expression has asked for.
    pub(crate) fn take_pending(&self) -> Option<Pending> {
        self.state.lock().pending.take()
    }

    /// Notes the next answer that the expression in hand asks a sequence or a routine for: it is evaluated again.
    pub(crate) fn note_answer(&self, asked: Option<Asked>, answer: Datum) {
        self.state.lock().in_hand.answers.extend(asked.map(|asked| (asked, answer)));
    }

    /// What there is, as the statement's transaction sees it.
    pub(crate) fn catalog(&self) -> SqlResult<Arc<Catalog>> {
        let mut state = self.state.lock();
        match &state.catalog {
            Some(catalog) => Ok(catalog.clone()),
            None => {
                state.pending = Some(Pending::Catalog);
                Err(SqlError::pending())
            }
        }
    }

    /// A program that a routine has run before.
    pub(crate) fn program(&self, row: &ProgramRow) -> Option<Ready> {
        let state = self.state.lock();
        state.programs.iter().find(|(known, _)| known == row).map(|(_, ready)| ready.clone())
    }

    /// Notes a program, of which there are few.
    pub(crate) fn note_program(&self, row: ProgramRow, ready: Ready) {
        let programs = &mut self.state.lock().programs;
        programs.truncate(PROGRAMS_MAX - 1);
        programs.push((row, ready));
    }

    /// Notes what there is.
    pub(crate) fn note_catalog(&self, catalog: Arc<Catalog>) {
        self.state.lock().catalog = Some(catalog);
    }

    /// The rows of a system table, if they have been asked for before.
    pub(crate) fn system(&self, table: u32) -> Option<Arc<Vec<Vec<Datum>>>> {
        self.state.lock().system.get(&table).cloned()
    }

    /// Notes the rows of a system table.
    pub(crate) fn note_system(&self, table: u32, rows: Arc<Vec<Vec<Datum>>>) {
        self.state.lock().system.insert(table, rows);
    }

    /// The expression in hand is evaluated once more.
    pub(crate) fn begin_again(&self) {
        self.state.lock().in_hand.asked = 0;
    }

    /// The expression in hand has its value: the next one asks for numbers and values of its own.
    pub(crate) fn settle(&self) {
        let mut state = self.state.lock();
        let State { in_hand, results, .. } = &mut *state;
        in_hand.answers.clear();
        in_hand.asked = 0;
        for id in in_hand.passing.drain(..) {
            results.remove(&id);
        }
    }

    /// Puts aside what the expression in hand has asked for, while others are evaluated.
    pub(crate) fn put_aside(&self) -> InHand {
        core::mem::take(&mut self.state.lock().in_hand)
    }

    /// Brings back what was put aside: the expression is evaluated once more.
    pub(crate) fn bring_back(&self, aside: InHand) {
        self.state.lock().in_hand = InHand { asked: 0, ..aside };
    }

    /// What a sequence or a routine gives for `request`.
    fn answer(&self, request: impl FnOnce() -> Pending) -> SqlResult<Datum> {
        let mut state = self.state.lock();
        let (at, request) = (state.in_hand.asked, request());
        let Some((asked, answer)) = state.in_hand.answers.get(at) else {
            state.pending = Some(request);
            return Err(SqlError::pending());
        };
        if Some(asked) != request.asked().as_ref() {
            // What it has been told is of somebody else: something in it is another value each time.
            return Err(SqlError::not_supported("a call that depends on a value which is random"));
        }
        let answer = answer.clone();
        state.in_hand.asked += 1;
        Ok(answer)
    }

    /// Notes what `pending` has given, which takes `len` bytes of memory. Returns how many were given up for it.
    pub(crate) fn note(&self, pending: &PendingSubquery, result: SubqueryResult, len: usize) -> usize {
        let mut state = self.state.lock();
        let id = pending.subquery.id;
        if pending.subquery.varies() {
            state.in_hand.passing.push(id);
        }
        let results = state.results.entry(id).or_default();
        let given_up = if results.by_outer.len() < RESULTS_MAX { 0 } else { results.len };
        if given_up > 0 {
            *results = Results::default();
        }
        results.by_outer.insert(encoded(&pending.outer), Arc::new(result));
        results.len += len;
        given_up
    }

    /// The rows of the `WITH` query called `id`, once they are known.
    pub(crate) fn shared(&self, id: usize) -> Option<Arc<Vec<Vec<Datum>>>> {
        self.state.lock().shared.get(&id).cloned()
    }

    pub(crate) fn note_shared(&self, id: usize, rows: Arc<Vec<Vec<Datum>>>) {
        self.state.lock().shared.insert(id, rows);
    }

    /// What the last step of the recursion called `id` gave.
    pub(crate) fn working(&self, id: usize) -> Arc<Vec<Vec<Datum>>> {
        self.state.lock().working.get(&id).cloned().unwrap_or_default()
    }

    pub(crate) fn note_working(&self, id: usize, rows: Arc<Vec<Vec<Datum>>>) {
        self.state.lock().working.insert(id, rows);
    }

    fn result(&self, subquery: &Arc<Subquery>, outer: Vec<Datum>) -> SqlResult<Arc<SubqueryResult>> {
        let mut state = self.state.lock();
        let results = state.results.get(&subquery.id);
        if let Some(result) = results.and_then(|results| results.by_outer.get(&encoded(&outer))) {
            return Ok(result.clone());
        }
        let subquery = subquery.clone();
        state.pending = Some(Pending::Subquery(PendingSubquery { subquery, outer }));
        Err(SqlError::pending())
    }
}

fn encoded(row: &[Datum]) -> Vec<u8> {
    let mut bytes = Vec::new();
    row.iter().for_each(|datum| key::write(datum, KeyOrder::Ascending, &mut bytes));
    bytes
}

/// The value of `subquery` for `row`.
pub(crate) fn eval(subquery: &Arc<Subquery>, row: &[Datum], env: &Env<'_>) -> SqlResult<Datum> {
    let mut outer = Vec::with_capacity(subquery.outer.len());
    for expr in &subquery.outer {
        outer.push(expr.eval(row, env)?.into_owned());
    }
    Ok(match &*env.memo.result(subquery, outer)? {
        SubqueryResult::Value(value) => value.clone(),
        SubqueryResult::Exists(exists) => Datum::Bool(*exists),
        SubqueryResult::Rows(rows, whole) => {
            let mut operands = Vec::with_capacity(subquery.operands.len());
            for expr in &subquery.operands {
                operands.push(expr.eval(row, env)?.into_owned());
            }
            let SubqueryKind::Quantified(op, all) = subquery.kind else { return Ok(Datum::Null) };
            quantified(op, all, &operands, rows, whole).map_or(Datum::Null, Datum::Bool)
        }
    })
}

/// The value of a function of a sequence.
pub(crate) fn eval_sequence(call: &SequenceCall, row: &[Datum], env: &Env<'_>) -> SqlResult<Datum> {
    let name = match &call.name {
        None => None,
        Some(name) => match &*name.eval(row, env)? {
            Datum::Text(name) => Some(name.clone()),
            _ => return Ok(Datum::Null),
        },
    };
    let mut set = (0, true);
    for argument in &call.arguments {
        match &*argument.eval(row, env)? {
            Datum::Bool(is_called) => set.1 = *is_called,
            Datum::Null => return Ok(Datum::Null),
            number => set.0 = number.as_i64().unwrap_or(0),
        }
    }
    let function = call.function;
    env.memo.answer(|| Pending::Sequence(SequenceRequest { function, name, set }))
}

/// What a routine gives.
pub(crate) fn eval_routine(call: &RoutineCall, row: &[Datum], env: &Env<'_>) -> SqlResult<Datum> {
    let mut arguments = Vec::with_capacity(call.arguments.len());
    for argument in &call.arguments {
        arguments.push(argument.eval(row, env)?.into_owned());
    }
    if call.is_null(&arguments) {
        return Ok(Datum::Null);
    }
    let routine = call.routine.clone();
    env.memo.answer(|| Pending::Routine(RoutineRequest { routine, arguments }))
}

/// Whether the session called `pid` was there to be told to stop, or to end.
pub(crate) fn eval_signal(ends: bool, pid: &Datum, env: &Env<'_>) -> SqlResult<Datum> {
    let Datum::Int4(pid) = *pid else { return Ok(Datum::Null) };
    env.memo.answer(|| Pending::Signal(Signal { pid, ends }))
}

fn quantified(
    op: BinaryOperator,
    all: bool,
    operands: &[Datum],
    rows: &[Vec<Datum>],
    whole: &HashSet<Vec<u8>>,
) -> Option<bool> {
    let is_set = op == BinaryOperator::Eq && !all;
    if is_set && operands.iter().all(|operand| !operand.is_null()) {
        if whole.contains(&comparable_form(operands)) {
            return Some(true);
        }
        // Rows without NULLs are all in the set: only the others can be unknown.
        if whole.len() == rows.len() {
            return Some(false);
        }
    }
    let mut result = Some(all);
    for row in rows {
        let mut holds = Some(true);
        for (operand, value) in operands.iter().zip(row) {
            holds = match (holds, compare(op, operand, value)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        match holds {
            Some(holds) if holds != all => return Some(!all),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// Bytes that are equal for values that compare equal.
pub(crate) fn comparable_form<'a>(values: impl IntoIterator<Item = &'a Datum>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.into_iter().for_each(|value| write_comparable(value, &mut bytes));
    bytes
}

/// Appends such bytes of one value. Integers of all widths, and dates with timestamps, are compared as they are; all else has
/// been made of one type.
pub(crate) fn write_comparable(value: &Datum, bytes: &mut Vec<u8>) {
    if let Datum::Date(date) = value
        && let Ok(timestamp) = date.to_timestamp()
    {
        return key::write(&Datum::Timestamp(timestamp), KeyOrder::Ascending, bytes);
    }
    match value.as_i64() {
        Some(integer) => key::write(&Datum::Int8(integer), KeyOrder::Ascending, bytes),
        None => key::write(value, KeyOrder::Ascending, bytes),
    }
}
