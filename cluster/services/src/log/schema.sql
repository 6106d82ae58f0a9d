-- What nodes had to say: the newest ten thousand lines of all of them. Numbers have no gaps, so that whoever adds some knows
-- which ones are to go.
CREATE TABLE sys.log (
    id bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 4611686018427387904),
    -- By the clock of the node that said it.
    at timestamptz NOT NULL,
    node integer NOT NULL,
    level text NOT NULL CHECK (level IN ('error', 'warn', 'info')),
    text text NOT NULL
);
