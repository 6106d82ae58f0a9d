//! System tables that have rows: the names and types of their columns are Postgres's.

super::system_tables! {
    pg_am 2601 (cluster::access_methods) =>
        oid Oid, amname Name, amhandler Regproc, amtype Text;
    pg_attrdef 2604 (attribute::defaults) =>
        oid Oid, adrelid Oid, adnum Int2, adbin Text;
    pg_attribute 1249 (attribute::attributes) =>
        attrelid Oid, attname Name, atttypid Oid, attstattarget Int4, attlen Int2, attnum Int2,
        attndims Int4, attcacheoff Int4, atttypmod Int4, attbyval Bool, attalign Text, attstorage
        Text, attcompression Text, attnotnull Bool, atthasdef Bool, atthasmissing Bool, attidentity
        Text, attgenerated Text, attisdropped Bool, attislocal Bool, attinhcount Int4, attcollation
        Oid, attacl [Text], attoptions [Text], attfdwoptions [Text], attmissingval Text;
    pg_authid 1260 (cluster::roles) =>
        oid Oid, rolname Name, rolsuper Bool, rolinherit Bool, rolcreaterole Bool, rolcreatedb Bool,
        rolcanlogin Bool, rolreplication Bool, rolbypassrls Bool, rolconnlimit Int4, rolpassword
        Text, rolvaliduntil Timestamptz;
    pg_class 1259 (relation::classes) =>
        oid Oid, relname Name, relnamespace Oid, reltype Oid, reloftype Oid, relowner Oid, relam
        Oid, relfilenode Oid, reltablespace Oid, relpages Int4, reltuples Float4, relallvisible
        Int4, reltoastrelid Oid, relhasindex Bool, relisshared Bool, relpersistence Text, relkind
        Text, relnatts Int2, relchecks Int2, relhasrules Bool, relhastriggers Bool, relhassubclass
        Bool, relrowsecurity Bool, relforcerowsecurity Bool, relispopulated Bool, relreplident Text,
        relispartition Bool, relrewrite Oid, relfrozenxid Oid, relminmxid Oid, relacl [Text],
        reloptions [Text], relpartbound Text;
    pg_collation 3456 (cluster::collations) =>
        oid Oid, collname Name, collnamespace Oid, collowner Oid, collprovider Text,
        collisdeterministic Bool, collencoding Int4, collcollate Text, collctype Text, colliculocale
        Text, collversion Text;
    pg_constraint 2606 (constraint::constraints) =>
        oid Oid, conname Name, connamespace Oid, contype Text, condeferrable Bool, condeferred Bool,
        convalidated Bool, conrelid Oid, contypid Oid, conindid Oid, conparentid Oid, confrelid Oid,
        confupdtype Text, confdeltype Text, confmatchtype Text, conislocal Bool, coninhcount Int4,
        connoinherit Bool, conkey [Int2], confkey [Int2], conpfeqop [Oid], conppeqop [Oid],
        conffeqop [Oid], confdelsetcols [Int2], conexclop [Oid], conbin Text;
    pg_database 1262 (cluster::databases) =>
        oid Oid, datname Name, datdba Oid, encoding Int4, datlocprovider Text, datistemplate Bool,
        datallowconn Bool, datconnlimit Int4, datfrozenxid Oid, datminmxid Oid, dattablespace Oid,
        datcollate Text, datctype Text, daticulocale Text, datcollversion Text, datacl [Text];
    pg_depend 2608 (depend::dependencies) =>
        classid Oid, objid Oid, objsubid Int4, refclassid Oid, refobjid Oid, refobjsubid Int4,
        deptype Text;
    pg_extension 3079 (cluster::extensions) =>
        oid Oid, extname Name, extowner Oid, extnamespace Oid, extrelocatable Bool, extversion Text,
        extconfig [Oid], extcondition [Text];
    pg_description 2609 (description::descriptions) =>
        objoid Oid, classoid Oid, objsubid Int4, description Text;
    pg_index 2610 (index::indexes) =>
        indexrelid Oid, indrelid Oid, indnatts Int2, indnkeyatts Int2, indisunique Bool,
        indnullsnotdistinct Bool, indisprimary Bool, indisexclusion Bool, indimmediate Bool,
        indisclustered Bool, indisvalid Bool, indcheckxmin Bool, indisready Bool, indislive Bool,
        indisreplident Bool, indkey Int2vector, indcollation Oidvector, indclass Oidvector,
        indoption Int2vector, indexprs Text, indpred Text;
    pg_language 2612 (cluster::languages) =>
        oid Oid, lanname Name, lanowner Oid, lanispl Bool, lanpltrusted Bool, lanplcallfoid Oid,
        laninline Oid, lanvalidator Oid, lanacl [Text];
    pg_namespace 2615 (schema::namespaces) =>
        oid Oid, nspname Name, nspowner Oid, nspacl [Text];
    pg_opclass 2616 (index::operator_classes) =>
        oid Oid, opcmethod Oid, opcname Name, opcnamespace Oid, opcowner Oid, opcfamily Oid,
        opcintype Oid, opcdefault Bool, opckeytype Oid;
    pg_proc 1255 (routine::routines) =>
        oid Oid, proname Name, pronamespace Oid, proowner Oid, prolang Oid, procost Float4, prorows
        Float4, provariadic Oid, prosupport Regproc, prokind Text, prosecdef Bool, proleakproof
        Bool, proisstrict Bool, proretset Bool, provolatile Text, proparallel Text, pronargs Int2,
        pronargdefaults Int2, prorettype Oid, proargtypes Oidvector, proallargtypes [Oid],
        proargmodes [Text], proargnames [Text], proargdefaults Text, protrftypes [Oid], prosrc Text,
        probin Text, prosqlbody Text, proconfig [Text], proacl [Text];
    pg_rewrite 2618 (relation::rules) =>
        oid Oid, rulename Name, ev_class Oid, ev_type Text, ev_enabled Text, is_instead Bool,
        ev_qual Text, ev_action Text;
    pg_sequence 2224 (sequence::sequences) =>
        seqrelid Oid, seqtypid Oid, seqstart Int8, seqincrement Int8, seqmax Int8, seqmin Int8,
        seqcache Int8, seqcycle Bool;
    pg_settings 11990 (cluster::settings) =>
        name Text, setting Text, unit Text, category Text, short_desc Text, extra_desc Text,
        context Text, vartype Text, source Text, min_val Text, max_val Text, enumvals [Text],
        boot_val Text, reset_val Text, sourcefile Text, sourceline Int4, pending_restart Bool;
    pg_tablespace 1213 (cluster::tablespaces) =>
        oid Oid, spcname Name, spcowner Oid, spcacl [Text], spcoptions [Text];
    pg_trigger 2620 (trigger::triggers) =>
        oid Oid, tgrelid Oid, tgparentid Oid, tgname Name, tgfoid Oid, tgtype Int2, tgenabled Text,
        tgisinternal Bool, tgconstrrelid Oid, tgconstrindid Oid, tgconstraint Oid, tgdeferrable
        Bool, tginitdeferred Bool, tgnargs Int2, tgattr Int2vector, tgargs Bytea, tgqual Text,
        tgoldtable Name, tgnewtable Name;
    pg_type 1247 (types::types) =>
        oid Oid, typname Name, typnamespace Oid, typowner Oid, typlen Int2, typbyval Bool, typtype
        Text, typcategory Text, typispreferred Bool, typisdefined Bool, typdelim Text, typrelid Oid,
        typsubscript Regproc, typelem Oid, typarray Oid, typinput Regproc, typoutput Regproc,
        typreceive Regproc, typsend Regproc, typmodin Regproc, typmodout Regproc, typanalyze
        Regproc, typalign Text, typstorage Text, typnotnull Bool, typbasetype Oid, typtypmod Int4,
        typndims Int4, typcollation Oid, typdefaultbin Text, typdefault Text, typacl [Text];
}
