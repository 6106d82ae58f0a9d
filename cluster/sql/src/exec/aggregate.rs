//! Grouping.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use hashbrown::HashMap;

use super::accumulator::{Accumulator, gathers_same};
use super::sort::order;
use super::{Budget, Context, Cursor, Row, row_len};
use crate::batch::{Column, Columns, put_form};
use crate::bind::AggregateCall;
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::Aggregate;

struct Group {
    keys: Row,
    results: Vec<Result>,
}

/// One aggregate of one group.
enum Result {
    Running(Accumulator),
    /// Rows that are to be seen in an order of their own: what they are ordered by, and they themselves.
    Waiting(Vec<(Row, Row)>),
}

impl Group {
    fn new(keys: Row, calls: &[AggregateCall]) -> Group {
        let result = |call: &AggregateCall| match call.order.is_empty() {
            true => Result::Running(Accumulator::new(call)),
            false => Result::Waiting(Vec::new()),
        };
        Group { keys, results: calls.iter().map(result).collect() }
    }
}

/// The groups so far, in the order of their first rows.
struct Groups<'a> {
    node: &'a Aggregate,
    groups: Vec<Group>,
    index: Index,
    /// For each call, one before it that gathers the same, if there is one.
    same_as: Vec<Option<usize>>,
}

/// Where groups are, by their keys.
enum Index {
    /// Of one key, which is a word; none for NULL.
    Words(HashMap<Option<i64>, usize>),
    Forms(HashMap<Vec<u8>, usize>),
}

/// The keys of a group, as the index has them.
enum Key<'a> {
    Word(Option<i64>),
    Form(&'a [u8]),
}

impl Index {
    #[inline]
    fn get(&self, key: &Key<'_>) -> Option<usize> {
        match (self, key) {
            (Index::Words(index), Key::Word(word)) => index.get(word).copied(),
            (Index::Forms(index), Key::Form(form)) => index.get(*form).copied(),
            _ => None,
        }
    }

    fn insert(&mut self, key: &Key<'_>, place: usize) {
        match (self, key) {
            (Index::Words(index), Key::Word(word)) => _ = index.insert(*word, place),
            (Index::Forms(index), Key::Form(form)) => _ = index.insert(form.to_vec(), place),
            _ => {}
        }
    }
}

/// Whether all values of `key` are words, those that are not NULL, and equal ones the same.
fn is_words(key: &Column) -> bool {
    match key {
        Column::Words(words) => words.kind.is_canonical(),
        Column::Same(value) => value.is_null(),
        _ => false,
    }
}

/// What is charged for a key that is kept as bytes: about twice as many, as the table it is in has room for more.
fn charged_len(form: &[u8]) -> usize {
    2 * form.len()
}

/// The rows of the groups: keys, then results; in the order of their first rows.
pub(super) async fn aggregate<D: Database>(
    node: &Aggregate,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    let index = Index::Words(HashMap::new());
    let mut groups = Groups { node, groups: Vec::new(), index, same_as: same_as(&node.calls) };
    if node.keys.is_empty() {
        groups.groups.push(Group::new(Row::new(), &node.calls));
    }
    // What two of them ask of a sequence, they ask for one row after the other.
    let exprs = node.keys.iter().chain(node.calls.iter().flat_map(AggregateCall::exprs));
    let row_by_row = exprs.filter(|expr| expr.is_volatile()).count() > 1;
    let mut cursor = Cursor::open(&node.input);
    while let Some(batch) = cursor.next_batch(context).await? {
        let columns = batch.into_columns(node.input.width());
        let at_once = if row_by_row { 1 } else { columns.len.max(1) };
        for start in (0..columns.len).step_by(at_once) {
            groups.take_rows(&columns, start..start + at_once, context).await?;
        }
    }
    let mut rows = Vec::with_capacity(groups.groups.len());
    for (at, group) in groups.groups.iter_mut().enumerate() {
        context.breathe(at).await?;
        let mut row = core::mem::take(&mut group.keys);
        let same_as = &groups.same_as;
        for ((number, call), same) in node.calls.iter().enumerate().zip(same_as).rev() {
            let accumulator = match group.results.get_mut(same.unwrap_or(number)) {
                Some(Result::Waiting(rows)) => in_order(core::mem::take(rows), call, context).await?,
                Some(Result::Running(accumulator)) if same.is_some() => accumulator.clone(),
                Some(Result::Running(accumulator)) => core::mem::replace(accumulator, Accumulator::new(call)),
                None => Accumulator::new(call),
            };
            row.push(accumulator.finish(call)?);
        }
        // Those that gather for others came last.
        if let Some(results) = row.get_mut(node.keys.len()..) {
            results.reverse();
        }
        rows.push(row);
    }
    Ok(rows)
}

fn same_as(calls: &[AggregateCall]) -> Vec<Option<usize>> {
    let same = |(number, call): (usize, &AggregateCall)| {
        calls.iter().take(number).position(|other| gathers_same(call, other))
    };
    calls.iter().enumerate().map(same).collect()
}

impl Groups<'_> {
    /// Which call gathers what that of this number would.
    fn same_as(&self, number: usize) -> Option<usize> {
        self.same_as.get(number).copied().flatten()
    }

    /// Lets all calls see `rows`.
    async fn take_rows<D: Database>(
        &mut self,
        columns: &Columns,
        rows: Range<usize>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let places = self.places(columns, rows.clone(), context).await?;
        for (number, call) in self.node.calls.iter().enumerate() {
            if self.same_as(number).is_none() {
                self.take(number, call, columns, rows.clone(), &places, context).await?;
            }
        }
        Ok(())
    }

    /// The group of each of `rows`. Those that were not there are begun.
    async fn places<D: Database>(
        &mut self,
        columns: &Columns,
        rows: Range<usize>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<usize>> {
        if self.node.keys.is_empty() {
            return Ok(vec![0; rows.len()]);
        }
        let mut places = Vec::with_capacity(rows.len());
        while places.len() < rows.len() {
            let rest = rows.start + places.len()..rows.end;
            let (keys, len) = context.compute(self.node.keys.iter(), columns, rest).await?;
            self.find(&keys, len, &mut places, context.budget)?;
        }
        Ok(places)
    }

    /// Adds to `places` the groups of rows that have these keys, `len` of each.
    fn find(
        &mut self,
        keys: &[Cow<'_, Column>],
        len: usize,
        places: &mut Vec<usize>,
        budget: &mut Budget,
    ) -> SqlResult<()> {
        let only = match (keys, &self.index) {
            ([key], Index::Words(_)) if is_words(key) => Some(&**key),
            _ => None,
        };
        if only.is_none() {
            self.by_forms(budget)?;
        }
        let mut form = Vec::new();
        for at in 0..len {
            let key = match only {
                Some(Column::Words(words)) => Key::Word(words.get(at)),
                Some(_) => Key::Word(None),
                None => {
                    put_form(keys.iter().map(|key| &**key), at, &mut form);
                    Key::Form(&form)
                }
            };
            places.push(match self.index.get(&key) {
                Some(place) => place,
                None => self.begin(&key, keys.iter().map(|key| key.get(at)).collect(), budget)?,
            });
        }
        Ok(())
    }

    /// Begins the group of `key`, whose keys are these.
    fn begin(&mut self, key: &Key<'_>, keys: Row, budget: &mut Budget) -> SqlResult<usize> {
        let place = self.groups.len();
        let form_len = if let Key::Form(form) = key { charged_len(form) } else { 0 };
        budget.charge(row_len(&keys) + form_len + 64 * (1 + self.node.calls.len()))?;
        self.index.insert(key, place);
        self.groups.push(Group::new(keys, &self.node.calls));
        Ok(place)
    }

    /// From here on, keys are looked for by their bytes: they are not words, or not all of them are.
    fn by_forms(&mut self, budget: &mut Budget) -> SqlResult<()> {
        if let Index::Words(_) = self.index {
            let mut forms = HashMap::with_capacity(self.groups.len());
            for (place, group) in self.groups.iter().enumerate() {
                let form = super::distinct::same_form(&group.keys);
                budget.charge(charged_len(&form))?;
                forms.insert(form, place);
            }
            self.index = Index::Forms(forms);
        }
        Ok(())
    }

    /// Lets the call of this number see `rows`, each of the group that `places` has for it.
    async fn take<D: Database>(
        &mut self,
        number: usize,
        call: &AggregateCall,
        columns: &Columns,
        rows: Range<usize>,
        places: &[usize],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let is_plain = call.order.is_empty() && !call.distinct && call.arguments.len() <= 1;
        if !is_plain || call.filter.is_some() {
            for row in context.select(call.filter.as_ref(), columns, rows.clone()).await? {
                let at = row as usize;
                let group = places.get(at - rows.start).and_then(|place| self.groups.get_mut(*place));
                if let Some(result) = group.and_then(|group| group.results.get_mut(number)) {
                    take(result, call, &columns.row(at), context).await?;
                }
            }
            return Ok(());
        }
        let Some(argument) = call.arguments.first() else {
            return self.take_all(number, call, None, places, context);
        };
        let mut places = places;
        while !places.is_empty() {
            let rest = rows.end - places.len()..rows.end;
            let (values, len) = context.compute([argument].into_iter(), columns, rest).await?;
            let (these, others) = places.split_at(len);
            self.take_all(number, call, values.first().map(|values| &**values), these, context)?;
            places = others;
        }
        Ok(())
    }

    /// The same for a call that sees all rows, in any order, whose argument has these values if it has one.
    fn take_all<D>(
        &mut self,
        number: usize,
        call: &AggregateCall,
        argument: Option<&Column>,
        places: &[usize],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        for (at, place) in places.iter().enumerate() {
            let group = self.groups.get_mut(*place);
            let Some(Result::Running(accumulator)) = group.and_then(|group| group.results.get_mut(number))
            else {
                continue;
            };
            match argument {
                None => accumulator.count(),
                Some(Column::Words(words)) => match words.get(at) {
                    Some(word) => {
                        accumulator.add_word(call, (words.kind, word), &context.env, context.budget)?
                    }
                    None => accumulator.add_null(call, &context.env, context.budget)?,
                },
                Some(Column::Any(values)) => {
                    if let Some(value) = values.get(at) {
                        accumulator.add_value(call, value, None, &context.env, context.budget)?;
                    }
                }
                Some(other) => {
                    accumulator.add_value(call, &other.get(at), None, &context.env, context.budget)?;
                }
            }
        }
        Ok(())
    }
}

/// Lets `call` see `row`, now or later.
async fn take<D: Database>(
    result: &mut Result,
    call: &AggregateCall,
    row: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    match result {
        Result::Running(accumulator) => add(accumulator, call, row, context).await,
        Result::Waiting(rows) => {
            let mut keys = Row::with_capacity(call.order.len());
            for key in &call.order {
                keys.push(context.eval(&key.expr, row).await?);
            }
            context.budget.charge(row_len(&keys) + row_len(row))?;
            rows.push((keys, row.clone()));
            Ok(())
        }
    }
}

/// Adds to `accumulator` what `call` makes of `row`.
pub(super) async fn add<D: Database>(
    accumulator: &mut Accumulator,
    call: &AggregateCall,
    row: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let mut has_asked = false;
    loop {
        match accumulator.add(call, row, &context.env, context.budget) {
            Err(error) if error.is_pending() => {
                has_asked = true;
                context.run_pending().await?;
            }
            done => {
                if has_asked {
                    context.env.memo.settle();
                }
                return done;
            }
        }
    }
}

async fn in_order<D: Database>(
    mut rows: Vec<(Row, Row)>,
    call: &AggregateCall,
    context: &mut Context<'_, D>,
) -> SqlResult<Accumulator> {
    rows.sort_by(|(a, _), (b, _)| {
        let keys = call.order.iter().zip(a.iter().zip(b));
        keys.map(|(key, (a, b))| order(a, b, key.descending, key.nulls_first))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    let mut accumulator = Accumulator::new(call);
    for (_, row) in &rows {
        add(&mut accumulator, call, row, context).await?;
    }
    Ok(accumulator)
}
