//! Indexes.

use alloc::string::String;
use alloc::vec::Vec;

use super::snapshot::{PG_CATALOG_OID, oid_of};
use super::value::{attnum, flag, made, oid, oids, small, smalls, text};
use super::{Catalog, Rows, cluster, types};
use crate::catalog::{Deferral, Index, IndexConstraint, IndexKey, IndexValue, TableDescriptor};
use crate::types::{DataType, Datum, Scalar};

/// The class of operators that values of a type are ordered by: by its place among the types.
const CLASSES: u32 = 10_000;

fn class_of(data_type: DataType) -> u32 {
    let at = data_type.scalar().and_then(|scalar| Scalar::ALL.iter().position(|known| *known == scalar));
    let at = at.map_or(u32::MAX, |at| u32::try_from(at).unwrap_or(u32::MAX));
    CLASSES + at.min(999)
}

pub(super) fn operator_classes(_: &Catalog, rows: &mut Rows) {
    for scalar in Scalar::ALL {
        let class = class_of(scalar.data_type());
        rows.add([
            ("oid", oid(class)),
            ("opcmethod", oid(cluster::BTREE)),
            ("opcname", made(alloc::format!("{}_ops", scalar.catalog_name()))),
            ("opcnamespace", oid(PG_CATALOG_OID)),
            ("opcowner", oid(cluster::OWNER)),
            ("opcfamily", oid(class)),
            ("opcintype", oid(scalar.oid())),
            ("opcdefault", flag(true)),
        ]);
    }
}

/// What an index is ordered by; without one, the primary key that rows are stored by.
pub(super) fn keys(table: &TableDescriptor, index: Option<&Index>) -> Vec<IndexKey> {
    let of_column = |column: &u16| IndexKey {
        value: IndexValue::Column(*column),
        data_type: table.columns.get(usize::from(*column)).map_or(DataType::Text, |known| known.data_type),
        descending: false,
        nulls_first: false,
    };
    index.map_or_else(|| table.primary_key.iter().map(of_column).collect(), |index| index.keys.clone())
}

pub(super) fn indexes(catalog: &Catalog, rows: &mut Rows) {
    for relation in &catalog.relations {
        let Some((table, index)) = relation.index() else { continue };
        let keys = keys(table, index);
        let is_primary = index.is_none_or(|index| index.constraint == IndexConstraint::PrimaryKey);
        let place = |key: &IndexKey| match key.value {
            IndexValue::Column(column) => attnum(column),
            IndexValue::Expression(_) => 0,
        };
        let option = |key: &IndexKey| i16::from(key.descending) | i16::from(key.nulls_first) << 1;
        let expressions: Vec<&str> = keys
            .iter()
            .filter_map(|key| match &key.value {
                IndexValue::Expression(text) => Some(text.as_str()),
                IndexValue::Column(_) => None,
            })
            .collect();
        let texts = |some: bool, value: String| if some { made(value) } else { Datum::Null };
        let predicate = index.and_then(|index| index.predicate.clone());
        let ready = flag(index.is_none_or(|index| index.is_ready()));
        rows.add([
            ("indexrelid", oid(relation.oid)),
            ("indrelid", oid(oid_of(table.id))),
            ("indnatts", small(keys.len())),
            ("indnkeyatts", small(keys.len())),
            (
                "indisunique",
                flag(is_primary || index.is_some_and(|index| index.unique || index.deferral != Deferral::No)),
            ),
            ("indisprimary", flag(is_primary)),
            ("indimmediate", flag(index.is_none_or(|index| index.deferral == Deferral::No))),
            ("indisvalid", ready.clone()),
            ("indisready", ready),
            ("indislive", flag(true)),
            ("indkey", smalls(keys.iter().map(place))),
            ("indcollation", oids(keys.iter().map(|key| types::collation(key.data_type)))),
            ("indclass", oids(keys.iter().map(|key| class_of(key.data_type)))),
            ("indoption", smalls(keys.iter().map(option))),
            ("indexprs", texts(!expressions.is_empty(), expressions.join(", "))),
            ("indpred", predicate.map_or(Datum::Null, |predicate| text(&predicate))),
        ]);
    }
}
