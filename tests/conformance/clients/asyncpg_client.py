"""What an asyncpg user expects of a cluster. Arguments: the SQL ports of its nodes."""

import asyncio
import datetime
import decimal
import io
import sys

import asyncpg
from asyncpg import exceptions


async def connect(port, **options):
    return await asyncpg.connect(
        host="127.0.0.1", port=port, user="relix", database="relix", timeout=10, **options
    )


async def fails_with(state, awaitable):
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        assert error.sqlstate == state, f"{error.sqlstate} instead of {state}: {error}"
    else:
        raise AssertionError(f"{state} was expected")


async def types(connection):
    await connection.execute(
        "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, real double precision, word text,"
        " flag bool, at timestamp)"
    )
    at = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
    rows = [
        (1, 2**63 - 1, 0.1, "plain", True, at),
        (2, -(2**63), -1e300, "日本 'quoted' \\ \n", False, datetime.datetime(1999, 12, 31)),
        (3, None, None, None, None, None),
    ]
    # Many of one statement: pipelined, in one transaction.
    await connection.executemany("INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6)", rows)
    seen = await connection.fetch("SELECT * FROM kinds ORDER BY id")
    assert [tuple(row) for row in seen] == rows, seen
    assert list(seen[0].keys()) == ["id", "big", "real", "word", "flag", "at"], seen[0].keys()
    for column, value in zip(["big", "real", "word", "flag", "at"], rows[0][1:]):
        found = await connection.fetchval(f"SELECT id FROM kinds WHERE {column} = $1", value)
        assert found == 1, (column, found)
    status = await connection.execute("UPDATE kinds SET word = $1 WHERE id >= $2", "new", 2)
    assert status == "UPDATE 2", status


async def prepared(connection):
    statement = await connection.prepare("SELECT word, big + $1 AS more FROM kinds WHERE id = $2")
    kinds = [kind.name for kind in statement.get_parameters()]
    assert kinds == ["int8", "int4"], kinds
    columns = [(column.name, column.type.name) for column in statement.get_attributes()]
    assert columns == [("word", "text"), ("more", "int8")], columns
    for _ in range(3):
        row = await statement.fetchrow(1, 2)
        assert tuple(row) == ("new", -(2**63) + 1), row
    assert await statement.fetchrow(1, 99) is None
    assert statement.get_statusmsg() == "SELECT 0", statement.get_statusmsg()


async def error_states(connection):
    await fails_with("42601", connection.execute("SELEC 1"))
    await fails_with("42P01", connection.fetch("SELECT * FROM nowhere"))
    await fails_with("23505", connection.execute("INSERT INTO kinds (id) VALUES ($1)", 1))
    await fails_with("22012", connection.fetch("SELECT 1 / $1::int", 0))
    try:
        await connection.fetch("SELECT missing FROM kinds")
    except exceptions.UndefinedColumnError as error:
        assert "missing" in str(error)
    # What cannot be sent is refused before it is sent, and the session goes on.
    try:
        await connection.fetch("SELECT $1::int", "text")
    except asyncpg.DataError:
        pass
    else:
        raise AssertionError("a text was sent as int")
    assert await connection.fetchval("SELECT 1") == 1


async def transactions(connection, elsewhere):
    count = "SELECT count(*) FROM kinds"
    before = await connection.fetchval(count)
    async with connection.transaction():
        await connection.execute("INSERT INTO kinds (id) VALUES (10)")
        # A transaction within: a savepoint.
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO kinds (id) VALUES (11)")
                raise KeyError
        except KeyError:
            pass
    assert await elsewhere.fetchval(count) == before + 1
    try:
        async with connection.transaction(isolation="serializable"):
            await connection.execute("INSERT INTO kinds (id) VALUES (12)")
            await connection.execute("SELECT 1 / 0")
    except exceptions.DivisionByZeroError:
        pass
    async with connection.transaction(readonly=True):
        await fails_with("25006", connection.execute("INSERT INTO kinds (id) VALUES (13)"))
    assert await elsewhere.fetchval(count) == before + 1


async def many_rows(connection):
    series = "SELECT n, n * 2 AS twice FROM generate_series(1, $1::int) AS n"
    rows = await connection.fetch(series, 20000)
    assert len(rows) == 20000 and rows[-1]["twice"] == 40000, rows[-1]
    # Through a portal, a few rows at a time.
    total = 0
    async with connection.transaction():
        async for row in connection.cursor(series, 1000, prefetch=70):
            total += row["n"]
        cursor = await connection.cursor(series, 10)
        assert len(await cursor.fetch(4)) == 4
        assert (await cursor.fetchrow())["n"] == 5
        # cursor.forward is MOVE, which there is none of.
    assert total == 500500, total


async def copy(connection, elsewhere):
    await connection.execute("CREATE TABLE copied (id int PRIMARY KEY, word text)")
    lines = "".join(f"{number}\tword {number}\n" for number in range(1000))
    status = await connection.copy_to_table("copied", source=io.BytesIO(lines.encode()))
    assert status == "COPY 1000", status
    out = io.BytesIO()
    status = await elsewhere.copy_from_query("SELECT * FROM copied WHERE id < 3", output=out, format="csv")
    assert (status, out.getvalue()) == ("COPY 3", b"0,word 0\n1,word 1\n2,word 2\n"), out.getvalue()
    bad = io.BytesIO(b"2000\tgood\nnot a number\tbad\n")
    await fails_with("22P02", connection.copy_to_table("copied", source=bad))
    assert await connection.fetchval("SELECT count(*) FROM copied") == 1000
    await copy_records(connection, elsewhere)


async def copy_records(connection, elsewhere):
    """Rows as bytes, in both directions."""
    await connection.execute(
        "CREATE TABLE records (id int PRIMARY KEY, at timestamptz, amount numeric, words text[], bytes bytea)"
    )
    at = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=datetime.timezone.utc)
    rows = [
        (number, at, decimal.Decimal(number) / 4, ["a", None], bytes([number % 256]) * 40)
        for number in range(3000)
    ]
    rows.append((3000, None, None, None, None))
    assert await connection.copy_records_to_table("records", records=rows) == "COPY 3001"
    assert [tuple(row) for row in await elsewhere.fetch("SELECT * FROM records ORDER BY id")] == rows
    out = io.BytesIO()
    status = await elsewhere.copy_from_table("records", output=out, format="binary")
    assert status == "COPY 3001", status
    await connection.execute("DELETE FROM records")
    again = await connection.copy_to_table("records", source=io.BytesIO(out.getvalue()), format="binary")
    assert again == "COPY 3001", again
    assert [tuple(row) for row in await elsewhere.fetch("SELECT * FROM records ORDER BY id")] == rows
    for bad in (b"no signature", out.getvalue()[:40], out.getvalue() + b"more"):
        await connection.execute("DELETE FROM records")
        await fails_with(
            "22P04", connection.copy_to_table("records", source=io.BytesIO(bad), format="binary")
        )
        assert await connection.fetchval("SELECT count(*) FROM records") == 0


async def cancel(connection):
    slow = "SELECT count(*) FROM generate_series(1, 10000000000) AS n"
    try:
        await connection.fetchval(slow, timeout=0.3)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("it was not cancelled")
    assert await connection.fetchval("SELECT 1") == 1


async def pool(port):
    async def reset(connection):
        # asyncpg's own wants CLOSE ALL, UNLISTEN and pg_advisory_unlock_all(), too, which there are none of.
        await connection.execute("RESET ALL")

    options = {"host": "127.0.0.1", "port": port, "user": "relix", "database": "relix"}
    async with asyncpg.create_pool(min_size=1, max_size=4, reset=reset, **options) as connections:

        async def one(number):
            return await connections.fetchval("SELECT $1::int * 2", number)

        # Each is given back, and reset, many times.
        assert await asyncio.gather(*map(one, range(40))) == [number * 2 for number in range(40)]


async def main(ports):
    connection, elsewhere = await connect(ports[0]), await connect(ports[1])
    steps = [
        ("six types and NULL", lambda: types(connection)),
        ("prepared statements", lambda: prepared(connection)),
        ("errors carry their SQLSTATE", lambda: error_states(connection)),
        ("transactions", lambda: transactions(connection, elsewhere)),
        ("many rows", lambda: many_rows(connection)),
        ("COPY", lambda: copy(connection, elsewhere)),
        ("cancel", lambda: cancel(connection)),
        ("a pool", lambda: pool(ports[2])),
    ]
    for name, step in steps:
        await step()
        print(f"{name}: as expected", flush=True)
    await connection.close()
    await elsewhere.close()
    print("all expectations hold")


async def in_time(ports):
    # A driver that waits for something that never comes says where.
    await asyncio.wait_for(main(ports), 60)


asyncio.run(in_time([int(port) for port in sys.argv[1:]]))
