//! Values and their types.

mod array;
mod datum;
mod json;
mod json_text;
mod modifier;
mod stored;

use serde::{Deserialize, Serialize};

pub use array::Array;
pub use datum::Datum;
pub use json::Json;
pub(crate) use json::index_of;
pub(crate) use json_text::{Step, parse as parse_json, part as json_part, quote as quote_json};
pub use modifier::TypeName;
pub(crate) use modifier::{fit, fit_explicitly, interval_modifier, of_interval};

/// The groups that Postgres sorts types into when it looks for an operator or a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Arrays.
    Array,
    /// `boolean`
    Boolean,
    /// Dates and timestamps.
    Moment,
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// Spans of time.
    Span,
    /// Everything else.
    Other,
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident = $sql:literal, $catalog:literal, $oid:literal, $array:literal, $len:literal, $category:ident;)*) => {
        /// The type of a column or expression.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum DataType {
            $($(#[$doc])* $name,)*
            /// An array of one dimension.
            Array(Scalar),
            /// `regclass`: the object id of a relation, written as its name.
            Regclass,
            /// `regtype`: that of a type.
            Regtype,
            /// `regproc`: that of a function.
            Regproc,
            /// `regnamespace`: that of a schema.
            Regnamespace,
            /// `int2vector`: an array that is written with blanks.
            Int2vector,
            /// `oidvector`
            Oidvector,
        }

        /// A type of which there are arrays. Stored by its place in this list: new ones go to the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Scalar {
            $($(#[$doc])* $name,)*
        }

        impl Scalar {
            /// All of them.
            pub const ALL: &'static [Scalar] = &[$(Scalar::$name),*];

            /// As a type.
            pub const fn data_type(self) -> DataType {
                match self { $(Scalar::$name => DataType::$name,)* }
            }

            /// The name Postgres gives it in messages.
            pub const fn name(self) -> &'static str {
                match self { $(Scalar::$name => $sql,)* }
            }

            /// The name of its arrays in messages.
            const fn array_name(self) -> &'static str {
                match self { $(Scalar::$name => concat!($sql, "[]"),)* }
            }

            /// Its name in Postgres's `pg_type`.
            pub const fn catalog_name(self) -> &'static str {
                match self { $(Scalar::$name => $catalog,)* }
            }

            /// Its object id in Postgres's `pg_type`.
            pub const fn oid(self) -> u32 {
                match self { $(Scalar::$name => $oid,)* }
            }

            /// The object id of its arrays.
            pub const fn array_oid(self) -> u32 {
                match self { $(Scalar::$name => $array,)* }
            }

            /// Its length on the wire in bytes, or -1.
            pub const fn wire_len(self) -> i16 {
                match self { $(Scalar::$name => $len,)* }
            }

            const fn category(self) -> Category {
                match self { $(Scalar::$name => Category::$category,)* }
            }
        }

        impl DataType {
            /// The scalar it is; none of an array.
            pub const fn scalar(self) -> Option<Scalar> {
                match self {
                    $(DataType::$name => Some(Scalar::$name),)*
                    _ => None,
                }
            }
        }
    };
}

scalars! {
    /// `boolean`
    Bool = "boolean", "bool", 16, 1000, 1, Boolean;
    /// `integer`, `int4`
    Int4 = "integer", "int4", 23, 1007, 4, Number;
    /// `bigint`, `int8`
    Int8 = "bigint", "int8", 20, 1016, 8, Number;
    /// `double precision`, `float8`
    Float8 = "double precision", "float8", 701, 1022, 8, Number;
    /// `text`
    Text = "text", "text", 25, 1009, -1, Text;
    /// `timestamp` without time zone
    Timestamp = "timestamp without time zone", "timestamp", 1114, 1115, 8, Moment;
    /// `smallint`, `int2`
    Int2 = "smallint", "int2", 21, 1005, 2, Number;
    /// `real`, `float4`
    Float4 = "real", "float4", 700, 1021, 4, Number;
    /// `numeric`
    Numeric = "numeric", "numeric", 1700, 1231, -1, Number;
    /// `varchar`
    Varchar = "character varying", "varchar", 1043, 1015, -1, Text;
    /// `char(n)`: padded with blanks that mean nothing.
    Bpchar = "character", "bpchar", 1042, 1014, -1, Text;
    /// `name`: at most 63 bytes.
    Name = "name", "name", 19, 1003, 64, Text;
    /// `oid`
    Oid = "oid", "oid", 26, 1028, 4, Number;
    /// `bytea`
    Bytea = "bytea", "bytea", 17, 1001, -1, Other;
    /// `date`
    Date = "date", "date", 1082, 1182, 4, Moment;
    /// `time` without time zone
    Time = "time without time zone", "time", 1083, 1183, 8, Moment;
    /// `timestamp` with time zone
    Timestamptz = "timestamp with time zone", "timestamptz", 1184, 1185, 8, Moment;
    /// `interval`
    Interval = "interval", "interval", 1186, 1187, 16, Span;
    /// `uuid`
    Uuid = "uuid", "uuid", 2950, 2951, 16, Other;
    /// `json`: a text that was checked.
    Json = "json", "json", 114, 199, -1, Other;
    /// `jsonb`
    Jsonb = "jsonb", "jsonb", 3802, 3807, -1, Other;
}

impl DataType {
    /// The name Postgres gives it in messages.
    pub const fn name(self) -> &'static str {
        match (self, self.scalar()) {
            (DataType::Array(element), _) => element.array_name(),
            (_, Some(scalar)) => scalar.name(),
            (_, None) => self.catalog_type().0,
        }
    }

    /// What Postgres calls a column that is cast to it.
    pub const fn catalog_name(self) -> &'static str {
        match (self, self.scalar()) {
            (DataType::Array(element), _) => element.catalog_name(),
            (_, Some(scalar)) => scalar.catalog_name(),
            (_, None) => self.catalog_type().0,
        }
    }

    /// Its object id in Postgres's `pg_type`.
    pub const fn oid(self) -> u32 {
        match (self, self.scalar()) {
            (DataType::Array(element), _) => element.array_oid(),
            (_, Some(scalar)) => scalar.oid(),
            (_, None) => self.catalog_type().1,
        }
    }

    /// The types of the system's catalogues that no column of a table has.
    pub const CATALOG: &'static [DataType] = &[
        DataType::Regclass,
        DataType::Regtype,
        DataType::Regproc,
        DataType::Regnamespace,
        DataType::Int2vector,
        DataType::Oidvector,
    ];

    /// The name of one of these, its object id and that of its arrays.
    pub const fn catalog_type(self) -> (&'static str, u32, u32) {
        match self {
            DataType::Regclass => ("regclass", 2205, 2210),
            DataType::Regtype => ("regtype", 2206, 2211),
            DataType::Regproc => ("regproc", 24, 1008),
            DataType::Regnamespace => ("regnamespace", 4089, 4090),
            DataType::Int2vector => ("int2vector", 22, 1006),
            DataType::Oidvector => ("oidvector", 30, 1013),
            _ => ("unknown", 0, 0),
        }
    }

    /// The type that its values have inside: functions and operators take them as that.
    pub const fn base(self) -> DataType {
        match self {
            DataType::Regclass | DataType::Regtype | DataType::Regproc | DataType::Regnamespace => {
                DataType::Oid
            }
            DataType::Int2vector => DataType::Array(Scalar::Int2),
            DataType::Oidvector => DataType::Array(Scalar::Oid),
            other => other,
        }
    }

    /// The function that makes a text of its values, if they do not look like those of its base.
    pub(crate) const fn output(self) -> Option<&'static str> {
        Some(match self {
            DataType::Regclass => "regclassout",
            DataType::Regtype => "regtypeout",
            DataType::Regproc => "regprocout",
            DataType::Regnamespace => "regnamespaceout",
            DataType::Int2vector | DataType::Oidvector => "array_to_vector",
            _ => return None,
        })
    }

    /// The type of an object id.
    pub fn of_oid(oid: u32) -> Option<DataType> {
        Scalar::ALL
            .iter()
            .find_map(|scalar| match oid {
                _ if oid == scalar.oid() => Some(scalar.data_type()),
                _ if oid == scalar.array_oid() => Some(DataType::Array(*scalar)),
                _ => None,
            })
            .or_else(|| DataType::CATALOG.iter().copied().find(|known| known.oid() == oid))
    }

    /// The type that a statement calls so: by its catalogue's name or one of SQL's, in lower case.
    pub fn of_name(name: &str) -> Option<DataType> {
        if let Some(found) = DataType::CATALOG.iter().find(|known| known.catalog_type().0 == name) {
            return Some(*found);
        }
        let element = |name: &str| match name {
            "character" | "char" => Some(Scalar::Bpchar),
            "int" => Some(Scalar::Int4),
            "decimal" => Some(Scalar::Numeric),
            "float" => Some(Scalar::Float8),
            _ => Scalar::ALL
                .iter()
                .copied()
                .find(|scalar| scalar.catalog_name() == name || scalar.name() == name),
        };
        match (name.strip_prefix('_'), name.strip_suffix("[]")) {
            (Some(name), _) | (_, Some(name)) => element(name).map(DataType::Array),
            _ => element(name).map(Scalar::data_type),
        }
    }

    /// Its length on the wire in bytes, or -1.
    pub const fn wire_len(self) -> i16 {
        match self.base().scalar() {
            Some(scalar) => scalar.wire_len(),
            None => -1,
        }
    }

    /// Whether it is a whole number.
    pub const fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// The least and the greatest whole number that it holds, if it holds only these.
    pub const fn integer_range(self) -> Option<(i64, i64)> {
        match self {
            DataType::Int2 => Some((i16::MIN as i64, i16::MAX as i64)),
            DataType::Int4 => Some((i32::MIN as i64, i32::MAX as i64)),
            DataType::Int8 => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }

    /// Whether it is a number.
    pub const fn is_numeric(self) -> bool {
        matches!(
            self,
            DataType::Int2
                | DataType::Int4
                | DataType::Int8
                | DataType::Float4
                | DataType::Float8
                | DataType::Numeric
        )
    }

    /// Whether its values are texts, of whatever kind.
    pub const fn is_text(self) -> bool {
        matches!(self, DataType::Text | DataType::Varchar | DataType::Bpchar | DataType::Name)
    }

    /// Its category.
    pub const fn category(self) -> Category {
        match self {
            DataType::Time => Category::Moment,
            _ => match self.base().scalar() {
                Some(scalar) => scalar.category(),
                None => Category::Array,
            },
        }
    }

    /// Whether it is preferred over others of its category.
    pub const fn is_preferred(self) -> bool {
        matches!(
            self,
            DataType::Bool
                | DataType::Float8
                | DataType::Oid
                | DataType::Text
                | DataType::Timestamptz
                | DataType::Interval
        )
    }

    /// What its arrays have as elements; none if it is no array.
    pub const fn element(self) -> Option<DataType> {
        match self {
            DataType::Array(element) => Some(element.data_type()),
            _ => None,
        }
    }

    /// The type of its arrays; none of an array.
    pub fn array(self) -> Option<DataType> {
        self.scalar().map(DataType::Array)
    }
}
