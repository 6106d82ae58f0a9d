//! What the session is, chance, and values looked at from outside.

use alloc::format;

use super::{signatures, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::SessionFacts;
use crate::types::Datum;

/// What `version()` and the parameter `server_version` say.
pub const SERVER_VERSION: &str = "15.0 (Relix 0.1.0)";

fn text(text: &str) -> SqlResult<Datum> {
    Ok(Datum::Text(text.into()))
}

/// Version 4: all bits by chance, but for those that say so.
fn random_uuid(session: &SessionFacts) -> SqlResult<Datum> {
    let number = u128::from(session.chance.next()) << 64 | u128::from(session.chance.next());
    let number = number & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    Ok(Datum::Uuid(number.to_be_bytes()))
}

fn random(session: &SessionFacts) -> SqlResult<Datum> {
    // As many bits as a float between 0 and 1 has.
    let bits = session.chance.next() >> 11;
    Ok(Datum::Float8(bits as f64 / (1u64 << 53) as f64))
}

fn set_seed(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    match arguments {
        [Datum::Float8(seed)] if (-1.0..=1.0).contains(seed) => {
            session.chance.seed(seed.to_bits());
            // Postgres's result is of type void: no text.
            text("")
        }
        [Datum::Float8(seed)] => {
            let message =
                format!("setseed parameter {} is out of allowed range [-1,1]", crate::wire::shortest(*seed));
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
        _ => Err(unexpected()),
    }
}

fn nulls(arguments: &[&Datum], null: bool) -> SqlResult<Datum> {
    let count = arguments.iter().filter(|argument| argument.is_null() == null).count();
    Ok(Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX)))
}

fn column_size(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    let mut bytes = alloc::vec::Vec::new();
    crate::wire::write_binary(value, &mut bytes);
    let header = usize::from(value.data_type().is_some_and(|data_type| data_type.wire_len() < 0));
    Ok(Datum::Int4(i32::try_from(bytes.len() + header).unwrap_or(i32::MAX)))
}

signatures! { FUNCTIONS:
    "current_database" () Name, Strict, |_, s| text(&s.database);
    "current_catalog" () Name, Strict, |_, s| text(&s.database);
    "current_user" () Name, Strict, |_, s| text(&s.user);
    "current_role" () Name, Strict, |_, s| text(&s.user);
    "session_user" () Name, Strict, |_, s| text(&s.user);
    "user" () Name, Strict, |_, s| text(&s.user);
    "pg_backend_pid" () Int4, Strict, |_, s| Ok(Datum::Int4(s.backend.cast_signed()));
    "version" () Text, Strict, |_, s| text(&format!("PostgreSQL {SERVER_VERSION}, cluster {}", s.cluster));
    "gen_random_uuid" () Uuid, Strict, |_, s| random_uuid(s);
    "random" () Float8, Strict, |_, s| random(s);
    "setseed" (Float8) Text, Strict, set_seed;
    "num_nulls" (Any) Int4, Variadic, |a, _| nulls(a, true);
    "num_nonnulls" (Any) Int4, Variadic, |a, _| nulls(a, false);
    "pg_column_size" (Any) Int4, Strict, |a, _| column_size(a);
}
