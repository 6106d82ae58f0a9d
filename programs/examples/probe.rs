//! Each function of the crate once or more, for tests: the arguments say which.

#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime};

use relix_program::{
    Bytes, Error, Json, Level, Result, entry, execute, fail, files, log, query, random, receive, result,
    send, sleep_until, step, time, wait_for, wait_for_until,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

entry!(probe);
entry!(without_arguments as "other");
entry!(repeated as "repeated");

fn probe(what: String) -> Result<Value> {
    match &*what {
        "types" => types(),
        "nulls" => nulls(),
        "rows" => rows(),
        "refused" => refused(),
        "ignored" => Ok(json!(execute("SELECT * FROM nothing", ()).is_err())),
        "unanswered" => {
            query("SELECT repeat('x', 1000000) FROM generate_series(1, 10)", ()).map(|_| Value::Null)
        }
        "panic" => panic!("nothing is left of {}", "\"t\""),
        "bounds" => Ok(json!(what.as_bytes()[what.len()])),
        "memory" => Ok(json!(vec![1u8; 1 << 30].len())),
        "fail" => {
            execute("INSERT INTO t VALUES (1)", ())?;
            fail("on purpose")
        }
        "result" => result(&"set").map(|()| Value::Null),
        "facts" => facts(),
        "files" => in_files(),
        "steps" => in_steps(),
        "changed" => changed(),
        "sleep" => sleep(),
        "messages" => messages(),
        "wait" => wait(),
        other => Err(format!("there is no {other}").into()),
    }
}

fn without_arguments() -> Result<(), String> {
    Err("the other one".into())
}

/// Values of many types, there and back.
fn types() -> Result<Value> {
    let whole = (true, i16::MIN, i32::MAX, i64::MIN, 0.1_f32, -1e300_f64);
    let back =
        query("SELECT $1::boolean, $2::smallint, $3::integer, $4::bigint, $5::real, $6::float8", whole)?;
    assert_eq!(back.only::<(bool, i16, i32, i64, f32, f64)>()?, whole);
    let text = "it's \"quoted\" \\ \n \u{1f980} $1";
    let bytes = Bytes((0..=255).collect());
    let document = json!({"a": [1, null, "b"]});
    let back = query(
        "SELECT $1::text AS a, $2::bytea AS b, $3::jsonb AS c, $4::numeric AS d, $5::text[] AS e, $6::bigint[] AS f,
                $7::date - 1 AS g, $8::timestamptz AS h",
        (
            text,
            &bytes,
            Json(document.clone()),
            "12.50",
            ["a,\"\\", ""],
            vec![Some(1_i64), None],
            "2026-03-01",
            SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        ),
    )?;
    let row = back.iter().next().ok_or("there is no row")?;
    assert_eq!((row.get::<String>("a")?, row.get::<Bytes>("b")?), (text.into(), bytes));
    assert_eq!(row.get::<Value>("c")?, document);
    let no_number: String = query("SELECT $1::float8 / 2", (f64::INFINITY,))?.only()?;
    let rest: Vec<Value> =
        ["d", "e", "f", "g", "h"].map(|name| row.get(name)).into_iter().collect::<Result<_>>()?;
    Ok(json!([no_number, rest]))
}

fn nulls() -> Result<Value> {
    let back = query(
        "SELECT $1::bigint AS a, $2::text AS b, $3::bytea[] AS c",
        (None::<i64>, None::<&str>, Some([None, Some(Bytes(vec![1]))])),
    )?;
    let (a, b, c) = back.only::<(Option<i64>, Option<String>, Vec<Option<Bytes>>)>()?;
    let wrong = back.only::<(i64, Option<String>, Value)>().err().map(|error| error.to_string());
    Ok(json!([a, b, c, wrong]))
}

fn rows() -> Result<Value> {
    #[derive(Deserialize, Serialize)]
    struct Named {
        name: String,
        id: i64,
    }
    let none: Option<i64> = query("SELECT a FROM t WHERE a < 0", ())?.first()?;
    let named: Vec<Named> =
        query("SELECT id, 'n' || id AS name FROM generate_series(1, 2) AS g (id)", ())?.read()?;
    let changed = execute("INSERT INTO t SELECT * FROM generate_series(1, $1)", (3,))?;
    let mixed: [&dyn relix_program::Parameter; 2] = [&1, &"x"];
    let returned: Vec<i64> =
        query("DELETE FROM t WHERE a > $1 AND $2 = 'x' RETURNING a", &mixed[..])?.read()?;
    Ok(json!([none, named, changed, returned]))
}

/// What a statement that is refused leaves of the transaction: nothing.
fn refused() -> Result<Value> {
    let states = ["SELECT * FROM nothing", "INSERT INTO t VALUES (1)"].map(|sql| {
        let error = execute(sql, ()).err().unwrap_or("nothing".into());
        (error.state().map(str::to_string), error.to_string())
    });
    Err(json!(states).to_string().into())
}

fn facts() -> Result<Value> {
    log(Level::Warn, format_args!("a line of the {}", "probe"));
    let now: f64 = query("SELECT extract(epoch FROM now())::float8", ())?.only()?;
    let since = time().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
    Ok(json!([(now - since.as_secs_f64()).abs() < 1.0, random() != random()]))
}

fn in_files() -> Result<Value> {
    const LEN: usize = (5 << 20) / 2;
    files::mkdir("/probe/deep")?;
    files::mkdir("/probe/deep")?;
    let long: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
    files::write("/probe/long", &long)?;
    assert!(files::read("/probe/long")? == long, "it is read as it was written");
    assert_eq!(files::read_at("/probe/long", 250, 3)?, [250, 0, 1]);
    assert_eq!(files::read_at("/probe/long", LEN as u64, 3)?, b"");
    // What is shorter leaves nothing of what was longer.
    files::write("/probe/long", "short")?;
    files::append("/probe/long", "er")?;
    files::write_at("/probe/long", 0, "S")?;
    files::append("/probe/empty", "")?;
    files::rename("/probe/long", "/probe/deep/text")?;
    files::remove("/probe/empty")?;
    let missing = files::read("/probe/long").err().map(|error| error.to_string());
    let full = files::remove("/probe/deep").err().map(|error| error.to_string());
    Ok(json!([files::read_text("/probe/deep/text")?, missing, full]))
}

/// The second step fails as long as the table has no hundredth row.
fn in_steps() -> Result<Value> {
    let a: i64 = step("a", || query("INSERT INTO t VALUES (1) RETURNING a", ())?.only());
    let b: String = step("b", || {
        execute("INSERT INTO t VALUES (2)", ())?;
        let there: i64 = query("SELECT count(*) FROM t WHERE a = 100", ())?.only()?;
        if there == 0 { Err(Error::from("not yet")) } else { Ok("later".into()) }
    });
    step("c", || Ok::<_, Error>(()));
    Ok(json!([a, b]))
}

fn changed() -> Result<Value> {
    let given = step("a", || execute("INSERT INTO sys.mailboxes (name) VALUES ('probe')", ()));
    step("b", || match receive::<Value>("probe") {
        Ok(None) => wait_for("probe"),
        other => other,
    });
    Ok(json!(given))
}

fn sleep() -> Result<Value> {
    let begun = step("begin", || Ok::<_, Error>(time()));
    let until = begun + Duration::from_secs(60);
    if time() < until {
        sleep_until(until);
    }
    Ok(json!(time().duration_since(begun).map_err(|error| error.to_string())?.as_secs()))
}

fn messages() -> Result<Value> {
    send("probe", &json!({"a": 1}))?;
    let first = receive::<Value>("probe")?.map(|message| message.body);
    Ok(json!([first, receive::<Value>("probe")?]))
}

/// For one that does not come.
fn wait() -> Result<Value> {
    let until = step("until", || Ok::<_, Error>(time() + Duration::from_secs(30)));
    if time() < until {
        wait_for_until("probe", until);
    }
    Ok(json!("in vain"))
}

/// What a function of SQL is: its arguments are a tuple.
fn repeated((words, times): (Vec<String>, Option<usize>)) -> Result<Option<Vec<String>>> {
    let Some(times) = times else { return Ok(None) };
    if times > 9 {
        return Err(format!("{times} times is too often").into());
    }
    Ok(Some(words.into_iter().map(|word| word.repeat(times)).collect()))
}
