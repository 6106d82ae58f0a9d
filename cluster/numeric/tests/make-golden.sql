-- The answers of PostgreSQL to the cases in the file `cases`, as lines of number, tab, answer.
CREATE TABLE cases (line integer, words text);
\copy cases FROM 'cases'

CREATE TABLE received (value numeric);

-- What COPY makes of the bytes of one value.
CREATE FUNCTION receive(hex text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    field bytea := decode(hex, 'hex');
    path text := current_setting('data_directory') || '/received';
    object oid;
BEGIN
    object := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x00000000000000000001'::bytea
        || int4send(length(field)) || field || '\xffff'::bytea);
    PERFORM lo_export(object, path);
    PERFORM lo_unlink(object);
    DELETE FROM received;
    EXECUTE format('COPY received FROM %L (FORMAT binary)', path);
    RETURN (SELECT value::text FROM received);
END $$;

-- The expression that an operation stands for; $1 is its argument list.
CREATE FUNCTION expression(operation text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE operation
    WHEN 'text' THEN '$1[1]::numeric'
    WHEN 'send' THEN $q$encode(numeric_send($1[1]::numeric), 'hex')$q$
    WHEN 'receive' THEN 'receive($1[1])'
    WHEN 'typmod' THEN NULL
    WHEN 'add' THEN '$1[1]::numeric + $1[2]::numeric'
    WHEN 'sub' THEN '$1[1]::numeric - $1[2]::numeric'
    WHEN 'mul' THEN '$1[1]::numeric * $1[2]::numeric'
    WHEN 'div' THEN '$1[1]::numeric / $1[2]::numeric'
    WHEN 'div_trunc' THEN 'div($1[1]::numeric, $1[2]::numeric)'
    WHEN 'rem' THEN '$1[1]::numeric % $1[2]::numeric'
    WHEN 'power' THEN '$1[1]::numeric ^ $1[2]::numeric'
    WHEN 'log' THEN 'log($1[1]::numeric, $1[2]::numeric)'
    WHEN 'log10' THEN 'log($1[1]::numeric)'
    WHEN 'cmp' THEN 'numeric_cmp($1[1]::numeric, $1[2]::numeric)'
    WHEN 'neg' THEN '- $1[1]::numeric'
    WHEN 'round' THEN 'round($1[1]::numeric, $1[2]::integer)'
    WHEN 'trunc' THEN 'trunc($1[1]::numeric, $1[2]::integer)'
    WHEN 'gcd' THEN 'gcd($1[1]::numeric, $1[2]::numeric)'
    WHEN 'lcm' THEN 'lcm($1[1]::numeric, $1[2]::numeric)'
    WHEN 'factorial' THEN 'factorial($1[1]::bigint)'
    WHEN 'width_bucket' THEN 'width_bucket($1[1]::numeric, $1[2]::numeric, $1[3]::numeric, $1[4]::integer)'
    WHEN 'int2' THEN '$1[1]::numeric::smallint'
    WHEN 'int4' THEN '$1[1]::numeric::integer'
    WHEN 'int8' THEN '$1[1]::numeric::bigint'
    WHEN 'float4' THEN '$1[1]::numeric::real'
    WHEN 'float8' THEN '$1[1]::numeric::double precision'
    WHEN 'from_float4' THEN '$1[1]::real::numeric'
    WHEN 'from_float8' THEN '$1[1]::double precision::numeric'
    ELSE CASE
        WHEN operation ~ '^(sum|avg|var_pop|var_samp|stddev_pop|stddev_samp)$'
            THEN format('(SELECT %I(x::numeric) FROM unnest($1) x)', operation)
        WHEN operation ~ '^int8_'
            THEN format('(SELECT %I(x::bigint) FROM unnest($1) x)', substr(operation, 6))
        -- abs, sign, ceil, floor, sqrt, exp, ln, scale, min_scale, trim_scale
        ELSE format('%I($1[1]::numeric)', operation)
    END
END $$;

-- A long answer by its ends, its length and the sum of its digits.
CREATE FUNCTION shortened(answer text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN length(answer) <= 250 THEN answer
    ELSE format('%s...%s, %s characters, digits sum to %s', left(answer, 40), right(answer, 40), length(answer),
        (SELECT sum(digit * (length(answer) - length(replace(answer, digit::text, ''))))
            FROM generate_series(1, 9) digit))
END $$;

CREATE FUNCTION answer(words text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    operation text := split_part(words, ' ', 1);
    -- Arguments are words, or anything between two quotes.
    arguments text[] := array(SELECT coalesce(word[1], word[2])
        FROM regexp_matches(substr(words, length(operation) + 1), '''([^'']*)''|(\S+)', 'g') word);
    answer text;
    message text;
    detail text;
BEGIN
    IF operation = 'typmod' THEN
        EXECUTE format('SELECT %L::numeric::numeric(%s, %s)::text', arguments[1], arguments[2], arguments[3])
            INTO answer;
    ELSE
        EXECUTE format('SELECT (%s)::text', expression(operation)) INTO answer USING arguments;
    END IF;
    RETURN shortened(coalesce(answer, 'NULL'));
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN shortened(format('error %s %s', SQLSTATE, message || coalesce(' / ' || nullif(detail, ''), '')));
END $$;

\pset format unaligned
\pset fieldsep '\t'
\pset tuples_only on
SELECT line, answer(words) FROM cases ORDER BY line;
