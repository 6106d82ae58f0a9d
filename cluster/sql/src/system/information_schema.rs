//! The views that the standard describes, over `pg_catalog`.

use super::{INFORMATION_SCHEMA, SystemView};

const fn view(name: &'static str, query: &'static str) -> SystemView {
    SystemView { schema: INFORMATION_SCHEMA, name, query }
}

/// What is no relation of users and no view of theirs is left to `pg_catalog`, as in Postgres it is not.
pub(super) static VIEWS: &[SystemView] = &[
    view("information_schema_catalog_name", "SELECT current_database() AS catalog_name"),
    view(
        "schemata",
        "SELECT current_database() AS catalog_name, n.nspname AS schema_name, \
         pg_get_userbyid(n.nspowner) AS schema_owner, CAST(NULL AS name) AS default_character_set_catalog, \
         CAST(NULL AS name) AS default_character_set_schema, CAST(NULL AS name) AS default_character_set_name, \
         CAST(NULL AS varchar) AS sql_path FROM pg_catalog.pg_namespace n",
    ),
    view(
        "tables",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         CAST(CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS varchar) AS table_type, \
         CAST(NULL AS name) AS self_referencing_column_name, CAST(NULL AS varchar) AS reference_generation, \
         CAST(NULL AS name) AS user_defined_type_catalog, CAST(NULL AS name) AS user_defined_type_schema, \
         CAST(NULL AS name) AS user_defined_type_name, \
         CAST(CASE c.relkind WHEN 'r' THEN 'YES' ELSE 'NO' END AS varchar) AS is_insertable_into, \
         CAST('NO' AS varchar) AS is_typed, CAST(NULL AS varchar) AS commit_action \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'v', 'f', 'p')",
    ),
    view(
        "views",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         pg_get_viewdef(c.oid) AS view_definition, CAST('NONE' AS varchar) AS check_option, \
         CAST('NO' AS varchar) AS is_updatable, CAST('NO' AS varchar) AS is_insertable_into, \
         CAST('NO' AS varchar) AS is_trigger_updatable, CAST('NO' AS varchar) AS is_trigger_deletable, \
         CAST('NO' AS varchar) AS is_trigger_insertable_into \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'v'",
    ),
    view(
        "columns",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         a.attname AS column_name, CAST(a.attnum AS integer) AS ordinal_position, \
         CAST(pg_get_expr(d.adbin, d.adrelid) AS varchar) AS column_default, \
         CAST(CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS varchar) AS is_nullable, \
         CAST(CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' ELSE format_type(t.oid, NULL) END AS varchar) \
         AS data_type, \
         CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod >= 4 THEN a.atttypmod - 4 END \
         AS character_maximum_length, \
         CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod >= 4 THEN (a.atttypmod - 4) * 4 \
         WHEN t.typname IN ('text', 'varchar', 'bpchar') THEN 1073741824 END AS character_octet_length, \
         CASE t.typname WHEN 'int2' THEN 16 WHEN 'int4' THEN 32 WHEN 'int8' THEN 64 WHEN 'float4' THEN 24 \
         WHEN 'float8' THEN 53 WHEN 'numeric' THEN CASE WHEN a.atttypmod >= 4 \
         THEN (a.atttypmod - 4) / 65536 END END AS numeric_precision, \
         CASE WHEN t.typname IN ('int2', 'int4', 'int8', 'float4', 'float8') THEN 2 WHEN t.typname = 'numeric' \
         THEN 10 END AS numeric_precision_radix, \
         CASE WHEN t.typname IN ('int2', 'int4', 'int8') THEN 0 WHEN t.typname = 'numeric' AND a.atttypmod >= 4 \
         THEN (a.atttypmod - 4) % 2048 END AS numeric_scale, \
         CASE WHEN t.typname = 'date' THEN 0 WHEN t.typname IN ('time', 'timestamp', 'timestamptz', 'interval') \
         THEN CASE WHEN a.atttypmod < 0 THEN 6 ELSE a.atttypmod % 65536 END END AS datetime_precision, \
         CAST(NULL AS varchar) AS interval_type, CAST(NULL AS integer) AS interval_precision, \
         CAST(NULL AS name) AS character_set_catalog, CAST(NULL AS name) AS character_set_schema, \
         CAST(NULL AS name) AS character_set_name, CAST(NULL AS name) AS collation_catalog, \
         CAST(NULL AS name) AS collation_schema, CAST(NULL AS name) AS collation_name, \
         CAST(NULL AS name) AS domain_catalog, CAST(NULL AS name) AS domain_schema, \
         CAST(NULL AS name) AS domain_name, current_database() AS udt_catalog, \
         CAST('pg_catalog' AS name) AS udt_schema, t.typname AS udt_name, CAST(NULL AS name) AS scope_catalog, \
         CAST(NULL AS name) AS scope_schema, CAST(NULL AS name) AS scope_name, \
         CAST(NULL AS integer) AS maximum_cardinality, CAST(CAST(a.attnum AS text) AS name) AS dtd_identifier, \
         CAST('NO' AS varchar) AS is_self_referencing, \
         CAST(CASE WHEN a.attidentity = '' THEN 'NO' ELSE 'YES' END AS varchar) AS is_identity, \
         CAST(CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS varchar) \
         AS identity_generation, CAST(s.seqstart AS varchar) AS identity_start, \
         CAST(s.seqincrement AS varchar) AS identity_increment, CAST(s.seqmax AS varchar) AS identity_maximum, \
         CAST(s.seqmin AS varchar) AS identity_minimum, \
         CAST(CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END AS varchar) AS identity_cycle, \
         CAST('NEVER' AS varchar) AS is_generated, CAST(NULL AS varchar) AS generation_expression, \
         CAST(CASE c.relkind WHEN 'r' THEN 'YES' ELSE 'NO' END AS varchar) AS is_updatable \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         LEFT JOIN (pg_catalog.pg_depend p JOIN pg_catalog.pg_sequence s ON s.seqrelid = p.objid \
         AND p.deptype = 'i' AND p.classid = 1259 AND p.refclassid = 1259) \
         ON p.refobjid = c.oid AND p.refobjsubid = a.attnum \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')",
    ),
    view(
        "table_constraints",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema, \
         o.conname AS constraint_name, current_database() AS table_catalog, n.nspname AS table_schema, \
         c.relname AS table_name, CAST(CASE o.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' \
         WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS varchar) AS constraint_type, \
         CAST(CASE WHEN o.condeferrable THEN 'YES' ELSE 'NO' END AS varchar) AS is_deferrable, \
         CAST(CASE WHEN o.condeferred THEN 'YES' ELSE 'NO' END AS varchar) AS initially_deferred, \
         CAST('YES' AS varchar) AS enforced, \
         CAST(CASE o.contype WHEN 'u' THEN 'YES' END AS varchar) AS nulls_distinct \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         UNION ALL SELECT current_database(), n.nspname, CAST(n.oid AS text) || '_' || CAST(c.oid AS text) || '_' \
         || CAST(a.attnum AS text) || '_not_null', current_database(), n.nspname, c.relname, \
         CAST('CHECK' AS varchar), CAST('NO' AS varchar), CAST('NO' AS varchar), CAST('YES' AS varchar), \
         CAST(NULL AS varchar) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'",
    ),
    view(
        "key_column_usage",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema, \
         o.conname AS constraint_name, current_database() AS table_catalog, n.nspname AS table_schema, \
         c.relname AS table_name, a.attname AS column_name, \
         array_position(o.conkey, a.attnum) AS ordinal_position, \
         CASE o.contype WHEN 'f' THEN array_position(CAST(i.indkey AS int2[]), \
         o.confkey[array_position(o.conkey, a.attnum)]) END AS position_in_unique_constraint \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = o.conindid \
         WHERE a.attnum = ANY (o.conkey) AND o.contype IN ('p', 'u', 'f')",
    ),
    view(
        "constraint_column_usage",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         a.attname AS column_name, current_database() AS constraint_catalog, m.nspname AS constraint_schema, \
         o.conname AS constraint_name \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace m ON m.oid = o.connamespace \
         JOIN pg_catalog.pg_class c ON c.oid = CASE o.contype WHEN 'f' THEN o.confrelid ELSE o.conrelid END \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         WHERE a.attnum = ANY (CASE o.contype WHEN 'f' THEN o.confkey ELSE o.conkey END)",
    ),
    view(
        "constraint_table_usage",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         current_database() AS constraint_catalog, m.nspname AS constraint_schema, o.conname AS constraint_name \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace m ON m.oid = o.connamespace \
         JOIN pg_catalog.pg_class c ON c.oid = CASE o.contype WHEN 'f' THEN o.confrelid ELSE o.conrelid END \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE o.contype IN ('p', 'u', 'f')",
    ),
    view(
        "referential_constraints",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema, \
         o.conname AS constraint_name, current_database() AS unique_constraint_catalog, \
         m.nspname AS unique_constraint_schema, u.conname AS unique_constraint_name, \
         CAST('NONE' AS varchar) AS match_option, \
         CAST(CASE o.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' \
         WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS varchar) AS update_rule, \
         CAST(CASE o.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' \
         WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS varchar) AS delete_rule \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace \
         LEFT JOIN pg_catalog.pg_constraint u ON u.conindid = o.conindid AND u.contype IN ('p', 'u') \
         AND u.conrelid = o.confrelid LEFT JOIN pg_catalog.pg_namespace m ON m.oid = u.connamespace \
         WHERE o.contype = 'f'",
    ),
    view(
        "check_constraints",
        "SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema, \
         o.conname AS constraint_name, CAST(substring(pg_get_constraintdef(o.oid), 7) AS varchar) AS check_clause \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace \
         WHERE o.contype = 'c' \
         UNION ALL SELECT current_database(), n.nspname, CAST(n.oid AS text) || '_' || CAST(c.oid AS text) || '_' \
         || CAST(a.attnum AS text) || '_not_null', CAST(a.attname || ' IS NOT NULL' AS varchar) \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'",
    ),
    view(
        "sequences",
        "SELECT current_database() AS sequence_catalog, n.nspname AS sequence_schema, \
         c.relname AS sequence_name, CAST(format_type(s.seqtypid, NULL) AS varchar) AS data_type, \
         CASE s.seqtypid WHEN 21 THEN 16 WHEN 23 THEN 32 ELSE 64 END AS numeric_precision, \
         2 AS numeric_precision_radix, 0 AS numeric_scale, CAST(s.seqstart AS varchar) AS start_value, \
         CAST(s.seqmin AS varchar) AS minimum_value, CAST(s.seqmax AS varchar) AS maximum_value, \
         CAST(s.seqincrement AS varchar) AS increment, \
         CAST(CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END AS varchar) AS cycle_option \
         FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')",
    ),
    view(
        "routines",
        "SELECT current_database() AS specific_catalog, n.nspname AS specific_schema, \
         p.proname || '_' || CAST(p.oid AS text) AS specific_name, current_database() AS routine_catalog, \
         n.nspname AS routine_schema, p.proname AS routine_name, CAST('FUNCTION' AS varchar) AS routine_type, \
         CAST(format_type(p.prorettype, NULL) AS varchar) AS data_type \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace",
    ),
];
