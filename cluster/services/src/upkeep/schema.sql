-- What the cluster does of itself: who is to lead, and what is thrown away when it is old. All of it can be changed, by UPDATE,
-- and paused. Statements are added at the end of this file, and none is changed: see cluster_sql::ServiceSchema.

-- Who is not to have a role as long as others can: a query, whose first column is nodes.
CREATE TABLE sys.placements (
    role text PRIMARY KEY CHECK (role IN ('leader')),
    query text NOT NULL,
    description text NOT NULL DEFAULT ''
);

-- Among the nodes that are up, the greatest leads.
ALTER TABLE sys.workers ADD COLUMN leader_preference integer NOT NULL DEFAULT 0;

INSERT INTO sys.placements (role, description, query) VALUES
('leader', 'not those that drain, and of the others that are up, those that are preferred', '
SELECT w.node FROM sys.workers w
WHERE w.draining OR w.leader_preference < (SELECT max(o.leader_preference) FROM sys.workers o
                                           WHERE o.state = ''up'' AND NOT o.draining)');

-- How long tasks of a queue are kept that have ended; NULL is for ever.
ALTER TABLE sys.queues ADD COLUMN kept interval DEFAULT '30 days' CHECK (kept >= '0');

-- One chore at a time.
INSERT INTO sys.queues (name, concurrency, kept) VALUES ('upkeep', 1, '1 day') ON CONFLICT DO NOTHING;

-- Runs the statement that its arguments are: statement.wat.
INSERT INTO sys.programs (name, version, privileges, module) VALUES ('upkeep', 1, 'sql', '\x0061736d01000000011c056000017f60037f7f7f017f60047f7f7f7f017f60027f7f006000000251050572656c697809617267756d656e747300000572656c69780d726573706f6e73655f7265616400010572656c69780373716c00020572656c697806726573756c7400030572656c6978046661696c000303030200040503010001071002066d656d6f727902000372756e00060a33020c00410041004180800410010b240010001a4101100541026b41004100100241004804404100100510040b4100100510030b003b046e616d650134060009617267756d656e7473010d726573706f6e73655f72656164020373716c0306726573756c7404046661696c050472656164');

-- Of the oldest tasks, those that have ended long ago. No more are looked at, so that what is new meets no conflict.
INSERT INTO sys.schedules (name, cron, queue, program, version, arguments) VALUES
('upkeep.tasks', '17 * * * *', 'upkeep', 'upkeep', 1, '"DELETE FROM sys.tasks t USING sys.queues q WHERE t.queue = q.name AND t.id IN (SELECT id FROM sys.tasks ORDER BY id LIMIT 10000) AND t.ended_at < now() - q.kept"');
