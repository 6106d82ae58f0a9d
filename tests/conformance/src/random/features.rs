//! What generated SQL may use, and how often.

/// Makes the list of features: a name in code, one on the command line, and a weight in percent.
macro_rules! features {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal $weight:literal,)+) => {
        /// A part of SQL that can be left out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Feature { $($(#[doc = $doc])+ $name,)+ }

        /// All of them: the word for it, how often it is used where it can be (in percent), and what it is.
        pub const FEATURES: &[(Feature, &str, u8, &str)] =
            &[$((Feature::$name, $word, $weight, concat!($($doc),+)),)+];
    };
}

features! {
    /// The type `smallint`.
    Int2 = "int2" 20,
    /// The type `numeric`.
    Numeric = "numeric" 50,
    /// The type `double precision`.
    Float8 = "float8" 40,
    /// The type `date`.
    Date = "date" 40,
    /// The type `timestamp`.
    Timestamp = "timestamp" 40,
    /// The type `interval`.
    Interval = "interval" 25,
    /// The type `real`.
    Float4 = "float4" 15,
    /// The type `time`.
    Time = "time" 20,
    /// The type `timestamp with time zone`.
    Timestamptz = "timestamptz" 20,
    /// The type `bytea`.
    Bytea = "bytea" 15,
    /// The type `uuid`.
    Uuid = "uuid" 10,
    /// The type `jsonb`.
    Jsonb = "jsonb" 20,
    /// The types `integer[]` and `text[]`.
    Arrays = "arrays" 15,
    /// Columns of type `varchar`.
    Varchar = "varchar" 10,
    /// Columns of type `char(n)`.
    Char = "char" 5,
    /// CASE.
    Case = "case" 60,
    /// COALESCE, NULLIF, GREATEST, LEAST.
    Coalesce = "coalesce" 60,
    /// IN and NOT IN with a list.
    InList = "in_list" 60,
    /// BETWEEN.
    Between = "between" 50,
    /// BETWEEN SYMMETRIC.
    Symmetric = "symmetric" 20,
    /// LIKE, ILIKE.
    Like = "like" 50,
    /// IS DISTINCT FROM, IS TRUE, IS UNKNOWN and the like.
    Is = "is" 60,
    /// Casts between types.
    Casts = "casts" 40,
    /// The commonest functions of numbers, texts and times.
    Functions = "functions" 60,
    /// Functions that are met less often, such as lpad and sqrt.
    RareFunctions = "rare_functions" 40,
    /// Comparisons of rows: (a, b) < (c, d).
    Rows = "rows" 20,
    /// Comparisons of values of different numeric types.
    Mixed = "mixed" 30,
    /// Joins: inner, left, right, full, cross.
    Joins = "joins" 50,
    /// Joins by USING and NATURAL.
    Using = "using" 30,
    /// LATERAL derived tables.
    Lateral = "lateral" 15,
    /// Subqueries in FROM.
    Derived = "derived" 20,
    /// VALUES in FROM and alone.
    Values = "values" 15,
    /// generate_series in FROM.
    Series = "series" 10,
    /// GROUP BY, HAVING and aggregates.
    Groups = "groups" 35,
    /// ROLLUP and CUBE.
    GroupingSets = "grouping_sets" 7,
    /// FILTER of aggregates.
    Filter = "filter" 20,
    /// DISTINCT in aggregates.
    DistinctArguments = "distinct_arguments" 20,
    /// string_agg, with ORDER BY inside.
    OrderedAggregates = "ordered_aggregates" 20,
    /// SELECT *.
    Star = "star" 8,
    /// SELECT DISTINCT.
    Distinct = "distinct" 20,
    /// SELECT DISTINCT ON.
    DistinctOn = "distinct_on" 5,
    /// Scalar subqueries, EXISTS, IN, ANY, ALL.
    Subqueries = "subqueries" 30,
    /// Subqueries that refer to the query around them.
    Correlated = "correlated" 60,
    /// UNION, INTERSECT, EXCEPT.
    Sets = "sets" 12,
    /// WITH.
    With = "with" 10,
    /// WITH RECURSIVE.
    Recursive = "recursive" 20,
    /// Window functions.
    Windows = "windows" 12,
    /// ROWS and RANGE frames of windows.
    Frames = "frames" 40,
    /// ORDER BY.
    Order = "order" 50,
    /// LIMIT and OFFSET, after a total order.
    Limit = "limit" 40,
    /// INSERT, UPDATE, DELETE.
    Changes = "changes" 8,
    /// UPDATE ... FROM and DELETE ... USING.
    ChangesFrom = "changes_from" 25,
    /// Transactions of several statements, with savepoints, that are committed or not.
    Transactions = "transactions" 2,
    /// INSERT ... SELECT.
    InsertSelect = "insert_select" 25,
    /// Another name for the table of an INSERT.
    InsertAlias = "insert_alias" 30,
    /// RETURNING.
    Returning = "returning" 40,
    /// ON CONFLICT.
    OnConflict = "on_conflict" 30,
    /// Tables without a primary key.
    Keyless = "keyless" 30,
    /// Tables without columns.
    Columnless = "columnless" 3,
    /// Statements that fail with certainty: unknown names, wrong types, misplaced aggregates.
    Mistakes = "mistakes" 2,
    /// Expressions that may fail on some row: division by zero, overflow, bad casts.
    Failures = "failures" 4,
    /// The least and the largest values of types, NaN and infinity, where something may fail.
    Extremes = "extremes" 15,
}

/// What Relix is to have later: left out unless it is asked for, as by `--weights lateral`. `MERGE`, which is never generated,
/// is one more.
pub const LATER: &[Feature] = &[Feature::Lateral, Feature::GroupingSets];

/// A weight in percent for each feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features(Vec<u8>);

impl Default for Features {
    fn default() -> Features {
        let weight = |(feature, _, usual, _): &(Feature, _, u8, _)| match LATER.contains(feature) {
            true => 0,
            false => *usual,
        };
        Features(FEATURES.iter().map(weight).collect())
    }
}

impl Features {
    /// Only those of a list such as `joins,subqueries=80`.
    pub fn only(list: &str) -> Result<Features, String> {
        let mut features = Features(vec![0; FEATURES.len()]);
        features.set(list)?;
        Ok(features)
    }

    /// Sets the weights of a list; without a weight, the usual one.
    pub fn set(&mut self, list: &str) -> Result<(), String> {
        for word in list.split(',').filter(|word| !word.is_empty()) {
            let (name, weight) = word.split_once('=').unwrap_or((word, ""));
            let known = FEATURES.iter().find(|feature| feature.1 == name);
            let (feature, _, usual, _) = known.ok_or_else(|| format!("no feature is named {name}"))?;
            let weight = if weight.is_empty() { Ok(*usual) } else { weight.parse() };
            self.0[*feature as usize] = weight.map_err(|_| format!("{word}: a weight is 0 to 100"))?.min(100);
        }
        Ok(())
    }

    /// Leaves out those of a list.
    pub fn leave_out(&mut self, list: &str) -> Result<(), String> {
        list.split(',').filter(|word| !word.is_empty()).try_for_each(|name| self.set(&format!("{name}=0")))
    }

    /// How often it is to be used, in percent.
    pub fn weight(&self, feature: Feature) -> u8 {
        self.0[feature as usize]
    }
}
