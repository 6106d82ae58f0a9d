//! Functions that look things up among what there is.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::snapshot::{Relation, RelationKind};
use super::value::{made, oid, text};
use super::{Catalog, PG_CATALOG, define, depend, description, routine, trigger, types};
use crate::catalog::Identity;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::SessionFacts;
use crate::function::{int, signatures, text as text_of};
use crate::types::{Array, DataType, Datum, Scalar};

fn number(datum: &Datum) -> u32 {
    u32::try_from(int(datum)).unwrap_or(0)
}

/// The relation that a name means here, with its schema or without.
fn relation_called<'a>(name: &str, facts: &SessionFacts, catalog: &'a Catalog) -> Option<&'a Relation> {
    let mut parts = define::parts_of_name(name)?;
    let (name, schema) = (parts.pop()?, parts.pop());
    match schema {
        Some(schema) => catalog.relation_called(&schema, &name),
        None => facts.path.searched.iter().find_map(|schema| catalog.relation_called(schema, &name)),
    }
}

fn is_visible(relation: &Relation, facts: &SessionFacts, catalog: &Catalog) -> bool {
    let first = facts.path.searched.iter().find_map(|schema| catalog.relation_called(schema, &relation.name));
    first.is_some_and(|first| first.oid == relation.oid)
}

/// The name of a relation: with its schema, unless it is found without.
fn name_here(relation: &Relation, facts: &SessionFacts, catalog: &Catalog) -> String {
    if is_visible(relation, facts, catalog) {
        return define::quote_ident(&relation.name);
    }
    define::full_name(relation)
}

/// `name::regclass`
pub(crate) fn relation_oid(name: &str, facts: &SessionFacts, catalog: &Catalog) -> SqlResult<Datum> {
    if let Some(number) = as_number(name) {
        return Ok(number);
    }
    match relation_called(name, facts, catalog) {
        Some(relation) => Ok(oid(relation.oid)),
        None => Err(crate::catalog::undefined_table(None, name)),
    }
}

/// `-` and numbers stand for themselves.
fn as_number(name: &str) -> Option<Datum> {
    match name {
        "-" => Some(oid(0)),
        name => name.parse().ok().map(Datum::Oid),
    }
}

/// The text of a `regclass`.
pub(crate) fn name_of_relation(number: u32, facts: &SessionFacts, catalog: &Catalog) -> String {
    match catalog.relation(number) {
        _ if number == 0 => "-".into(),
        Some(relation) => name_here(relation, facts, catalog),
        None => format!("{number}"),
    }
}

fn schema_number(name: &str, catalog: &Catalog) -> SqlResult<Datum> {
    if let Some(number) = as_number(name) {
        return Ok(number);
    }
    let parts = define::parts_of_name(name).unwrap_or_default();
    match catalog.schema_oid(parts.first().map_or("", String::as_str)) {
        0 => {
            let message = format!("schema \"{name}\" does not exist");
            Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message))
        }
        number => Ok(oid(number)),
    }
}

fn name_of_schema(number: u32, catalog: &Catalog) -> String {
    let found = catalog.schemas.iter().find(|schema| schema.oid == number);
    found.map_or_else(|| format!("{number}"), |schema| define::quote_ident(&schema.name))
}

fn type_called(name: &str) -> Option<u32> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    match name {
        "\"char\"" => Some(18),
        name => DataType::of_name(name.split('(').next().unwrap_or(name).trim()).map(DataType::oid),
    }
}

fn type_number(name: &str) -> SqlResult<Datum> {
    match as_number(name) {
        Some(number) => Ok(number),
        None => type_called(name).map(oid).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
        }),
    }
}

fn routine_number(name: &str, catalog: &Catalog) -> SqlResult<Datum> {
    if let Some(number) = as_number(name) {
        return Ok(number);
    }
    let plain = name.strip_prefix("pg_catalog.").unwrap_or(name);
    routine::called(plain, catalog).map(oid).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{name}\" does not exist"))
    })
}

fn name_of_routine(number: u32, catalog: &Catalog) -> String {
    match routine::name(number, catalog) {
        _ if number == 0 => "-".into(),
        Some(name) => name.into(),
        None => format!("{number}"),
    }
}

fn or_null(text: Option<String>) -> SqlResult<Datum> {
    Ok(text.map_or(Datum::Null, made))
}

fn index_definition(arguments: &[&Datum], catalog: &Catalog) -> SqlResult<Datum> {
    let Some(relation) = arguments.first().and_then(|argument| catalog.relation(number(argument))) else {
        return Ok(Datum::Null);
    };
    match arguments.get(1).map_or(0, |argument| int(argument)) {
        0 => or_null(define::of_index(relation)),
        column => or_null(usize::try_from(column).ok().and_then(|at| define::key_of_index(relation, at))),
    }
}

fn constraint_definition(arguments: &[&Datum], facts: &SessionFacts, catalog: &Catalog) -> SqlResult<Datum> {
    let wanted = arguments.first().map_or(0, |argument| number(argument));
    or_null(define::of_constraint(wanted, catalog, |relation| name_here(relation, facts, catalog)))
}

fn object_description(arguments: &[&Datum], catalog: &Catalog) -> Option<String> {
    let [object, class] = arguments else { return None };
    let class = super::table(PG_CATALOG, text_of(class))?.oid;
    description::of(Some(class), number(object), 0, catalog)
}

fn column_description(arguments: &[&Datum], catalog: &Catalog) -> Option<String> {
    let [object, Datum::Int4(column)] = arguments else { return None };
    description::of(Some(depend::CLASS), number(object), *column, catalog)
}

fn view_definition(relation: Option<&Relation>) -> SqlResult<Datum> {
    or_null(relation.and_then(|relation| match &relation.kind {
        RelationKind::View(view) => Some(format!(" {};", view.query.trim_end_matches(';'))),
        RelationKind::SystemView(view) => Some(format!(" {};", view.query)),
        _ => None,
    }))
}

fn serial_sequence(arguments: &[&Datum], facts: &SessionFacts, catalog: &Catalog) -> SqlResult<Datum> {
    let [table, column] = arguments else { return Ok(Datum::Null) };
    let (name, column) = (text_of(table), text_of(column));
    let relation =
        relation_called(name, facts, catalog).ok_or_else(|| crate::catalog::undefined_table(None, name))?;
    let RelationKind::Table(table) = &relation.kind else { return Ok(Datum::Null) };
    let Some((place, _)) = table.column(column) else {
        let message = format!("column \"{column}\" of relation \"{}\" does not exist", relation.name);
        return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
    };
    let counts_for = |other: &&Relation| match &other.kind {
        RelationKind::Sequence(sequence) => {
            let owner = sequence.owner.as_ref();
            other.schema == relation.schema
                && owner.is_some_and(|(table, at)| *table == relation.name && usize::from(*at) == place)
        }
        _ => false,
    };
    or_null(catalog.relations.iter().find(counts_for).map(define::full_name))
}

fn user_name(number: u32, catalog: &Catalog) -> SqlResult<Datum> {
    Ok(match number {
        super::cluster::OWNER => text(&catalog.user),
        super::cluster::DATABASE_OWNER => text("pg_database_owner"),
        other => made(format!("unknown (OID={other})")),
    })
}

fn schemas(implicit: bool, facts: &SessionFacts, catalog: &Catalog) -> Vec<String> {
    let all = if implicit { &facts.path.searched } else { &facts.path.listed };
    all.iter().filter(|schema| catalog.schema_oid(schema) != 0).cloned().collect()
}

fn names(names: Vec<String>) -> Datum {
    Datum::Array(alloc::boxed::Box::new(Array::new(
        Scalar::Name,
        names.into_iter().map(Datum::Text).collect(),
    )))
}

/// Whether a column may be written: an identity of a kind, for what draws pictures of tables.
fn is_updatable(number: u32, catalog: &Catalog) -> i32 {
    match catalog.relation(number).map(|relation| &relation.kind) {
        // Insert, update, delete.
        Some(RelationKind::Table(table)) => {
            debug_assert!(
                table.columns.iter().all(|column| column.identity == Identity::No || column.not_null)
            );
            28
        }
        _ => 0,
    }
}

/// `pg_get_expr`: a stored expression, with the names of sequences as they are found here.
fn expression(arguments: &[&Datum], facts: &SessionFacts, catalog: &Catalog) -> SqlResult<Datum> {
    let source = arguments.first().map_or("", |source| text_of(source));
    let sequence =
        define::sequence_of(source).and_then(|(schema, name)| catalog.relation_called(&schema, &name));
    Ok(match sequence {
        Some(sequence) => {
            let name = define::quote_literal(&name_here(sequence, facts, catalog));
            made(format!("nextval({name}::regclass)"))
        }
        None => text(source),
    })
}

signatures! { FUNCTIONS reads catalog:
    "pg_get_expr" (Text, Oid) Text, Strict, expression;
    "pg_get_expr" (Text, Oid, Bool) Text, Strict, expression;
    "to_regclass" (Text) Regclass, Strict, |a, s, c| Ok(a.first().and_then(|name| relation_called(text_of(name), s, c)).map_or(Datum::Null, |found| oid(found.oid)));
    "to_regtype" (Text) Regtype, Strict, |a, _, _| Ok(a.first().and_then(|name| type_called(text_of(name))).map_or(Datum::Null, oid));
    "to_regnamespace" (Text) Regnamespace, Strict, |a, _, c| Ok(a.first().and_then(|name| schema_number(text_of(name), c).ok()).unwrap_or(Datum::Null));
    "to_regproc" (Text) Regproc, Strict, |a, _, c| Ok(a.first().and_then(|name| routine_number(text_of(name), c).ok()).unwrap_or(Datum::Null));
    "regclass" (Text) Regclass, Strict, |a, s, c| relation_oid(a.first().map_or("", |name| text_of(name)), s, c);
    "regtype" (Text) Regtype, Strict, |a, _, _| type_number(a.first().map_or("", |name| text_of(name)));
    "regproc" (Text) Regproc, Strict, |a, _, c| routine_number(a.first().map_or("", |name| text_of(name)), c);
    "regnamespace" (Text) Regnamespace, Strict, |a, _, c| schema_number(a.first().map_or("", |name| text_of(name)), c);
    "regclassout" (Oid) Text, Strict, |a, s, c| Ok(made(name_of_relation(a.first().map_or(0, |a| number(a)), s, c)));
    "regtypeout" (Oid) Text, Strict, |a, _, _| Ok(made(types::format_type(a.first().map_or(0, |a| number(a)), None)));
    "regprocout" (Oid) Text, Strict, |a, _, c| Ok(made(name_of_routine(a.first().map_or(0, |a| number(a)), c)));
    "regnamespaceout" (Oid) Text, Strict, |a, _, c| Ok(made(name_of_schema(a.first().map_or(0, |a| number(a)), c)));
    "pg_get_indexdef" (Oid) Text, Strict, |a, _, c| index_definition(a, c);
    "pg_get_indexdef" (Oid, Int4, Bool) Text, Strict, |a, _, c| index_definition(a, c);
    "pg_get_constraintdef" (Oid) Text, Strict, constraint_definition;
    "pg_get_constraintdef" (Oid, Bool) Text, Strict, constraint_definition;
    "obj_description" (Oid) Text, Strict, |a, _, c| or_null(description::of(None, a.first().map_or(0, |a| number(a)), 0, c));
    "obj_description" (Oid, Name) Text, Strict, |a, _, c| or_null(object_description(a, c));
    "col_description" (Oid, Int4) Text, Strict, |a, _, c| or_null(column_description(a, c));
    "pg_get_viewdef" (Oid) Text, Strict, |a, _, c| view_definition(a.first().and_then(|a| c.relation(number(a))));
    "pg_get_viewdef" (Oid, Bool) Text, Strict, |a, _, c| view_definition(a.first().and_then(|a| c.relation(number(a))));
    "pg_get_viewdef" (Text) Text, Strict, |a, s, c| view_definition(a.first().and_then(|a| relation_called(text_of(a), s, c)));
    "pg_get_viewdef" (Text, Bool) Text, Strict, |a, s, c| view_definition(a.first().and_then(|a| relation_called(text_of(a), s, c)));
    "pg_get_function_result" (Oid) Text, Strict, |a, _, c| or_null(routine::result(a.first().map_or(0, |a| number(a)), c));
    "pg_get_function_arguments" (Oid) Text, Strict, |a, _, c| or_null(routine::arguments(a.first().map_or(0, |a| number(a)), true, c));
    "pg_get_function_identity_arguments" (Oid) Text, Strict, |a, _, c| or_null(routine::arguments(a.first().map_or(0, |a| number(a)), false, c));
    "pg_get_triggerdef" (Oid) Text, Strict, |a, _, c| or_null(trigger::definition(a.first().map_or(0, |a| number(a)), c));
    "pg_get_triggerdef" (Oid, Bool) Text, Strict, |a, _, c| or_null(trigger::definition(a.first().map_or(0, |a| number(a)), c));
    "pg_get_serial_sequence" (Text, Text) Text, Strict, serial_sequence;
    "pg_table_is_visible" (Oid) Bool, Strict, |a, s, c| Ok(a.first().and_then(|a| c.relation(number(a))).map_or(Datum::Null, |found| Datum::Bool(is_visible(found, s, c))));
    "pg_get_userbyid" (Oid) Name, Strict, |a, _, c| user_name(a.first().map_or(0, |a| number(a)), c);
    "current_schemas" (Bool) [Name], Strict, |a, s, c| Ok(names(schemas(matches!(a, [Datum::Bool(true)]), s, c)));
    "current_schema" () Name, Strict, |_, s, c| Ok(schemas(false, s, c).into_iter().next().map_or(Datum::Null, made));
    "pg_relation_is_updatable" (Oid, Bool) Int4, Strict, |a, _, c| Ok(Datum::Int4(is_updatable(a.first().map_or(0, |a| number(a)), c)));
}
