//! System tables about what Relix does not have: tools join them all the same.

super::system_tables! {
    pg_aggregate 2600 (none) =>
        aggfnoid Regproc, aggkind Text, aggnumdirectargs Int2, aggtransfn Regproc, aggfinalfn
        Regproc, aggcombinefn Regproc, aggserialfn Regproc, aggdeserialfn Regproc, aggmtransfn
        Regproc, aggminvtransfn Regproc, aggmfinalfn Regproc, aggfinalextra Bool, aggmfinalextra
        Bool, aggfinalmodify Text, aggmfinalmodify Text, aggsortop Oid, aggtranstype Oid,
        aggtransspace Int4, aggmtranstype Oid, aggmtransspace Int4, agginitval Text, aggminitval
        Text;
    pg_amop 2602 (none) =>
        oid Oid, amopfamily Oid, amoplefttype Oid, amoprighttype Oid, amopstrategy Int2, amoppurpose
        Text, amopopr Oid, amopmethod Oid, amopsortfamily Oid;
    pg_amproc 2603 (none) =>
        oid Oid, amprocfamily Oid, amproclefttype Oid, amprocrighttype Oid, amprocnum Int2, amproc
        Regproc;
    pg_auth_members 1261 (none) =>
        roleid Oid, member Oid, grantor Oid, admin_option Bool;
    pg_cast 2605 (none) =>
        oid Oid, castsource Oid, casttarget Oid, castfunc Oid, castcontext Text, castmethod Text;
    pg_conversion 2607 (none) =>
        oid Oid, conname Name, connamespace Oid, conowner Oid, conforencoding Int4, contoencoding
        Int4, conproc Regproc, condefault Bool;
    pg_db_role_setting 2964 (none) =>
        setdatabase Oid, setrole Oid, setconfig [Text];
    pg_default_acl 826 (none) =>
        oid Oid, defaclrole Oid, defaclnamespace Oid, defaclobjtype Text, defaclacl [Text];
    pg_enum 3501 (none) =>
        oid Oid, enumtypid Oid, enumsortorder Float4, enumlabel Name;
    pg_event_trigger 3466 (none) =>
        oid Oid, evtname Name, evtevent Name, evtowner Oid, evtfoid Oid, evtenabled Text, evttags
        [Text];
    pg_foreign_data_wrapper 2328 (none) =>
        oid Oid, fdwname Name, fdwowner Oid, fdwhandler Oid, fdwvalidator Oid, fdwacl [Text],
        fdwoptions [Text];
    pg_foreign_server 1417 (none) =>
        oid Oid, srvname Name, srvowner Oid, srvfdw Oid, srvtype Text, srvversion Text, srvacl
        [Text], srvoptions [Text];
    pg_foreign_table 3118 (none) =>
        ftrelid Oid, ftserver Oid, ftoptions [Text];
    pg_inherits 2611 (none) =>
        inhrelid Oid, inhparent Oid, inhseqno Int4, inhdetachpending Bool;
    pg_init_privs 3394 (none) =>
        objoid Oid, classoid Oid, objsubid Int4, privtype Text, initprivs [Text];
    pg_largeobject 2613 (none) =>
        loid Oid, pageno Int4, data Bytea;
    pg_largeobject_metadata 2995 (none) =>
        oid Oid, lomowner Oid, lomacl [Text];
    pg_operator 2617 (none) =>
        oid Oid, oprname Name, oprnamespace Oid, oprowner Oid, oprkind Text, oprcanmerge Bool,
        oprcanhash Bool, oprleft Oid, oprright Oid, oprresult Oid, oprcom Oid, oprnegate Oid,
        oprcode Regproc, oprrest Regproc, oprjoin Regproc;
    pg_opfamily 2753 (none) =>
        oid Oid, opfmethod Oid, opfname Name, opfnamespace Oid, opfowner Oid;
    pg_parameter_acl 6243 (none) =>
        oid Oid, parname Text, paracl [Text];
    pg_partitioned_table 3350 (none) =>
        partrelid Oid, partstrat Text, partnatts Int2, partdefid Oid, partattrs Int2vector,
        partclass Oidvector, partcollation Oidvector, partexprs Text;
    pg_policy 3256 (none) =>
        oid Oid, polname Name, polrelid Oid, polcmd Text, polpermissive Bool, polroles [Oid],
        polqual Text, polwithcheck Text;
    pg_publication 6104 (none) =>
        oid Oid, pubname Name, pubowner Oid, puballtables Bool, pubinsert Bool, pubupdate Bool,
        pubdelete Bool, pubtruncate Bool, pubviaroot Bool;
    pg_publication_namespace 6237 (none) =>
        oid Oid, pnpubid Oid, pnnspid Oid;
    pg_publication_rel 6106 (none) =>
        oid Oid, prpubid Oid, prrelid Oid, prqual Text, prattrs Int2vector;
    pg_range 3541 (none) =>
        rngtypid Oid, rngsubtype Oid, rngmultitypid Oid, rngcollation Oid, rngsubopc Oid,
        rngcanonical Regproc, rngsubdiff Regproc;
    pg_replication_origin 6000 (none) =>
        roident Oid, roname Text;
    pg_seclabel 3596 (none) =>
        objoid Oid, classoid Oid, objsubid Int4, provider Text, label Text;
    pg_shdepend 1214 (none) =>
        dbid Oid, classid Oid, objid Oid, objsubid Int4, refclassid Oid, refobjid Oid, deptype Text;
    pg_shdescription 2396 (none) =>
        objoid Oid, classoid Oid, description Text;
    pg_shseclabel 3592 (none) =>
        objoid Oid, classoid Oid, provider Text, label Text;
    pg_statistic 2619 (none) =>
        starelid Oid, staattnum Int2, stainherit Bool, stanullfrac Float4, stawidth Int4,
        stadistinct Float4, stakind1 Int2, stakind2 Int2, stakind3 Int2, stakind4 Int2, stakind5
        Int2, staop1 Oid, staop2 Oid, staop3 Oid, staop4 Oid, staop5 Oid, stacoll1 Oid, stacoll2
        Oid, stacoll3 Oid, stacoll4 Oid, stacoll5 Oid, stanumbers1 [Float4], stanumbers2 [Float4],
        stanumbers3 [Float4], stanumbers4 [Float4], stanumbers5 [Float4], stavalues1 Text,
        stavalues2 Text, stavalues3 Text, stavalues4 Text, stavalues5 Text;
    pg_statistic_ext 3381 (none) =>
        oid Oid, stxrelid Oid, stxname Name, stxnamespace Oid, stxowner Oid, stxstattarget Int4,
        stxkeys Int2vector, stxkind [Text], stxexprs Text;
    pg_statistic_ext_data 3429 (none) =>
        stxoid Oid, stxdinherit Bool, stxdndistinct Text, stxddependencies Text, stxdmcv Text,
        stxdexpr Text;
    pg_subscription 6100 (none) =>
        oid Oid, subdbid Oid, subskiplsn Text, subname Name, subowner Oid, subenabled Bool,
        subbinary Bool, substream Bool, subtwophasestate Text, subdisableonerr Bool, subconninfo
        Text, subslotname Name, subsynccommit Text, subpublications [Text];
    pg_subscription_rel 6102 (none) =>
        srsubid Oid, srrelid Oid, srsubstate Text, srsublsn Text;
    pg_transform 3576 (none) =>
        oid Oid, trftype Oid, trflang Oid, trffromsql Regproc, trftosql Regproc;
    pg_ts_config 3602 (none) =>
        oid Oid, cfgname Name, cfgnamespace Oid, cfgowner Oid, cfgparser Oid;
    pg_ts_config_map 3603 (none) =>
        mapcfg Oid, maptokentype Int4, mapseqno Int4, mapdict Oid;
    pg_ts_dict 3600 (none) =>
        oid Oid, dictname Name, dictnamespace Oid, dictowner Oid, dicttemplate Oid, dictinitoption
        Text;
    pg_ts_parser 3601 (none) =>
        oid Oid, prsname Name, prsnamespace Oid, prsstart Regproc, prstoken Regproc, prsend Regproc,
        prsheadline Regproc, prslextype Regproc;
    pg_ts_template 3764 (none) =>
        oid Oid, tmplname Name, tmplnamespace Oid, tmplinit Regproc, tmpllexize Regproc;
    pg_user_mapping 1418 (none) =>
        oid Oid, umuser Oid, umserver Oid, umoptions [Text];
}
