-- Hooks: what becomes of a request from outside, POST /hooks/NAME. Its body is the arguments of a task. Statements are added at
-- the end of this file, and none is changed: see cluster_sql::ServiceSchema.

CREATE TABLE sys.hooks (
    name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 255 AND position('/' IN name) = 0),
    -- The task that each request makes: these columns are as in sys.tasks.
    program text NOT NULL,
    version integer,
    entry text NOT NULL DEFAULT 'run',
    queue text NOT NULL DEFAULT 'default' REFERENCES sys.queues,
    priority integer NOT NULL DEFAULT 0,
    tenant text NOT NULL DEFAULT '',
    attempts_max integer NOT NULL DEFAULT 3 CHECK (attempts_max > 0),
    backoff interval NOT NULL DEFAULT '1 s' CHECK (backoff BETWEEN '0' AND '1 day'),
    timeout interval NOT NULL DEFAULT '1 min' CHECK (timeout > '0' AND timeout <= '30 days')
);
