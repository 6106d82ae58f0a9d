-- Steps: what tasks have done so far whose programs do not fit one transaction.
--
-- A step is recorded in the transaction that does it, so that it is done once: a task that is begun again finds here what its
-- steps gave. Statements are added at the end of this file, and none is changed: see cluster_sql::ServiceSchema.

CREATE TABLE sys.steps (
    task bigint REFERENCES sys.tasks ON DELETE CASCADE,
    name text,
    result text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task, name)
);
