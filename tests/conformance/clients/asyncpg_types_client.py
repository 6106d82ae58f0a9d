"""What an asyncpg user expects: it sends and takes every type in binary. Arguments: the SQL ports of nodes.

Arrays are left to psycopg: asyncpg asks PostgreSQL's catalogue about them first."""

import asyncio
import datetime
import decimal
import sys
import uuid

import asyncpg

UTC = datetime.timezone.utc

# A type, and values as asyncpg gives and takes them.
VALUES = [
    ("bool", [True, False]),
    ("int2", [-32768, 0, 32767]),
    ("int4", [-(2**31), 2**31 - 1]),
    ("int8", [-(2**63), 2**63 - 1]),
    ("float4", [1.5, -0.25]),
    ("float8", [0.1, -1e300, float("inf")]),
    ("numeric", [decimal.Decimal("123456789012345678901234567890.123456789"), decimal.Decimal("-0.0010"), decimal.Decimal("NaN")]),
    ("numeric(10,2)", [decimal.Decimal("12.50")]),
    ("text", ["", "日本 'quoted' \\ \n"]),
    ("varchar(20)", ["varchar"]),
    ("char(4)", ["ab  "]),
    ("name", ["a_name"]),
    ("oid", [0, 4294967295]),
    ("bytea", [b"", b"\x00\xff\\"]),
    ("date", [datetime.date(2024, 2, 29), datetime.date(1, 1, 1)]),
    ("time", [datetime.time(23, 59, 59, 999999)]),
    ("timestamp", [datetime.datetime(2024, 2, 29, 12, 34, 56, 789012), datetime.datetime(1969, 12, 31)]),
    ("timestamptz", [datetime.datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=UTC)]),
    ("interval", [datetime.timedelta(days=3, seconds=5, microseconds=7), datetime.timedelta(days=-1)]),
    ("uuid", [uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("json", ['{"b": 1,  "a": 2}']),
    ("jsonb", ['{"a": 2, "b": [1, 2.50, null]}']),
]


def is_same(left, right):
    if isinstance(left, decimal.Decimal) and left.is_nan():
        return right.is_nan()
    return left == right


async def round_trips(connection):
    for name, values in VALUES:
        for value in [*values, None]:
            seen = await connection.fetchval(f"SELECT $1::{name}", value)
            assert is_same(value, seen), f"{name}: {value!r} became {seen!r}"


async def stored(connection):
    columns = ", ".join(f"c{at} {name}" for at, (name, _) in enumerate(VALUES))
    await connection.execute(f"CREATE TABLE every_type (id int PRIMARY KEY, {columns})")
    places = ", ".join(f"${at + 2}" for at in range(len(VALUES)))
    row = [values[0] for _, values in VALUES]
    insert = f"INSERT INTO every_type VALUES ($1, {places})"
    await connection.execute(insert, 1, *row)
    await connection.executemany(insert, [(2, *row), (3, *[None] * len(row))])
    seen = await connection.fetchrow("SELECT * FROM every_type WHERE id = 2")
    assert list(seen)[1:] == row, seen
    for at, (name, values) in enumerate(VALUES):
        if name == "json":
            continue
        found = await connection.fetchval(f"SELECT count(*) FROM every_type WHERE c{at} = $1", values[0])
        assert found == 2, f"{name}: {found} rows"
    await connection.execute("DROP TABLE every_type")


async def parameters(connection):
    assert await connection.fetchval("SELECT $1::jsonb -> 'a' ->> 0", '{"a": ["x"]}') == "x"
    assert await connection.fetchval("SELECT $1 || $2", "a", "b") == "ab"
    day = datetime.date(2024, 2, 28)
    assert await connection.fetchval("SELECT $1::date + $2::int", day, 2) == datetime.date(2024, 3, 1)
    assert await connection.fetchval("SELECT sum(x) FROM generate_series(1, 3) x") == 6
    assert await connection.fetchval("SELECT avg(x) FROM generate_series(1, 2) x") == decimal.Decimal("1.5")
    assert await connection.fetchval("SELECT extract(year FROM now()) > 2000")


async def main(port):
    connection = await asyncpg.connect(host="127.0.0.1", port=port, user="relix", database="relix")
    for name, step in [("round trips", round_trips), ("stored", stored), ("parameters", parameters)]:
        await step(connection)
        print(f"{name}: as expected")
    await connection.close()
    print("all expectations hold")


asyncio.run(main(int(sys.argv[1])))
