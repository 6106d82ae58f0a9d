-- Schedules: each tick of one puts a task into its queue, once, whoever leads then and however often nodes die.
--
-- A tick and the time of the next are one transaction, and a task of a tick has a key that its queue takes once. Statements
-- are added at the end of this file, and none is changed: see cluster_sql::ServiceSchema.

CREATE TABLE sys.schedules (
    name text PRIMARY KEY CHECK (name <> ''),
    -- [second] minute hour day-of-month month day-of-week, as the clock of the time zone shows them.
    cron text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    program text NOT NULL,
    version integer,
    entry text NOT NULL DEFAULT 'run',
    arguments jsonb,
    queue text NOT NULL DEFAULT 'default' REFERENCES sys.queues,
    priority integer NOT NULL DEFAULT 0,
    paused boolean NOT NULL DEFAULT false,
    -- Of ticks that have gone by while the cluster was down, the last so many are made up for.
    backfill integer NOT NULL DEFAULT 1 CHECK (backfill BETWEEN 1 AND 1000),
    -- Written by the system: the last tick, the next, and what of the above that is the next of.
    last_at timestamptz,
    next_at timestamptz,
    planned text,
    -- Why there is no next tick.
    error text
);
