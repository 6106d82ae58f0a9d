-- A shop. Nothing here keeps an order from being paid, shipped or reminded of twice: that it is not is what the demo shows.
CREATE TABLE payments (number integer NOT NULL, customer text NOT NULL, amount numeric(10, 2) NOT NULL);
CREATE TABLE reminders (number integer NOT NULL);
INSERT INTO sys.mailboxes (name, capacity) VALUES ('shipping', 1000000);
INSERT INTO sys.inodes (kind, mode, owner) VALUES ('directory', 493, 'shop');
INSERT INTO sys.entries (directory, name, inode) SELECT 1, 'invoices', max(id) FROM sys.inodes;
INSERT INTO sys.hooks (name, program, attempts_max) VALUES ('order', 'shop', 100);
