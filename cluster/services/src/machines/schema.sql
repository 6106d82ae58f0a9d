-- Which node each machine is that was not told so: by the address of its first network card. A machine that comes back with a
-- blank disk is the same node again. Statements are added at the end of this file, and none is changed: see
-- cluster_sql::ServiceSchema.
CREATE TABLE sys.machines (
    hardware_address text PRIMARY KEY CHECK (octet_length(hardware_address) = 17),
    node integer NOT NULL UNIQUE CHECK (node BETWEEN 1 AND 254),
    placed_at timestamptz NOT NULL DEFAULT now()
);
