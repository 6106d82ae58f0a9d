//! The values of one column of a batch.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::WordKind;
use crate::key::{self, KeyOrder};
use crate::memo::write_comparable;
use crate::types::Datum;

/// In the place of a row's number: no row, so that all its values are NULL.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// The values of one column. How many they are, the batch knows.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// The same in all rows: constants, and NULL in columns that nobody looks at.
    Same(Datum),
    Words(Words),
    Texts(Texts),
    /// Values of any kind.
    Any(Vec<Datum>),
}

/// Values that are no more than a word each.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) kind: WordKind,
    /// Zero where there is none.
    pub(crate) values: Vec<i64>,
    pub(crate) nulls: Nulls,
}

/// Texts, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    /// Whether they are of `char(n)`: blanks at their ends mean nothing where they are compared.
    is_padded: bool,
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    nulls: Nulls,
}

/// Which values are NULL; empty as long as none is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nulls(Vec<bool>);

impl Nulls {
    /// Whether that at `at` is.
    #[inline]
    pub(crate) fn contain(&self, at: usize) -> bool {
        self.0.get(at).copied().unwrap_or(false)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says of the next one, that at `at`, whether it is.
    #[inline]
    fn push(&mut self, at: usize, is_null: bool) {
        if is_null {
            self.0.resize(at, false);
        }
        if is_null || !self.0.is_empty() {
            self.0.push(is_null);
        }
    }

    fn all(len: usize) -> Nulls {
        Nulls(vec![true; len])
    }
}

impl Words {
    pub(crate) fn new(kind: WordKind, capacity: usize) -> Words {
        Words { kind, values: Vec::with_capacity(capacity), nulls: Nulls::default() }
    }

    /// `len` times NULL.
    fn nulls(kind: WordKind, len: usize) -> Words {
        Words { kind, values: vec![0; len], nulls: if len == 0 { Nulls::default() } else { Nulls::all(len) } }
    }

    #[inline]
    pub(crate) fn push(&mut self, word: Option<i64>) {
        self.nulls.push(self.values.len(), word.is_none());
        self.values.push(word.unwrap_or(0));
    }

    /// The word at `at`; none for NULL.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<i64> {
        self.values.get(at).copied().filter(|_| !self.nulls.contain(at))
    }

    fn gather(&self, rows: &[u32]) -> Words {
        let mut gathered = Words::new(self.kind, rows.len());
        if self.nulls.is_empty() && !rows.contains(&NO_ROW) {
            let value = |row: &u32| self.values.get(*row as usize).copied().unwrap_or(0);
            gathered.values.extend(rows.iter().map(value));
        } else {
            rows.iter().for_each(|row| gathered.push(self.get(*row as usize)));
        }
        gathered
    }
}

impl Texts {
    pub(crate) fn new(is_padded: bool, capacity: usize) -> Texts {
        Texts { is_padded, text: String::new(), ends: Vec::with_capacity(capacity), nulls: Nulls::default() }
    }

    fn nulls(is_padded: bool, len: usize) -> Texts {
        let nulls = if len == 0 { Nulls::default() } else { Nulls::all(len) };
        Texts { is_padded, text: String::new(), ends: vec![0; len], nulls }
    }

    #[inline]
    pub(crate) fn push(&mut self, text: Option<&str>) {
        self.nulls.push(self.ends.len(), text.is_none());
        self.text.push_str(text.unwrap_or(""));
        self.ends.push(self.text.len());
    }

    /// Fills up the last one with blanks until it has `chars` characters.
    pub(crate) fn pad(&mut self, chars: usize) {
        let last = self.ends.len().saturating_sub(1);
        let missing = self.get(last).map_or(0, |text| chars.saturating_sub(text.chars().count()));
        self.text.extend(core::iter::repeat_n(' ', missing));
        if let Some(end) = self.ends.last_mut() {
            *end += missing;
        }
    }

    /// The text at `at`; none for NULL.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&str> {
        if self.nulls.contain(at) {
            return None;
        }
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(at)?)
    }

    /// Whether all their characters count.
    pub(crate) fn is_exact(&self) -> bool {
        !self.is_padded
    }

    fn gather(&self, rows: &[u32]) -> Texts {
        let mut gathered = Texts::new(self.is_padded, rows.len());
        rows.iter().for_each(|row| gathered.push(self.get(*row as usize)));
        gathered
    }

    fn datum(&self, at: usize) -> Datum {
        match self.get(at) {
            None => Datum::Null,
            Some(text) if self.is_padded => Datum::Bpchar(text.into()),
            Some(text) => Datum::Text(text.into()),
        }
    }
}

impl Column {
    /// Whether the value at `at` is NULL.
    #[inline]
    pub(crate) fn is_null(&self, at: usize) -> bool {
        match self {
            Column::Same(value) => value.is_null(),
            Column::Words(words) => words.nulls.contain(at),
            Column::Texts(texts) => texts.nulls.contain(at),
            Column::Any(values) => values.get(at).is_none_or(Datum::is_null),
        }
    }

    /// The value at `at`.
    pub(crate) fn get(&self, at: usize) -> Datum {
        match self {
            Column::Same(value) => value.clone(),
            Column::Words(words) => words.get(at).map_or(Datum::Null, |word| words.kind.datum(word)),
            Column::Texts(texts) => texts.datum(at),
            Column::Any(values) => values.get(at).cloned().unwrap_or(Datum::Null),
        }
    }

    /// The values of `rows`, NULL for [`NO_ROW`].
    pub(crate) fn gather(&self, rows: &[u32]) -> Column {
        match self {
            Column::Same(value) if value.is_null() || !rows.contains(&NO_ROW) => Column::Same(value.clone()),
            Column::Words(words) => Column::Words(words.gather(rows)),
            Column::Texts(texts) => Column::Texts(texts.gather(rows)),
            Column::Same(_) | Column::Any(_) => {
                let value = |row: &u32| if *row == NO_ROW { Datum::Null } else { self.get(*row as usize) };
                Column::Any(rows.iter().map(value).collect())
            }
        }
    }

    /// Keeps the values of `rows`, which ascend.
    pub(crate) fn keep(&mut self, rows: &[u32]) {
        match self {
            Column::Any(values) => {
                for (to, from) in rows.iter().enumerate() {
                    let value = values.get_mut(*from as usize);
                    let value = value.map(|value| core::mem::replace(value, Datum::Null));
                    if let (Some(slot), Some(value)) = (values.get_mut(to), value) {
                        *slot = value;
                    }
                }
                values.truncate(rows.len());
            }
            other => *other = other.gather(rows),
        }
    }

    /// Appends bytes that are equal for values that are the same: their keys.
    pub(crate) fn write_form(&self, at: usize, out: &mut Vec<u8>) {
        match self {
            Column::Same(value) => key::write(value, KeyOrder::Ascending, out),
            Column::Texts(texts) => key::write_text(texts.get(at), texts.is_padded, out),
            Column::Any(values) => {
                key::write(values.get(at).unwrap_or(&Datum::Null), KeyOrder::Ascending, out);
            }
            Column::Words(_) => key::write(&self.get(at), KeyOrder::Ascending, out),
        }
    }

    /// Appends bytes that are equal for values that compare equal; see [`write_comparable`].
    pub(crate) fn write_comparable(&self, at: usize, out: &mut Vec<u8>) {
        match self {
            Column::Texts(_) => self.write_form(at, out),
            Column::Any(values) => write_comparable(values.get(at).unwrap_or(&Datum::Null), out),
            other => write_comparable(&other.get(at), out),
        }
    }

    /// How the values at two places are ordered, neither being NULL.
    pub(crate) fn order(&self, at: usize, other: usize) -> Ordering {
        self.order_to(at, self, other)
    }

    /// How the value at `at` and that of another column come, neither being NULL, of kinds that are compared as they are.
    #[inline]
    pub(crate) fn order_to(&self, at: usize, other: &Column, other_at: usize) -> Ordering {
        match (self, other) {
            (Column::Same(own), Column::Same(other)) => own.order(other),
            (Column::Words(own), Column::Words(other)) if own.kind.compares_with(other.kind) => {
                own.get(at).cmp(&other.get(other_at))
            }
            (Column::Texts(own), Column::Texts(other)) if own.is_exact() && other.is_exact() => {
                own.get(at).map(str::as_bytes).cmp(&other.get(other_at).map(str::as_bytes))
            }
            (Column::Texts(own), Column::Texts(other)) if own.is_padded == other.is_padded => {
                own.get(at).map(trimmed).cmp(&other.get(other_at).map(trimmed))
            }
            (Column::Any(own), Column::Any(other)) => match (own.get(at), other.get(other_at)) {
                (Some(own), Some(other)) => own.order(other),
                _ => Ordering::Equal,
            },
            _ => self.get(at).order(&other.get(other_at)),
        }
    }

    /// About how many bytes of memory the value at `at` takes by itself.
    pub(crate) fn value_len(&self, at: usize) -> usize {
        match self {
            Column::Same(Datum::Null) => 0,
            Column::Same(value) => value.len_memory(),
            Column::Words(_) => size_of::<i64>(),
            Column::Texts(texts) => size_of::<usize>() + texts.get(at).map_or(0, str::len),
            Column::Any(values) => values.get(at).map_or(0, Datum::len_memory),
        }
    }

    /// The same of the longest of its `len` values.
    pub(crate) fn value_len_max(&self, len: usize) -> usize {
        match self {
            Column::Same(_) | Column::Words(_) => self.value_len(0),
            Column::Texts(_) | Column::Any(_) => (0..len).map(|at| self.value_len(at)).max().unwrap_or(0),
        }
    }

    /// About how many bytes of memory `len` values take.
    pub(crate) fn len_memory(&self) -> usize {
        let own = size_of::<Column>();
        own + match self {
            Column::Same(value) => value.len_memory(),
            Column::Words(words) => words.values.len() * size_of::<i64>() + words.nulls.0.len(),
            Column::Texts(texts) => {
                texts.text.len() + texts.ends.len() * size_of::<usize>() + texts.nulls.0.len()
            }
            Column::Any(values) => values.iter().map(Datum::len_memory).sum(),
        }
    }
}

/// Puts into `form` the bytes that are equal for rows of `columns` that are the same.
pub(crate) fn put_form<'a>(columns: impl IntoIterator<Item = &'a Column>, at: usize, form: &mut Vec<u8>) {
    form.clear();
    columns.into_iter().for_each(|column| column.write_form(at, form));
}

/// A column in the making.
#[derive(Clone, Debug)]
pub(crate) struct ColumnBuilder {
    len: usize,
    /// As long as there was nothing but NULL, that, if it is not known what will come.
    column: Column,
}

impl ColumnBuilder {
    /// For values of any kind: the first one that is not NULL tells.
    pub(crate) fn new() -> ColumnBuilder {
        ColumnBuilder { len: 0, column: Column::Same(Datum::Null) }
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        match &mut self.column {
            Column::Same(_) => {}
            Column::Words(words) => words.push(None),
            Column::Texts(texts) => texts.push(None),
            Column::Any(values) => values.push(Datum::Null),
        }
        self.len += 1;
    }

    /// The next value, which a word stands for.
    #[inline]
    pub(crate) fn push_word(&mut self, kind: WordKind, word: i64) {
        match &mut self.column {
            Column::Words(words) if words.kind == kind => {
                words.push(Some(word));
                self.len += 1;
            }
            Column::Same(_) => {
                self.column = Column::Words(Words::nulls(kind, self.len));
                self.push_word(kind, word);
            }
            _ => self.push_any(kind.datum(word)),
        }
    }

    /// The next value, a text; of `char(n)`, if that.
    #[inline]
    pub(crate) fn push_text(&mut self, text: &str, is_padded: bool) {
        match &mut self.column {
            Column::Texts(texts) if texts.is_padded == is_padded => {
                texts.push(Some(text));
                self.len += 1;
            }
            Column::Same(_) => {
                self.column = Column::Texts(Texts::nulls(is_padded, self.len));
                self.push_text(text, is_padded);
            }
            _ if is_padded => self.push_any(Datum::Bpchar(text.into())),
            _ => self.push_any(Datum::Text(text.into())),
        }
    }

    /// The next value.
    pub(crate) fn push(&mut self, value: Datum) {
        match (&value, super::word_of(&value)) {
            (Datum::Null, _) => self.push_null(),
            (_, Some((kind, word))) => self.push_word(kind, word),
            (Datum::Text(text), _) => self.push_text(text, false),
            (Datum::Bpchar(text), _) => self.push_text(text, true),
            _ => self.push_any(value),
        }
    }

    fn push_any(&mut self, value: Datum) {
        if !matches!(self.column, Column::Any(_)) {
            self.column = Column::Any((0..self.len).map(|at| self.column.get(at)).collect());
        }
        if let Column::Any(values) = &mut self.column {
            values.push(value);
        }
        self.len += 1;
    }

    /// The last value, of `char(n)`, filled up with blanks.
    pub(crate) fn pad(&mut self, chars: usize) {
        if let Column::Texts(texts) = &mut self.column {
            texts.pad(chars);
        }
    }

    /// All values of `column`, which are `len`, come next.
    pub(crate) fn append(&mut self, column: Column, len: usize) {
        match (&mut self.column, column) {
            (Column::Same(Datum::Null), Column::Same(Datum::Null)) => self.len += len,
            (Column::Same(Datum::Null), column) if self.len == 0 && !matches!(column, Column::Same(_)) => {
                self.column = column;
                self.len = len;
            }
            (Column::Words(own), Column::Words(other)) if own.kind == other.kind => {
                if own.nulls.is_empty() && other.nulls.is_empty() {
                    own.values.extend_from_slice(&other.values);
                } else {
                    (0..len).for_each(|at| own.push(other.get(at)));
                }
                self.len += len;
            }
            (Column::Any(own), Column::Any(mut other)) => {
                own.append(&mut other);
                self.len += len;
            }
            (Column::Texts(own), Column::Texts(other)) if own.is_padded == other.is_padded => {
                (0..len).for_each(|at| own.push(other.get(at)));
                self.len += len;
            }
            (_, column) => (0..len).for_each(|at| self.push(column.get(at))),
        }
    }

    pub(crate) fn finish(self) -> Column {
        self.column
    }
}

/// The characters of a padded text that count.
fn trimmed(text: &str) -> &[u8] {
    text.trim_end_matches(' ').as_bytes()
}
