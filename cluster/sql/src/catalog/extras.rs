//! What came to be said of tables, views and sequences when their descriptors had a format already: it stands behind them, if
//! there is any of it, so that descriptors of before are read as they are.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Descriptor, TableDescriptor, Trigger, ViewDescriptor};

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deferral {
    /// At the end of each statement.
    #[default]
    No,
    /// So, unless a transaction wants it to wait.
    Immediate,
    /// At the end of the transaction, unless that wants it sooner.
    Deferred,
}

/// A part of what a descriptor describes, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The whole.
    Itself,
    /// A column.
    Column(u16),
    /// An index, or the constraint that it was declared as.
    Index(u16),
    /// A check.
    Check(u16),
    /// A foreign key.
    ForeignKey(u16),
    /// The primary key that rows are stored by.
    PrimaryKey,
    /// The constraint that an index was declared as.
    Constraint(u16),
    /// The index of the primary key that rows are stored by.
    KeyIndex,
}

/// What stands behind a descriptor.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Extras {
    deferrals: Vec<(Part, Deferral)>,
    comments: Vec<(Part, String)>,
}

/// The bytes of `descriptor`, behind `bytes`.
pub(super) fn encode(descriptor: &Descriptor, bytes: Vec<u8>) -> Vec<u8> {
    let bytes = cluster_format::encode_behind(bytes, descriptor);
    let comments = descriptor.comments().into_iter().map(|(part, comment)| (part, comment.clone())).collect();
    let extras = Extras { deferrals: descriptor.deferrals(), comments };
    let triggers = descriptor.triggers();
    if extras == Extras::default() && triggers.is_empty() {
        return bytes;
    }
    let bytes = cluster_format::encode_behind(bytes, &extras);
    if triggers.is_empty() { bytes } else { cluster_format::encode_behind(bytes, &triggers) }
}

/// The descriptor that all of `bytes` are.
pub(super) fn decode(bytes: &[u8]) -> Option<Descriptor> {
    let (mut descriptor, rest): (Descriptor, _) = cluster_format::decode_prefix(bytes).ok()?;
    if rest.is_empty() {
        return Some(descriptor);
    }
    let (extras, rest): (Extras, _) = cluster_format::decode_prefix(rest).ok()?;
    if !rest.is_empty() {
        // They came later still.
        let Descriptor::Table(table) = &mut descriptor else { return None };
        table.triggers = cluster_format::decode(rest).ok()?;
    }
    for (part, deferral) in extras.deferrals {
        *descriptor.deferral_mut(part)? = deferral;
    }
    for (part, comment) in extras.comments {
        *descriptor.comment_mut(part)? = Some(comment);
    }
    Some(descriptor)
}

/// The places of a list.
fn places<T>(list: &[T]) -> impl Iterator<Item = (u16, &T)> {
    list.iter().enumerate().filter_map(|(at, item)| Some((u16::try_from(at).ok()?, item)))
}

impl Descriptor {
    fn triggers(&self) -> &[Trigger] {
        if let Descriptor::Table(table) = self { &table.triggers } else { &[] }
    }

    fn deferrals(&self) -> Vec<(Part, Deferral)> {
        let Descriptor::Table(table) = self else { return Vec::new() };
        let keys = places(&table.foreign_keys).map(|(at, key)| (Part::ForeignKey(at), key.deferral));
        let indexes = places(&table.indexes).map(|(at, index)| (Part::Index(at), index.deferral));
        keys.chain(indexes).filter(|(_, deferral)| *deferral != Deferral::No).collect()
    }

    fn deferral_mut(&mut self, part: Part) -> Option<&mut Deferral> {
        match (self, part) {
            (Descriptor::Table(table), Part::ForeignKey(at)) => {
                table.foreign_keys.get_mut(usize::from(at)).map(|key| &mut key.deferral)
            }
            (Descriptor::Table(table), Part::Index(at)) => {
                table.indexes.get_mut(usize::from(at)).map(|index| &mut index.deferral)
            }
            _ => None,
        }
    }

    /// What is said of its parts.
    pub fn comments(&self) -> Vec<(Part, &String)> {
        match self {
            Descriptor::Table(table) => table.comments(),
            Descriptor::View(view) => view.comments(),
            Descriptor::Sequence(sequence) => {
                sequence.comment.iter().map(|comment| (Part::Itself, comment)).collect()
            }
            Descriptor::Routine(routine) => {
                routine.comment.iter().map(|comment| (Part::Itself, comment)).collect()
            }
            Descriptor::Index(_) | Descriptor::Schema => Vec::new(),
        }
    }

    /// Where it is kept what is said of a part; none if it has no such part.
    pub fn comment_mut(&mut self, part: Part) -> Option<&mut Option<String>> {
        let at = |at: u16| usize::from(at);
        Some(match (self, part) {
            (Descriptor::Table(table), part) => match part {
                Part::Itself => &mut table.comment,
                Part::Column(place) => &mut table.columns.get_mut(at(place))?.comment,
                Part::Index(place) => &mut table.indexes.get_mut(at(place))?.comment,
                Part::Constraint(place) => &mut table.indexes.get_mut(at(place))?.constraint_comment,
                Part::Check(place) => &mut table.checks.get_mut(at(place))?.comment,
                Part::ForeignKey(place) => &mut table.foreign_keys.get_mut(at(place))?.comment,
                Part::PrimaryKey => &mut table.key_comment,
                Part::KeyIndex => &mut table.key_index_comment,
            },
            (Descriptor::View(view), Part::Itself) => &mut view.comment,
            (Descriptor::View(view), Part::Column(place)) => {
                view.column_comments.resize(view.columns.len(), None);
                view.column_comments.get_mut(at(place))?
            }
            (Descriptor::Sequence(sequence), Part::Itself) => &mut sequence.comment,
            (Descriptor::Routine(routine), Part::Itself) => &mut routine.comment,
            _ => return None,
        })
    }
}

impl TableDescriptor {
    /// What is said of its parts.
    pub fn comments(&self) -> Vec<(Part, &String)> {
        let mut said = Vec::new();
        let mut add = |part, comment| said.extend(Option::as_ref(comment).map(|comment| (part, comment)));
        add(Part::Itself, &self.comment);
        for (at, column) in places(&self.columns).filter(|(_, column)| !column.dropped) {
            add(Part::Column(at), &column.comment);
        }
        for (at, index) in places(&self.indexes) {
            add(Part::Index(at), &index.comment);
            add(Part::Constraint(at), &index.constraint_comment);
        }
        places(&self.checks).for_each(|(at, check)| add(Part::Check(at), &check.comment));
        places(&self.foreign_keys).for_each(|(at, key)| add(Part::ForeignKey(at), &key.comment));
        add(Part::PrimaryKey, &self.key_comment);
        add(Part::KeyIndex, &self.key_index_comment);
        said
    }
}

impl ViewDescriptor {
    /// What is said of its parts.
    pub fn comments(&self) -> Vec<(Part, &String)> {
        let columns = places(&self.column_comments);
        let columns = columns.filter_map(|(at, comment)| Some((Part::Column(at), comment.as_ref()?)));
        self.comment.iter().map(|comment| (Part::Itself, comment)).chain(columns).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{SequenceDescriptor, ViewDescriptor};
    use crate::types::DataType;

    fn view() -> ViewDescriptor {
        let columns = [("a".into(), DataType::Int4), ("b".into(), DataType::Text)].into();
        ViewDescriptor {
            id: 7,
            columns,
            query: "SELECT 1".into(),
            comment: None,
            column_comments: Vec::new(),
        }
    }

    #[test]
    fn what_is_said_comes_back_and_nothing_takes_no_bytes() {
        let mut view = Descriptor::View(view());
        let plain = view.encode();
        assert_eq!(Descriptor::decode(&plain), Some(view.clone()));
        *view.comment_mut(Part::Column(1)).expect("the column") = Some("b's".into());
        *view.comment_mut(Part::Itself).expect("the view") = Some("a view".into());
        assert_eq!(Descriptor::decode(&view.encode()), Some(view.clone()));
        assert!(view.encode().starts_with(&plain), "readers of before know the beginning");
        assert_eq!(view.comments().len(), 2);
        assert!(view.comment_mut(Part::Column(2)).is_none() && view.comment_mut(Part::Check(0)).is_none());
        // What speaks of parts that are not there is no descriptor.
        let sequence = SequenceDescriptor {
            id: 1,
            data_type: DataType::Int8,
            start: 1,
            increment: 1,
            min: 1,
            max: 9,
            cycle: false,
            owner: None,
            comment: None,
        };
        let mut bytes = Descriptor::Sequence(sequence).encode();
        bytes = cluster_format::encode_behind(
            bytes,
            &Extras { deferrals: Vec::new(), comments: [(Part::Check(0), "x".into())].into() },
        );
        assert_eq!(Descriptor::decode(&bytes), None);
    }
}
