//! Views of `pg_catalog`. Names in them have their schemas: no path leads elsewhere.

use super::{PG_CATALOG, SystemView};

const fn view(name: &'static str, query: &'static str) -> SystemView {
    SystemView { schema: PG_CATALOG, name, query }
}

pub(super) static VIEWS: &[SystemView] = &[
    view(
        "pg_tables",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, pg_get_userbyid(c.relowner) AS tableowner, \
         t.spcname AS tablespace, c.relhasindex AS hasindexes, c.relhasrules AS hasrules, \
         c.relhastriggers AS hastriggers, c.relrowsecurity AS rowsecurity \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace WHERE c.relkind IN ('r', 'p')",
    ),
    view(
        "pg_views",
        "SELECT n.nspname AS schemaname, c.relname AS viewname, pg_get_userbyid(c.relowner) AS viewowner, \
         pg_get_viewdef(c.oid) AS definition \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'v'",
    ),
    view(
        "pg_matviews",
        "SELECT n.nspname AS schemaname, c.relname AS matviewname, pg_get_userbyid(c.relowner) AS matviewowner, \
         CAST(NULL AS name) AS tablespace, c.relhasindex AS hasindexes, c.relispopulated AS ispopulated, \
         pg_get_viewdef(c.oid) AS definition \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'm'",
    ),
    view(
        "pg_indexes",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname, \
         CAST(NULL AS name) AS tablespace, pg_get_indexdef(i.oid) AS indexdef \
         FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
         JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    view(
        "pg_sequences",
        "SELECT n.nspname AS schemaname, c.relname AS sequencename, pg_get_userbyid(c.relowner) AS sequenceowner, \
         CAST(s.seqtypid AS regtype) AS data_type, s.seqstart AS start_value, s.seqmin AS min_value, \
         s.seqmax AS max_value, s.seqincrement AS increment_by, s.seqcycle AS cycle, s.seqcache AS cache_size, \
         CAST(NULL AS bigint) AS last_value \
         FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    view(
        "pg_roles",
        "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, \
         rolconnlimit, CAST('********' AS text) AS rolpassword, rolvaliduntil, rolbypassrls, \
         CAST(NULL AS text[]) AS rolconfig, oid FROM pg_catalog.pg_authid",
    ),
    view(
        "pg_user",
        "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, \
         rolreplication AS userepl, rolbypassrls AS usebypassrls, CAST('********' AS text) AS passwd, \
         rolvaliduntil AS valuntil, CAST(NULL AS text[]) AS useconfig FROM pg_catalog.pg_authid WHERE rolcanlogin",
    ),
    view(
        "pg_shadow",
        "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, \
         rolreplication AS userepl, rolbypassrls AS usebypassrls, rolpassword AS passwd, \
         rolvaliduntil AS valuntil, CAST(NULL AS text[]) AS useconfig FROM pg_catalog.pg_authid WHERE rolcanlogin",
    ),
    view(
        "pg_group",
        "SELECT rolname AS groname, oid AS grosysid, CAST(NULL AS oid[]) AS grolist FROM pg_catalog.pg_authid \
         WHERE NOT rolcanlogin",
    ),
    view(
        "pg_seclabels",
        "SELECT objoid, classoid, objsubid, CAST(NULL AS text) AS objtype, CAST(NULL AS oid) AS objnamespace, \
         CAST(NULL AS text) AS objname, provider, label FROM pg_catalog.pg_seclabel",
    ),
    view(
        "pg_rules",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, r.rulename, CAST(NULL AS text) AS definition \
         FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN'",
    ),
    view(
        "pg_policies",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, p.polname AS policyname \
         FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    view(
        "pg_publication_tables",
        "SELECT p.pubname, n.nspname AS schemaname, c.relname AS tablename \
         FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid \
         JOIN pg_catalog.pg_class c ON c.oid = r.prrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    view(
        "pg_stat_activity",
        "SELECT CAST(5 AS oid) AS datid, current_database() AS datname, s.pid, CAST(NULL AS integer) AS leader_pid, \
         CAST(10 AS oid) AS usesysid, CAST(s.user_name AS name) AS usename, s.application_name, \
         CAST(NULL AS text) AS client_addr, CAST(NULL AS text) AS client_hostname, \
         CAST(NULL AS integer) AS client_port, s.started_at AS backend_start, \
         s.transaction_started_at AS xact_start, s.statement_started_at AS query_start, \
         s.state_changed_at AS state_change, CASE WHEN s.state <> 'active' THEN 'Client' END AS wait_event_type, \
         CASE WHEN s.state <> 'active' THEN 'ClientRead' END AS wait_event, s.state, \
         CAST(NULL AS bigint) AS backend_xid, CAST(NULL AS bigint) AS backend_xmin, CAST(NULL AS bigint) AS query_id, \
         s.statement AS query, 'client backend' AS backend_type FROM sys.sessions s",
    ),
    view("pg_prepared_xacts", "SELECT CAST(NULL AS text) AS gid WHERE false"),
    view("pg_available_extensions", "SELECT CAST('' AS name) AS name, '' AS default_version WHERE false"),
    view(
        "pg_timezone_names",
        "SELECT 'UTC' AS name, 'UTC' AS abbrev, CAST('0' AS interval) AS utc_offset, false AS is_dst",
    ),
];
