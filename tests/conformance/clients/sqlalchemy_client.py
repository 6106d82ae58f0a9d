"""What an SQLAlchemy user expects of a cluster, by psycopg. Arguments: the SQL ports of its nodes."""

import datetime
import sys

from sqlalchemy import (
    BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text, TIMESTAMP, case, create_engine, delete,
    exc, func, insert, inspect, or_, select, text, update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or

metadata = MetaData()
kinds = Table(
    "kinds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("big", BigInteger),
    Column("real", Double),
    Column("word", Text),
    Column("flag", Boolean),
    Column("at", TIMESTAMP),
)
AT = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
ROWS = [
    {"id": 1, "big": 2**63 - 1, "real": 0.1, "word": "plain", "flag": True, "at": AT},
    {"id": 2, "big": -(2**63), "real": -1e300, "word": "日本 'x' %", "flag": False, "at": AT},
    {"id": 3, "big": None, "real": None, "word": None, "flag": None, "at": None},
]


def engine_at(port):
    # hstore would be looked up in pg_type.
    url = f"postgresql+psycopg://relix@127.0.0.1:{port}/relix"
    return create_engine(url, use_native_hstore=False)


def core(engine):
    with engine.begin() as connection:
        # checkfirst looks into pg_catalog.
        metadata.create_all(connection, checkfirst=False)
    with engine.begin() as connection:
        connection.execute(insert(kinds), ROWS)
    with engine.connect() as connection:
        seen = [dict(row) for row in connection.execute(select(kinds).order_by(kinds.c.id)).mappings()]
        assert seen == ROWS, seen
        some = select(kinds.c.id).where(or_(kinds.c.word.like("pl%"), kinds.c.word.is_(None)))
        assert connection.execute(some.order_by(kinds.c.id.desc())).scalars().all() == [3, 1]
        listed = select(func.count()).where(kinds.c.id.in_([1, 2, 99]), kinds.c.at == AT)
        assert connection.execute(listed).scalar_one() == 2
        size = case((kinds.c.big > 0, "positive"), else_="other").label("size")
        grouped = select(size, func.count()).group_by(size).order_by(size).select_from(kinds)
        assert [tuple(row) for row in connection.execute(grouped)] == [("other", 2), ("positive", 1)]


def changes(engine):
    with engine.begin() as connection:
        given = connection.execute(insert(kinds).values(id=4, word="four").returning(kinds.c.id, kinds.c.word))
        assert [tuple(row) for row in given] == [(4, "four")]
        changed = connection.execute(update(kinds).where(kinds.c.id > 2).values(real=kinds.c.id * 1.5))
        assert changed.rowcount == 2, changed.rowcount
        new = insert_or(kinds).values([{"id": 4, "word": "again"}, {"id": 5, "word": "five"}])
        new = new.on_conflict_do_update(index_elements=["id"], set_={"word": new.excluded.word})
        connection.execute(new)
        words = select(kinds.c.word).where(kinds.c.id >= 4).order_by(kinds.c.id)
        assert connection.execute(words).scalars().all() == ["again", "five"]
        assert connection.execute(delete(kinds).where(kinds.c.id >= 4)).rowcount == 2
    # Many rows at once, with what they were given: SQLAlchemy joins them into few statements.
    with engine.begin() as connection:
        many = [{"id": number, "word": f"word {number}"} for number in range(100, 1600)]
        ids = connection.execute(insert(kinds).returning(kinds.c.id, sort_by_parameter_order=True), many)
        assert ids.scalars().all() == list(range(100, 1600))


def transactions(engine, elsewhere):
    count = select(func.count()).select_from(kinds)
    with engine.connect() as connection:
        before = connection.execute(count).scalar_one()
        connection.execute(insert(kinds).values(id=50))
        connection.rollback()
        connection.execute(insert(kinds).values(id=51))
        within = connection.begin_nested()
        connection.execute(insert(kinds).values(id=52))
        within.rollback()
        connection.commit()
    with elsewhere.connect() as connection:
        assert connection.execute(count).scalar_one() == before + 1
        assert connection.execute(select(kinds.c.id).where(kinds.c.id.between(50, 59))).scalars().all() == [51]
    isolated = engine.execution_options(isolation_level="SERIALIZABLE")
    with isolated.connect() as connection:
        assert connection.execute(text("SELECT 1 + :n"), {"n": 2}).scalar_one() == 3
    automatic = engine.execution_options(isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection:
        connection.execute(insert(kinds).values(id=60))
    with elsewhere.connect() as connection:
        assert connection.execute(select(kinds.c.id).where(kinds.c.id == 60)).scalar_one() == 60


def error_states(engine):
    cases = [
        (insert(kinds).values(id=1), exc.IntegrityError, "23505"),
        (text("SELECT * FROM nowhere"), exc.ProgrammingError, "42P01"),
        (text("SELECT 1 / 0"), exc.DataError, "22012"),
    ]
    for statement, kind, state in cases:
        try:
            with engine.begin() as connection:
                connection.execute(statement)
        except kind as error:
            assert error.orig.sqlstate == state, error
        else:
            raise AssertionError(f"{statement} succeeded")


def many_rows(engine):
    # Not by yield_per: psycopg reads a part of the rows through DECLARE, which there is none of.
    with engine.connect() as connection:
        rows = connection.execute(select(kinds.c.id).where(kinds.c.id >= 100).order_by(kinds.c.id))
        assert [len(part) for part in rows.partitions(400)] == [400, 400, 400, 300]


def reflection(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA reflected"))
        connection.execute(text(
            "CREATE TABLE reflected.parents (id serial PRIMARY KEY, code varchar(5) UNIQUE NOT NULL, "
            "amount numeric(6, 2) CHECK (amount > 0))"
        ))
        connection.execute(text(
            "CREATE TABLE reflected.children (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "parent int REFERENCES reflected.parents (id) ON DELETE CASCADE, note text DEFAULT 'x')"
        ))
        connection.execute(text("CREATE INDEX children_note ON reflected.children (note, parent)"))
        connection.execute(text("CREATE VIEW reflected.codes AS SELECT code FROM reflected.parents"))
        connection.execute(text("CREATE SEQUENCE reflected.numbers"))
    found, schema = inspect(engine), "reflected"
    assert schema in found.get_schema_names() and "public" in found.get_schema_names()
    assert found.get_table_names(schema) == ["children", "parents"]
    assert found.get_view_names(schema) == ["codes"]
    assert "reflected.parents" in found.get_view_definition("codes", schema)
    assert set(found.get_sequence_names(schema)) == {"children_id_seq", "numbers", "parents_id_seq"}
    assert found.get_pk_constraint("parents", schema)["constrained_columns"] == ["id"]
    (unique,) = found.get_unique_constraints("parents", schema)
    assert (unique["name"], unique["column_names"]) == ("parents_code_key", ["code"])
    (check,) = found.get_check_constraints("parents", schema)
    assert (check["name"], check["sqltext"]) == ("parents_amount_check", "amount > 0")
    (key,) = found.get_foreign_keys("children", schema)
    assert (key["referred_schema"], key["referred_table"]) == (schema, "parents")
    assert (key["constrained_columns"], key["referred_columns"]) == (["parent"], ["id"])
    assert key["options"] == {"ondelete": "CASCADE"}
    (index,) = found.get_indexes("children", schema)
    assert (index["name"], index["column_names"], index["unique"]) == ("children_note", ["note", "parent"], False)
    columns = {column["name"]: column for column in found.get_columns("children", schema)}
    assert columns["id"]["identity"]["always"] and columns["note"]["default"] == "'x'::text"
    code = found.get_columns("parents", schema)[1]
    assert (code["type"].length, code["nullable"]) == (5, False)
    reflected = MetaData()
    reflected.reflect(engine, schema=schema, views=True)
    assert set(reflected.tables) == {"reflected.children", "reflected.codes", "reflected.parents"}
    children, parents = reflected.tables["reflected.children"], reflected.tables["reflected.parents"]
    with engine.begin() as connection:
        connection.execute(insert(parents).values(code="a", amount=1))
        connection.execute(insert(children).values(parent=1))
        assert connection.execute(select(children.c.note).join(parents)).scalars().all() == ["x"]
    # Apart, as sequences that a transaction has used are changed outside of it.
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA reflected CASCADE"))


def main(ports):
    engine, elsewhere = engine_at(ports[0]), engine_at(ports[1])
    steps = [
        ("create, insert, select", lambda: core(engine)),
        ("update, upsert, delete, RETURNING", lambda: changes(engine)),
        ("transactions", lambda: transactions(engine, elsewhere)),
        ("errors carry their SQLSTATE", lambda: error_states(engine)),
        ("reflection", lambda: reflection(engine)),
        ("many rows", lambda: many_rows(engine)),
    ]
    for name, step in steps:
        step()
        print(f"{name}: as expected", flush=True)
    engine.dispose()
    elsewhere.dispose()
    print("all expectations hold")


main([int(port) for port in sys.argv[1:]])
