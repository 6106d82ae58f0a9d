-- Programs: WebAssembly modules, and what each may do. A task runs the newest version unless it names one.

CREATE TABLE sys.programs (
    name text NOT NULL CHECK (name <> ''),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    module bytea NOT NULL,
    -- What it may ask for: sql, log, time, random, sleep.
    privileges text NOT NULL DEFAULT 'sql,log,time,random,sleep',
    -- Bytes of its memory, and units of work (about one for each instruction) of one run.
    memory_max bigint NOT NULL DEFAULT 16777216 CHECK (memory_max BETWEEN 65536 AND 1073741824),
    fuel_max bigint NOT NULL DEFAULT 10000000000 CHECK (fuel_max > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);

-- Statements are added at the end of this file, and none is changed: see cluster_sql::ServiceSchema.
-- `files` came later; programs that were there before do without.
ALTER TABLE sys.programs ALTER COLUMN privileges SET DEFAULT 'sql,log,time,random,sleep,files';
