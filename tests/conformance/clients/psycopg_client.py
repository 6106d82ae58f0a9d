"""What a psycopg user expects of a cluster. Arguments: the SQL ports of its nodes."""

import datetime
import decimal
import sys
import threading
import time
import uuid

import psycopg
from psycopg import errors


def connect(port, **options):
    return psycopg.connect(
        f"host=127.0.0.1 port={port} user=relix dbname=relix connect_timeout=10", autocommit=True, **options
    )


def fails_with(state, connection, sql, parameters=None):
    try:
        connection.execute(sql, parameters)
    except psycopg.Error as error:
        assert error.sqlstate == state, f"{sql}: {error.sqlstate} instead of {state}: {error}"
    else:
        raise AssertionError(f"{sql} succeeded")


def types(connection):
    connection.execute(
        "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, real double precision, word text,"
        " flag bool, at timestamp)"
    )
    at = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
    rows = [
        (1, 2**63 - 1, 0.1, "plain", True, at),
        (2, -(2**63), -1e300, "日本 'quoted' \\ \n", False, datetime.datetime(1999, 12, 31)),
        (3, None, None, None, None, None),
    ]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO kinds VALUES (%s, %s, %s, %s, %s, %s)", rows)
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            seen = cursor.execute("SELECT * FROM kinds ORDER BY id").fetchall()
            assert seen == rows, f"binary={binary}: {seen}"
            names = [column.name for column in cursor.description]
            assert names == ["id", "big", "real", "word", "flag", "at"], names
            one = cursor.execute("SELECT word FROM kinds WHERE id = %b", (1,)).fetchone()
            assert one == ("plain",), one


def arrays(connection):
    day = datetime.date(2024, 2, 29)
    values = [
        ("int4[]", [1, None, -3]),
        ("int8[]", [2**40]),
        ("text[]", ["a", 'b "c"', "", None, "{}"]),
        ("numeric[]", [decimal.Decimal("1.50"), decimal.Decimal("-2")]),
        ("date[]", [day, None]),
        ("float8[]", [0.1]),
        ("bool[]", [True, False]),
        ("uuid[]", [uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
        ("bytea[]", [b"\\x", b"\x00"]),
        ("int4[]", []),
    ]
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            for name, value in values:
                seen = cursor.execute(f"SELECT %b::{name}", (value,)).fetchone()[0]
                assert seen == value, f"{name}, binary={binary}: {value!r} became {seen!r}"
            query = "SELECT id FROM generate_series(1, 10) AS t(id) WHERE id = ANY(%s) ORDER BY id"
            assert cursor.execute(query, ([2, 3, 99],)).fetchall() == [(2,), (3,)]


def error_states(connection):
    fails_with("42601", connection, "SELEC 1")
    fails_with("42P01", connection, "SELECT * FROM nowhere")
    fails_with("23505", connection, "INSERT INTO kinds (id) VALUES (%s)", (1,))
    fails_with("22012", connection, "SELECT 1 / 0")
    try:
        connection.execute("SELECT missing FROM kinds")
    except errors.UndefinedColumn as error:
        assert "missing" in str(error)


def transactions(ports):
    with psycopg.connect(f"host=127.0.0.1 port={ports[0]} user=relix dbname=relix") as connection:
        connection.execute("INSERT INTO kinds (id, word) VALUES (10, 'kept')")
    with psycopg.connect(f"host=127.0.0.1 port={ports[1]} user=relix dbname=relix") as connection:
        connection.execute("INSERT INTO kinds (id, word) VALUES (11, 'dropped')")
        connection.rollback()
        seen = connection.execute("SELECT id FROM kinds WHERE id >= 10").fetchall()
        assert seen == [(10,)], seen


def conflicts(ports):
    """Two transactions read and write the same row: the second to commit is told to run again."""
    with connect(ports[0]) as first, connect(ports[1]) as second:
        for connection in (first, second):
            connection.execute("BEGIN")
            connection.execute("SELECT big FROM kinds WHERE id = 1").fetchone()
        first.execute("UPDATE kinds SET big = 1 WHERE id = 1")
        second.execute("UPDATE kinds SET big = 2 WHERE id = 1")
        first.execute("COMMIT")
        fails_with("40001", second, "COMMIT")
        assert second.execute("SELECT big FROM kinds WHERE id = 1").fetchone() == (1,)


def copy(connection, elsewhere):
    connection.execute("CREATE TABLE copied (id int PRIMARY KEY, word text, amount double precision)")
    with connection.cursor() as cursor:
        with cursor.copy("COPY copied (id, word, amount) FROM STDIN") as copied:
            for number in range(1000):
                word = None if number % 10 == 0 else f"tab\t and line\n {number}"
                copied.write_row((number, word, number / 4))
        assert cursor.rowcount == 1000, cursor.rowcount
    row = elsewhere.execute("SELECT word, amount FROM copied WHERE id = 7").fetchone()
    assert row == ("tab\t and line\n 7", 1.75), row
    nulls = elsewhere.execute("SELECT count(*) FROM copied WHERE word IS NULL").fetchone()
    assert nulls == (100,), nulls
    with connection.cursor() as cursor:
        with cursor.copy("COPY copied FROM STDIN (FORMAT binary)") as copied:
            copied.set_types(["int4", "text", "float8"])
            for number in range(1000, 2000):
                copied.write_row((number, None if number % 10 == 0 else f"word {number}", number / 4))
        assert cursor.rowcount == 1000, cursor.rowcount
        with cursor.copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT binary)") as copied:
            copied.set_types(["int4", "text", "float8"])
            rows = list(copied.rows())
    assert len(rows) == 2000 and rows[1000:1002] == [(1000, None, 250.0), (1001, "word 1001", 250.25)], rows[1000:1002]


def cancel(connection):
    slow = "SELECT count(*) FROM generate_series(1, 10000000000) AS n"

    def later():
        time.sleep(0.3)
        connection.cancel()

    thread = threading.Thread(target=later)
    thread.start()
    fails_with("57014", connection, slow)
    thread.join()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def pipelines(connection):
    """Many statements are sent before the first is answered; what fails takes the rest of its pipeline with it."""
    connection.execute("CREATE TABLE piped (id int PRIMARY KEY, word text)")
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int * 2", (number,)) for number in range(100)]
        assert [cursor.fetchone() for cursor in cursors] == [(number * 2,) for number in range(100)]
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO piped VALUES (%s, %s)", [(id, f"word {id}") for id in range(500)])
    try:
        with connection.pipeline() as pipeline:
            connection.execute("INSERT INTO piped VALUES (1000, 'lost')")
            connection.execute("INSERT INTO piped VALUES (1, 'there is one')")
            connection.execute("INSERT INTO piped VALUES (1001, 'never run')")
            pipeline.sync()
    except errors.UniqueViolation:
        pass
    else:
        raise AssertionError("a key was given twice")
    assert connection.execute("SELECT count(*), max(id) FROM piped").fetchone() == (500, 499)


def prepared(connection):
    for number in range(20):
        row = connection.execute("SELECT word FROM piped WHERE id = %s", (number,), prepare=True).fetchone()
        assert row == (f"word {number}",), row
    with connection.cursor() as cursor:
        streamed = list(cursor.stream("SELECT id FROM piped WHERE id < %s ORDER BY id", (300,)))
        assert streamed == [(id,) for id in range(300)], len(streamed)


def notifications(connection, elsewhere):
    """What is said at one node is heard at another, by a client that only waits."""
    with connect(elsewhere) as listener:
        listener.execute("LISTEN spoken")
        with connection.transaction():
            connection.execute("NOTIFY spoken, 'one'")
            connection.execute("SELECT pg_notify('spoken', %s)", ("zwei €",))
        heard = [(one.channel, one.payload) for one in listener.notifies(timeout=60, stop_after=2)]
        assert heard == [("spoken", "one"), ("spoken", "zwei €")], heard
        listener.execute("UNLISTEN *")
        connection.execute("NOTIFY spoken")
        assert list(listener.notifies(timeout=0.2)) == []


def main(ports):
    with connect(ports[0]) as connection, connect(ports[1]) as elsewhere:
        steps = [
            ("six types and NULL, text and binary", lambda: types(connection)),
            ("arrays, text and binary", lambda: arrays(connection)),
            ("errors carry their SQLSTATE", lambda: error_states(connection)),
            ("transactions", lambda: transactions(ports)),
            ("conflicts", lambda: conflicts(ports)),
            ("COPY", lambda: copy(connection, elsewhere)),
            ("pipelines", lambda: pipelines(connection)),
            ("prepared statements, and rows one by one", lambda: prepared(connection)),
            ("notifications", lambda: notifications(connection, ports[1])),
            ("cancel", lambda: cancel(connection)),
        ]
        for name, step in steps:
            step()
            print(f"{name}: as expected")
    print("all expectations hold")


main([int(port) for port in sys.argv[1:]])
