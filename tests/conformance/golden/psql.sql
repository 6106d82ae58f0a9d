CREATE SCHEMA shop;
CREATE TABLE shop.customers (
    id bigserial PRIMARY KEY,
    email varchar(50) UNIQUE NOT NULL,
    age smallint CHECK (age > 0),
    joined timestamptz,
    balance numeric(10, 2) NOT NULL DEFAULT 0.00,
    tags text[],
    doc jsonb,
    flag boolean DEFAULT true
);
CREATE TABLE shop.orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES shop.customers (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    note text DEFAULT 'it''s',
    at date DEFAULT '2024-01-02',
    amount double precision,
    CONSTRAINT amount_ok CHECK (amount IS NULL OR amount > 0),
    UNIQUE (customer, note)
);
CREATE INDEX orders_lower ON shop.orders (lower(note)) WHERE amount > 10;
CREATE INDEX orders_at ON shop.orders (at DESC, id);
CREATE VIEW shop.big AS SELECT o.id, c.email FROM shop.orders o JOIN shop.customers c ON c.id = o.customer;
CREATE SEQUENCE shop.numbers INCREMENT BY 5 MINVALUE 10 MAXVALUE 1000 START 20 CYCLE;
CREATE TABLE "Odd Name" ("select" int, "Col""x" text, PRIMARY KEY ("select"));
CREATE VIEW odd AS SELECT "Col""x" FROM "Odd Name";
INSERT INTO shop.customers (email, age, tags, doc) VALUES ('a@b', 1, '{a,"b c",NULL}', '{"k": [1, 2]}'), ('b', 2, NULL, NULL);
INSERT INTO shop.orders (customer, note, amount) VALUES (1, E'h\ti\\', 150.5), (2, NULL, NULL);
INSERT INTO "Odd Name" VALUES (1, 'x'), (2, NULL);
CREATE TABLE shop.places (
    id int PRIMARY KEY,
    place int CONSTRAINT one_each UNIQUE DEFERRABLE INITIALLY DEFERRED,
    inside int REFERENCES shop.places DEFERRABLE
);
COMMENT ON TABLE shop.places IS 'where things are';
COMMENT ON COLUMN shop.places.place IS 'counted from the door';
COMMENT ON CONSTRAINT one_each ON shop.places IS 'no two at one place';
COMMENT ON INDEX shop.orders_at IS 'newest first';
COMMENT ON VIEW shop.big IS 'it''s long';
