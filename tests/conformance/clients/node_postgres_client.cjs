// What a user of node-postgres expects of a cluster. Arguments: the SQL ports of its nodes.

const assert = require("node:assert/strict");
const { once } = require("node:events");
const { pipeline } = require("node:stream/promises");
const { Client, Pool } = require("pg");
const { from: copyFrom, to: copyTo } = require("pg-copy-streams");
const QueryStream = require("pg-query-stream");

const settings = (port) => ({ host: "127.0.0.1", port, user: "relix", database: "relix", connectionTimeoutMillis: 10000 });

async function connect(port) {
  const client = new Client(settings(port));
  await client.connect();
  return client;
}

async function failsWith(state, client, ...query) {
  await assert.rejects(client.query(...query), (error) => {
    assert.equal(error.code, state, `${query[0]}: ${error}`);
    return true;
  });
}

async function types(client) {
  await client.query(
    "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, real double precision, word text, flag bool, at timestamp)",
  );
  // Parameters are text of no type: the server finds out which they have.
  const at = new Date(2024, 1, 29, 23, 59, 59, 123);
  const rows = [
    [1, "9223372036854775807", 0.1, "plain", true, at],
    [2, "-9223372036854775808", -1e300, "日本 'quoted' \\ \n", false, new Date(1999, 11, 31)],
    [3, null, null, null, null, null],
  ];
  for (const row of rows) {
    const done = await client.query("INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6)", row);
    assert.deepEqual([done.command, done.rowCount], ["INSERT", 1]);
  }
  const seen = await client.query({ text: "SELECT * FROM kinds ORDER BY id", rowMode: "array" });
  assert.deepEqual(seen.rows, rows);
  assert.deepEqual(seen.fields.map((field) => field.name), ["id", "big", "real", "word", "flag", "at"]);
  assert.deepEqual(seen.fields.map((field) => field.dataTypeID), [23, 20, 701, 25, 16, 1114]);
  for (const [column, value] of [["big", rows[0][1]], ["real", 0.1], ["word", "plain"], ["flag", true], ["at", at]]) {
    const found = await client.query(`SELECT id FROM kinds WHERE ${column} = $1`, [value]);
    assert.deepEqual(found.rows, [{ id: 1 }], column);
  }
}

async function prepared(client) {
  const query = { name: "more", text: "SELECT word, big + $1 AS more FROM kinds WHERE id = $2" };
  for (let time = 0; time < 3; time += 1) {
    const { rows } = await client.query({ ...query, values: [1, 2] });
    assert.deepEqual(rows, [{ word: "日本 'quoted' \\ \n", more: "-9223372036854775807" }]);
  }
  const binary = await client.query({ text: "SELECT id, flag FROM kinds WHERE id = $1", values: [1], binary: true });
  assert.deepEqual(binary.rows, [{ id: 1, flag: true }]);
  const several = await client.query("SELECT 1 AS one; SELECT 2 AS two, 3 AS three");
  assert.deepEqual(several.map((result) => result.rows), [[{ one: 1 }], [{ two: 2, three: 3 }]]);
}

async function errorStates(client) {
  await failsWith("42601", client, "SELEC 1");
  await failsWith("42P01", client, "SELECT * FROM nowhere");
  await failsWith("23505", client, "INSERT INTO kinds (id) VALUES ($1)", [1]);
  await failsWith("22P02", client, "SELECT $1::int", ["text"]);
  await failsWith("22012", client, "SELECT 1 / 0");
  assert.deepEqual((await client.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
}

async function transactions(client, elsewhere) {
  const count = async () => Number((await elsewhere.query("SELECT count(*) AS n FROM kinds")).rows[0].n);
  const before = await count();
  await client.query("BEGIN");
  await client.query("INSERT INTO kinds (id) VALUES (10)");
  await client.query("SAVEPOINT s");
  await failsWith("23505", client, "INSERT INTO kinds (id) VALUES (10)");
  await failsWith("25P02", client, "SELECT 1");
  await client.query("ROLLBACK TO SAVEPOINT s");
  await client.query("COMMIT");
  assert.equal(await count(), before + 1);
  await client.query("BEGIN");
  await client.query("DELETE FROM kinds");
  await client.query("ROLLBACK");
  assert.equal(await count(), before + 1);
}

async function manyRows(client) {
  const series = "SELECT n, n * 2 AS twice FROM generate_series(1, $1::int) AS n";
  const { rows } = await client.query(series, [20000]);
  assert.equal(rows.length, 20000);
  assert.deepEqual(rows[19999], { n: 20000, twice: 40000 });
  // Through a portal, a few rows at a time.
  let total = 0;
  for await (const row of client.query(new QueryStream(series, [1000], { batchSize: 70 }))) total += row.n;
  assert.equal(total, 500500);
  // All are queued at once.
  const answers = await Promise.all([...Array(200).keys()].map((n) => client.query("SELECT $1::int AS n", [n])));
  assert.deepEqual(answers.map((answer) => answer.rows[0].n), [...Array(200).keys()]);
}

async function copy(client, elsewhere) {
  await client.query("CREATE TABLE copied (id int PRIMARY KEY, word text)");
  const stream = client.query(copyFrom("COPY copied FROM STDIN WITH (FORMAT csv)"));
  await pipeline([...Array(1000).keys()].map((id) => `${id},"word ""${id}"""\n`), stream);
  assert.equal(stream.rowCount, 1000);
  const parts = [];
  for await (const part of elsewhere.query(copyTo("COPY copied TO STDOUT"))) parts.push(part);
  assert.equal(Buffer.concat(parts).toString().split("\n").length, 1001);
  const bad = client.query(copyFrom("COPY copied FROM STDIN"));
  await assert.rejects(pipeline(["2000\tgood\n", "not a number\tbad\n"], bad), { code: "22P02" });
  assert.equal((await client.query("SELECT count(*) AS n FROM copied")).rows[0].n, "1000");
}

async function cancel(client, port) {
  const slow = client.query("SELECT count(*) FROM generate_series(1, 10000000000) AS n");
  const cancelled = assert.rejects(slow, { code: "57014" });
  setTimeout(() => {
    const other = new Client(settings(port));
    other.connection.once("connect", () => other.connection.cancel(client.processID, client.secretKey));
    other.connection.once("error", () => {});
    other.connection.connect(port, "127.0.0.1");
  }, 300);
  await cancelled;
  assert.deepEqual((await client.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
}

async function pool(port) {
  const connections = new Pool({ ...settings(port), max: 4 });
  const numbers = [...Array(40).keys()];
  const answers = await Promise.all(numbers.map((n) => connections.query("SELECT $1::int * 2 AS n", [n])));
  assert.deepEqual(answers.map((answer) => answer.rows[0].n), numbers.map((n) => n * 2));
  await connections.end();
}

async function main(ports) {
  const [client, elsewhere] = [await connect(ports[0]), await connect(ports[1])];
  const steps = [
    ["six types and NULL", () => types(client)],
    ["prepared statements", () => prepared(client)],
    ["errors carry their SQLSTATE", () => errorStates(client)],
    ["transactions", () => transactions(client, elsewhere)],
    ["many rows", () => manyRows(client)],
    ["COPY", () => copy(client, elsewhere)],
    ["cancel", () => cancel(client, ports[0])],
    ["a pool", () => pool(ports[2])],
  ];
  for (const [name, step] of steps) {
    await step();
    console.log(`${name}: as expected`);
  }
  const ended = once(client, "end");
  await client.end();
  await ended;
  await elsewhere.end();
  console.log("all expectations hold");
}

main(process.argv.slice(2).map(Number)).catch((error) => {
  console.error(error);
  process.exit(1);
});
