//! Definitions as SQL.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Catalog;
use super::constraint::{self, Constraint};
use super::index;
use super::snapshot::{Relation, RelationKind};
use crate::catalog::{
    Column, ColumnDefault, Deferral, ForeignKey, Index, IndexConstraint, IndexKey, IndexValue, PUBLIC,
    ReferentialAction, TableDescriptor,
};
use crate::types::{DataType, Datum};
use crate::wire::{self, Style};

/// `name` as an identifier: in quotes if it needs them.
pub(crate) fn quote_ident(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain && !is_reserved(name) { name.into() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether SQL keeps the word for itself.
fn is_reserved(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "authorization",
        "between",
        "binary",
        "bigint",
        "bit",
        "boolean",
        "both",
        "case",
        "cast",
        "char",
        "character",
        "check",
        "coalesce",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "dec",
        "decimal",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "extract",
        "false",
        "fetch",
        "float",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "greatest",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "inout",
        "int",
        "integer",
        "intersect",
        "interval",
        "into",
        "is",
        "isnull",
        "join",
        "lateral",
        "leading",
        "least",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "national",
        "natural",
        "nchar",
        "none",
        "normalize",
        "not",
        "notnull",
        "null",
        "nullif",
        "numeric",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "out",
        "outer",
        "overlaps",
        "overlay",
        "placing",
        "position",
        "precision",
        "primary",
        "real",
        "references",
        "returning",
        "right",
        "row",
        "select",
        "session_user",
        "setof",
        "similar",
        "smallint",
        "some",
        "substring",
        "symmetric",
        "table",
        "tablesample",
        "then",
        "time",
        "timestamp",
        "to",
        "trailing",
        "treat",
        "trim",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "values",
        "varchar",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
        "xmlattributes",
        "xmlconcat",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlnamespaces",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "xmltable",
    ];
    RESERVED.binary_search(&name).is_ok() || name == "bigint" || name == "binary"
}

/// A text as a literal.
pub(super) fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of a relation, with its schema.
pub(super) fn full_name(relation: &Relation) -> String {
    format!("{}.{}", quote_ident(&relation.schema), quote_ident(&relation.name))
}

/// What a column holds by default; none if that is nothing.
pub(super) fn default(column: &Column) -> Option<String> {
    match &column.default {
        ColumnDefault::Value(Datum::Null) => None,
        ColumnDefault::Value(value) => Some(constant(value, column.data_type)),
        ColumnDefault::Now => Some("now()".into()),
        ColumnDefault::Expression(text) => Some(match sequence_of(text) {
            Some((schema, name)) => {
                let path = format!("{}.{}", quote_ident(&schema), quote_ident(&name));
                format!("nextval({}::regclass)", quote_literal(&path))
            }
            None => text.clone(),
        }),
    }
}

fn constant(value: &Datum, data_type: DataType) -> String {
    let mut text = String::new();
    wire::write_text(value, &Style::default(), &mut text);
    match value {
        Datum::Bool(value) => if *value { "true" } else { "false" }.into(),
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) | Datum::Numeric(_) if !text.starts_with('-') => {
            text
        }
        _ => format!("{}::{}", quote_literal(&text), data_type.name()),
    }
}

/// The schema and the name of the sequence that an expression takes its numbers from, if it does no more.
pub(super) fn sequence_of(expression: &str) -> Option<(String, String)> {
    let inner = expression.trim().strip_prefix("nextval(")?.strip_suffix(')')?;
    let cast = ["::regclass", "::REGCLASS"].into_iter().find_map(|cast| inner.strip_suffix(cast));
    let literal = cast.unwrap_or(inner).strip_prefix('\'')?.strip_suffix('\'')?;
    let parts = parts_of_name(&literal.replace("''", "'"))?;
    match <[String; 2]>::try_from(parts) {
        Ok([schema, name]) => Some((schema, name)),
        Err(mut parts) => Some((PUBLIC.into(), parts.pop()?)),
    }
}

/// The parts of a name between dots, folded unless they are in quotes.
pub(super) fn parts_of_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut chars = text.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' if chars.next_if_eq(&'"').is_some() => part.push('"'),
                    '"' => break,
                    other => part.push(other),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                part.extend(c.to_lowercase());
            }
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match chars.next() {
            None => return Some(parts),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

/// An expression in parentheses, unless it is in some already or needs none.
fn in_parentheses(expression: &str) -> String {
    let is_call = expression.ends_with(')')
        && expression.find('(').is_some_and(|at| {
            expression.chars().take(at).all(|c| c.is_alphanumeric() || c == '_')
                && encloses(expression.get(at..).unwrap_or_default())
        });
    if is_call { expression.into() } else { format!("({expression})") }
}

/// Whether the parenthesis that `text` begins with is closed at its end alone.
fn encloses(text: &str) -> bool {
    let (mut depth, mut quoted) = (0_usize, false);
    let last = text.chars().count().saturating_sub(1);
    text.chars().enumerate().all(|(at, c)| {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 0 || at == last
    })
}

fn names(table: &TableDescriptor, columns: &[u16]) -> String {
    let name = |column: &u16| table.columns.get(usize::from(*column)).map(|column| quote_ident(&column.name));
    columns.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

/// What a key of an index is written as.
fn index_key(table: &TableDescriptor, key: &IndexKey) -> String {
    match &key.value {
        IndexValue::Column(column) => names(table, &[*column]),
        IndexValue::Expression(text) => in_parentheses(text),
    }
}

/// One of the keys of an index, counted from 1.
pub(super) fn key_of_index(relation: &Relation, number: usize) -> Option<String> {
    let (table, found) = relation.index()?;
    let keys = index::keys(table, found);
    Some(index_key(table, keys.get(number.checked_sub(1)?)?))
}

/// `CREATE INDEX`
pub(super) fn of_index(relation: &Relation) -> Option<String> {
    let (table, found) = relation.index()?;
    let key = |key: &IndexKey| {
        let order = if key.descending { " DESC" } else { "" };
        let nulls = match (key.descending, key.nulls_first) {
            (false, true) => " NULLS FIRST",
            (true, false) => " NULLS LAST",
            _ => "",
        };
        format!("{}{order}{nulls}", index_key(table, key))
    };
    let keys: Vec<String> = index::keys(table, found).iter().map(key).collect();
    let unique =
        if found.is_none_or(|index| index.unique || index.deferral != Deferral::No) { "UNIQUE " } else { "" };
    let name = quote_ident(&relation.name);
    let on = format!("{}.{}", quote_ident(&table.schema), quote_ident(&table.name));
    let predicate = found.and_then(|index| index.predicate.as_ref());
    let filter = predicate.map_or(String::new(), |predicate| format!(" WHERE {}", in_parentheses(predicate)));
    Some(format!("CREATE {unique}INDEX {name} ON {on} USING btree ({}){filter}", keys.join(", ")))
}

fn action(event: &str, action: ReferentialAction) -> String {
    let what = match action {
        ReferentialAction::NoAction => return String::new(),
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    };
    format!(" ON {event} {what}")
}

fn foreign_key(
    table: &TableDescriptor,
    key: &ForeignKey,
    catalog: &Catalog,
    name_of: impl Fn(&Relation) -> String,
) -> String {
    let target = catalog.relation_called(&key.table.0, &key.table.1);
    let (name, referenced) = match target.map(|target| (target, &target.kind)) {
        Some((target, RelationKind::Table(table))) => (name_of(target), names(table, &key.referenced)),
        _ => (quote_ident(&key.table.1), String::new()),
    };
    let actions = [action("UPDATE", key.on_update), action("DELETE", key.on_delete)].concat();
    let (columns, waits) = (names(table, &key.columns), waits(key.deferral));
    format!("FOREIGN KEY ({columns}) REFERENCES {name}({referenced}){actions}{waits}")
}

const fn waits(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::No => "",
        Deferral::Immediate => " DEFERRABLE",
        Deferral::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    }
}

/// The constraint of this object id, as it stands behind `CONSTRAINT name`.
pub(super) fn of_constraint(
    wanted: u32,
    catalog: &Catalog,
    name_of: impl Fn(&Relation) -> String,
) -> Option<String> {
    for (relation, table) in catalog.stored_tables() {
        let mut constraints = constraint::of_table(table);
        let Some((_, found)) = constraints.find(|(name, _)| catalog.named(relation, name) == wanted) else {
            continue;
        };
        let of_index = |index: &Index| {
            let kind = match index.constraint {
                IndexConstraint::PrimaryKey => "PRIMARY KEY",
                _ => "UNIQUE",
            };
            format!("{kind} ({}){}", names(table, &index.columns()), waits(index.deferral))
        };
        return Some(match found {
            Constraint::Key => format!("PRIMARY KEY ({})", names(table, &table.primary_key)),
            Constraint::Index(index) => of_index(index),
            Constraint::Check(check) => format!("CHECK ({})", in_parentheses(&check.expression)),
            Constraint::ForeignKey(key) => foreign_key(table, key, catalog, name_of),
        });
    }
    None
}
