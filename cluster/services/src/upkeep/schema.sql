-- What the cluster does of itself: who is to lead, and what is thrown away when it is old. All of it can be changed, by UPDATE,
-- and paused. Statements are added at the end of this file, and none is changed: see cluster_sql::ServiceSchema.

-- Who is not to have a role as long as others can: a query, whose first column is nodes.
CREATE TABLE sys.placements (
    role text PRIMARY KEY CHECK (role IN ('leader')),
    query text NOT NULL,
    description text NOT NULL DEFAULT ''
);

-- Among the nodes that are up, one of the greatest leads.
ALTER TABLE sys.workers ADD COLUMN leader_preference integer NOT NULL DEFAULT 0;

INSERT INTO sys.placements (role, description, query) VALUES
('leader', 'not those that drain, nor those that are less preferred than another that is up', '
SELECT w.node FROM sys.workers w
WHERE w.draining OR w.leader_preference < (SELECT max(o.leader_preference) FROM sys.workers o
                                           WHERE o.state = ''up'' AND NOT o.draining)');

-- How long tasks of a queue are kept that have ended; those of others are kept for ever. It is not in the queue's own row, which
-- changes whenever tasks are given out.
CREATE TABLE sys.retention (
    queue text PRIMARY KEY,
    kept interval NOT NULL CHECK (kept BETWEEN '0' AND '36500 days')
);

CREATE INDEX tasks_ended ON sys.tasks (queue, ended_at) WHERE ended_at IS NOT NULL;

-- Throws away some tasks of a queue that have ended before then; how many.
CREATE FUNCTION sys.forget_tasks(of_queue text, before timestamptz) RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM sys.tasks t USING (SELECT id FROM sys.tasks WHERE queue = of_queue AND ended_at < before LIMIT 200) o
        WHERE t.id = o.id RETURNING t.id
    )
    SELECT count(*) FROM gone
$$;

-- One chore at a time.
INSERT INTO sys.queues (name, concurrency) VALUES ('sys.upkeep', 1) ON CONFLICT DO NOTHING;
INSERT INTO sys.retention (queue, kept) VALUES ('sys.upkeep', '1 day');

-- Runs the statement that its arguments are until it does nothing more: statement.wat.
INSERT INTO sys.programs (name, version, privileges, module) VALUES
('sys.upkeep', 1, 'sql,sleep', '\x0061736d010000000120066000017f60037f7f7f017f60047f7f7f7f017f60027f7f0060017e006000000256050572656c697809617267756d656e747300000572656c69780d726573706f6e73655f7265616400010572656c69780373716c00020572656c6978046661696c00030572656c69780b736c6565705f756e74696c000403030200050503010001071002066d656d6f727902000372756e00060a42020c00410041004180800410010b330010001a4101100541026b41004100100241004804404100100510030b100541224741202d0000413047720440420010040b0b0040046e616d650139060009617267756d656e7473010d726573706f6e73655f72656164020373716c03046661696c040b736c6565705f756e74696c050472656164')
ON CONFLICT DO NOTHING;

INSERT INTO sys.schedules (name, cron, queue, program, version, arguments) VALUES
('sys.upkeep.tasks', '17 * * * *', 'sys.upkeep', 'sys.upkeep', 1, '"SELECT FROM (SELECT sys.forget_tasks(queue, now() - kept) AS gone FROM sys.retention) f WHERE gone > 0"')
ON CONFLICT DO NOTHING;
