//! What clients ask of a server before they begin, and around its catalogues.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{int, signatures, text};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::SessionFacts;
use crate::notify::By;
use crate::session::{AskedSetting, Settings};
use crate::system::format_type;
use crate::types::Datum;

fn made(text: &str) -> SqlResult<Datum> {
    Ok(Datum::Text(text.into()))
}

fn yes() -> SqlResult<Datum> {
    Ok(Datum::Bool(true))
}

/// `current_setting(name, missing_ok)`
fn current_setting(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let name = arguments.first().map_or("", |name| text(name));
    match session.settings.show(name) {
        Ok(value) => made(&value),
        Err(_) if matches!(arguments.get(1), Some(Datum::Bool(true))) => Ok(Datum::Null),
        Err(error) => Err(error),
    }
}

/// `set_config(name, value, is_local)`: done when the statement is through.
fn set_config(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [name, value, local] = arguments else { return Err(super::unexpected()) };
    let value = Settings::checked(text(name), text(value))?;
    session.asked_settings.lock().push(AskedSetting {
        name: text(name).into(),
        value: value.clone(),
        local: matches!(local, Datum::Bool(true)),
    });
    made(&value)
}

/// `pg_notify(channel, payload)`: told when the transaction has taken place.
fn notify(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [channel, payload] = arguments else { return Err(super::unexpected()) };
    session.told.lock().add(text(channel), text(payload), By::Function)?;
    made("")
}

/// `raise_exception(message [, sqlstate])`: the statement fails. What PL/pgSQL has a statement for.
fn raise(arguments: &[&Datum], _: &SessionFacts) -> SqlResult<Datum> {
    let message = arguments.first().map_or("", |message| text(message));
    let state = arguments.get(1).map_or(SqlState::RAISED.0, |state| text(state));
    match SqlState::RAISABLE.iter().find(|known| known.0 == state) {
        Some(state) => Err(SqlError::new(*state, message)),
        None => {
            let states: Vec<&str> = SqlState::RAISABLE.iter().map(|state| state.0).collect();
            let message = format!("\"{state}\" is not a state that an exception can be raised with");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                .hint(format!("There are {}.", states.join(", "))))
        }
    }
}

fn type_name(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [number, modifier] = arguments else { return Err(super::unexpected()) };
    if number.is_null() {
        return Ok(Datum::Null);
    }
    let number = u32::try_from(int(number)).unwrap_or(u32::MAX);
    let modifier = (!modifier.is_null()).then(|| i32::try_from(int(modifier)).unwrap_or(-1));
    made(&format_type(number, modifier))
}

/// A vector's text: its numbers with blanks between them.
fn vector(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Array(array)] = arguments else { return Err(super::unexpected()) };
    let numbers: Vec<String> = array.items.iter().map(|item| format!("{}", int(item))).collect();
    made(&numbers.join(" "))
}

/// A size as people write it.
fn pretty_size(bytes: i64) -> SqlResult<Datum> {
    let mut size = bytes;
    for unit in ["bytes", "kB", "MB", "GB", "TB"] {
        if size.unsigned_abs() < 10_240 || unit == "TB" {
            return made(&format!("{size} {unit}"));
        }
        size = if unit == "bytes" { size / 1024 } else { (size + 512) / 1024 };
    }
    made("")
}

signatures! { FUNCTIONS:
    "current_setting" (Text) Text, Strict, current_setting;
    "current_setting" (Text, Bool) Text, Strict, current_setting;
    "set_config" (Text, Text, Bool) Text, Strict, set_config;
    "pg_notify" (Text, Text) Text, Nullable, notify;
    "raise_exception" (Text) Text, Nullable, raise;
    "raise_exception" (Text, Text) Text, Nullable, raise;
    "format_type" (Oid, Int4) Text, Nullable, |a, _| type_name(a);
    "array_to_vector" (AnyArray) Text, Strict, |a, _| vector(a);
    "pg_type_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_function_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_operator_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_opclass_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_collation_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_statistics_obj_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_conversion_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_ts_config_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_ts_dict_is_visible" (Oid) Bool, Strict, |_, _| yes();
    "pg_is_in_recovery" () Bool, Strict, |_, _| Ok(Datum::Bool(false));
    "pg_advisory_unlock_all" () Text, Strict, |_, _| made("");
    "pg_encoding_to_char" (Int4) Name, Strict, |_, _| made("UTF8");
    "pg_char_to_encoding" (Name) Int4, Strict, |_, _| Ok(Datum::Int4(6));
    "pg_client_encoding" () Name, Strict, |_, _| made("UTF8");
    "pg_my_temp_schema" () Oid, Strict, |_, _| Ok(Datum::Oid(0));
    "pg_is_other_temp_schema" (Oid) Bool, Strict, |_, _| Ok(Datum::Bool(false));
    "shobj_description" (Oid, Name) Text, Nullable, |_, _| Ok(Datum::Null);
    "acldefault" (Text, Oid) [Text], Nullable, |_, _| Ok(Datum::Null);
    "has_table_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_table_privilege" (Text, Text) Bool, Strict, |_, _| yes();
    "has_table_privilege" (Name, Oid, Text) Bool, Strict, |_, _| yes();
    "has_table_privilege" (Name, Text, Text) Bool, Strict, |_, _| yes();
    "has_any_column_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_column_privilege" (Oid, Int2, Text) Bool, Strict, |_, _| yes();
    "has_column_privilege" (Oid, Text, Text) Bool, Strict, |_, _| yes();
    "has_column_privilege" (Text, Text, Text) Bool, Strict, |_, _| yes();
    "has_schema_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_schema_privilege" (Text, Text) Bool, Strict, |_, _| yes();
    "has_schema_privilege" (Name, Text, Text) Bool, Strict, |_, _| yes();
    "has_schema_privilege" (Name, Oid, Text) Bool, Strict, |_, _| yes();
    "has_sequence_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_sequence_privilege" (Text, Text) Bool, Strict, |_, _| yes();
    "has_database_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_database_privilege" (Text, Text) Bool, Strict, |_, _| yes();
    "has_database_privilege" (Name, Text, Text) Bool, Strict, |_, _| yes();
    "has_function_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_type_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "has_tablespace_privilege" (Oid, Text) Bool, Strict, |_, _| yes();
    "pg_has_role" (Oid, Text) Bool, Strict, |_, _| yes();
    "pg_has_role" (Name, Oid, Text) Bool, Strict, |_, _| yes();
    "pg_has_role" (Name, Text) Bool, Strict, |_, _| yes();
    "pg_relation_size" (Oid) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_total_relation_size" (Oid) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_table_size" (Oid) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_indexes_size" (Oid) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_database_size" (Oid) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_database_size" (Name) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_tablespace_size" (Oid) Int8, Strict, |_, _| Ok(Datum::Int8(0));
    "pg_size_pretty" (Int8) Text, Strict, |a, _| pretty_size(a.first().map_or(0, |size| int(size)));
    "pg_relation_filenode" (Oid) Oid, Strict, |a, _| Ok(a.first().map_or(Datum::Null, |id| (*id).clone()));
    "pg_relation_is_publishable" (Oid) Bool, Strict, |_, _| Ok(Datum::Bool(false));
    "pg_get_functiondef" (Oid) Text, Strict, |_, _| Ok(Datum::Null);
    "pg_get_function_sqlbody" (Oid) Text, Strict, |_, _| Ok(Datum::Null);
    "pg_get_ruledef" (Oid) Text, Strict, |_, _| Ok(Datum::Null);
    "pg_get_ruledef" (Oid, Bool) Text, Strict, |_, _| Ok(Datum::Null);
    "pg_get_partkeydef" (Oid) Text, Strict, |_, _| Ok(Datum::Null);
    "pg_get_statisticsobjdef_columns" (Oid) Text, Strict, |_, _| Ok(Datum::Null);
    "pg_column_is_updatable" (Oid, Int2, Bool) Bool, Strict, |_, _| yes();
    "getdatabaseencoding" () Name, Strict, |_, _| made("UTF8");
    "pg_tablespace_location" (Oid) Text, Strict, |_, _| made("");
    "inet_server_addr" () Text, Strict, |_, _| Ok(Datum::Null);
    "inet_server_port" () Int4, Strict, |_, _| Ok(Datum::Null);
}
