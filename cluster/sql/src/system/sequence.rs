//! Sequences.

use super::snapshot::RelationKind;
use super::value::{flag, oid};
use super::{Catalog, Rows};
use crate::types::Datum;

pub(super) fn sequences(catalog: &Catalog, rows: &mut Rows) {
    for relation in &catalog.relations {
        if let RelationKind::Sequence(sequence) = &relation.kind {
            rows.add([
                ("seqrelid", oid(relation.oid)),
                ("seqtypid", oid(sequence.data_type.oid())),
                ("seqstart", Datum::Int8(sequence.start)),
                ("seqincrement", Datum::Int8(sequence.increment)),
                ("seqmax", Datum::Int8(sequence.max)),
                ("seqmin", Datum::Int8(sequence.min)),
                ("seqcache", Datum::Int8(1)),
                ("seqcycle", flag(sequence.cycle)),
            ]);
        }
    }
}
