//! What a statement can fail with, as Postgres would say it.

use alloc::string::String;
use core::fmt;

use cluster_store::{ReadError, StoreError};

use crate::database::DatabaseError;

/// The five letters of an SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SqlState(pub &'static str);

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState {
            $($(#[$doc])* pub const $name: SqlState = SqlState($code);)*
        }
    };
}

states! {
    /// successful_completion
    SUCCESS = "00000";
    /// external_routine_exception
    EXTERNAL_ROUTINE = "38000";
    /// protocol_violation
    PROTOCOL_VIOLATION = "08P01";
    /// transaction_resolution_unknown
    OUTCOME_UNKNOWN = "08007";
    /// feature_not_supported
    NOT_SUPPORTED = "0A000";
    /// string_data_right_truncation
    TEXT_TOO_LONG = "22001";
    /// numeric_value_out_of_range
    OUT_OF_RANGE = "22003";
    /// datetime_field_overflow
    DATETIME_OVERFLOW = "22008";
    /// substring_error
    SUBSTRING_ERROR = "22011";
    /// division_by_zero
    DIVISION_BY_ZERO = "22012";
    /// character_not_in_repertoire
    BAD_CHARACTER = "22021";
    /// invalid_parameter_value
    INVALID_PARAMETER_VALUE = "22023";
    /// invalid_escape_sequence
    INVALID_ESCAPE = "22025";
    /// invalid_row_count_in_limit_clause
    INVALID_LIMIT = "2201W";
    /// invalid_row_count_in_result_offset_clause
    INVALID_OFFSET = "2201X";
    /// invalid_text_representation
    INVALID_TEXT = "22P02";
    /// invalid_binary_representation
    INVALID_BINARY = "22P03";
    /// bad_copy_file_format
    BAD_COPY_FORMAT = "22P04";
    /// cardinality_violation
    CARDINALITY_VIOLATION = "21000";
    /// not_null_violation
    NOT_NULL_VIOLATION = "23502";
    /// foreign_key_violation
    FOREIGN_KEY_VIOLATION = "23503";
    /// check_violation
    CHECK_VIOLATION = "23514";
    /// unique_violation
    UNIQUE_VIOLATION = "23505";
    /// invalid_function_definition
    INVALID_FUNCTION_DEFINITION = "42P13";
    /// duplicate_function
    DUPLICATE_FUNCTION = "42723";
    /// object_in_use
    OBJECT_IN_USE = "55006";
    /// active_sql_transaction
    ACTIVE_TRANSACTION = "25001";
    /// read_only_sql_transaction
    READ_ONLY_TRANSACTION = "25006";
    /// no_active_sql_transaction
    NO_TRANSACTION = "25P01";
    /// idle_in_transaction_session_timeout
    IDLE_IN_TRANSACTION = "25P03";
    /// in_failed_sql_transaction
    FAILED_TRANSACTION = "25P02";
    /// invalid_sql_statement_name
    INVALID_STATEMENT_NAME = "26000";
    /// invalid_authorization_specification
    INVALID_AUTHORIZATION = "28000";
    /// invalid_cursor_name
    INVALID_CURSOR_NAME = "34000";
    /// invalid_catalog_name
    INVALID_CATALOG_NAME = "3D000";
    /// savepoint exception: invalid_savepoint_specification
    INVALID_SAVEPOINT = "3B001";
    /// warning
    WARNING = "01000";
    /// invalid_schema_name
    INVALID_SCHEMA_NAME = "3F000";
    /// serialization_failure
    SERIALIZATION_FAILURE = "40001";
    /// insufficient_privilege
    INSUFFICIENT_PRIVILEGE = "42501";
    /// syntax_error
    SYNTAX_ERROR = "42601";
    /// duplicate_column
    DUPLICATE_COLUMN = "42701";
    /// duplicate_alias
    DUPLICATE_ALIAS = "42712";
    /// ambiguous_column
    AMBIGUOUS_COLUMN = "42702";
    /// generated_always
    GENERATED_ALWAYS = "428C9";
    /// undefined_column
    UNDEFINED_COLUMN = "42703";
    /// invalid_recursion
    INVALID_RECURSION = "42P19";
    /// Not one that clients see: a subquery must be run first.
    PENDING = "RLX00";
    /// windowing_error
    WINDOWING_ERROR = "42P20";
    /// duplicate_object
    DUPLICATE_OBJECT = "42710";
    /// invalid_foreign_key
    INVALID_FOREIGN_KEY = "42830";
    /// invalid_object_definition
    INVALID_OBJECT = "42P17";
    /// duplicate_schema
    DUPLICATE_SCHEMA = "42P06";
    /// reserved_name
    RESERVED_NAME = "42939";
    /// dependent_objects_still_exist
    DEPENDENT_OBJECTS = "2BP01";
    /// undefined_object
    UNDEFINED_OBJECT = "42704";
    /// Something is not in a state that allows it.
    OBJECT_NOT_IN_STATE = "55000";
    /// duplicate_prepared_statement
    DUPLICATE_STATEMENT = "42P05";
    /// duplicate_cursor
    DUPLICATE_CURSOR = "42P03";
    /// grouping_error
    GROUPING_ERROR = "42803";
    /// datatype_mismatch
    DATATYPE_MISMATCH = "42804";
    /// wrong_object_type
    WRONG_OBJECT_TYPE = "42809";
    /// cannot_coerce
    CANNOT_COERCE = "42846";
    /// ambiguous_function
    AMBIGUOUS_FUNCTION = "42725";
    /// undefined_function
    UNDEFINED_FUNCTION = "42883";
    /// undefined_table
    UNDEFINED_TABLE = "42P01";
    /// undefined_parameter
    UNDEFINED_PARAMETER = "42P02";
    /// duplicate_table
    DUPLICATE_TABLE = "42P07";
    /// invalid_column_reference
    INVALID_COLUMN_REFERENCE = "42P10";
    /// invalid_table_definition
    INVALID_TABLE_DEFINITION = "42P16";
    /// indeterminate_datatype
    INDETERMINATE_DATATYPE = "42P18";
    /// raise_exception
    RAISED = "P0001";
    /// configuration_limit_exceeded
    LIMIT_REACHED = "53400";
    /// insufficient_resources: of memory, others hold too much for now.
    INSUFFICIENT_RESOURCES = "53000";
    /// disk_full
    DISK_FULL = "53100";
    /// out_of_memory
    OUT_OF_MEMORY = "53200";
    /// too_many_connections
    TOO_MANY_CONNECTIONS = "53300";
    /// program_limit_exceeded
    LIMIT_EXCEEDED = "54000";
    /// statement_too_complex
    TOO_COMPLEX = "54001";
    /// object_not_in_prerequisite_state
    NOT_IN_PREREQUISITE_STATE = "55000";
    /// query_canceled
    QUERY_CANCELED = "57014";
    /// admin_shutdown
    ADMIN_SHUTDOWN = "57P01";
    /// cannot_connect_now
    CANNOT_CONNECT_NOW = "57P03";
    /// idle_session_timeout
    IDLE_SESSION = "57P05";
    /// cant_change_runtime_param
    CANNOT_CHANGE_PARAMETER = "55P02";
    /// io_error
    IO_ERROR = "58030";
    /// snapshot_too_old
    SNAPSHOT_TOO_OLD = "72000";
    /// data_corrupted
    DATA_CORRUPTED = "XX001";
}

impl SqlState {
    /// Those that `raise_exception` takes.
    pub(crate) const RAISABLE: [SqlState; 7] = [
        SqlState::RAISED,
        SqlState::INVALID_PARAMETER_VALUE,
        SqlState::CHECK_VIOLATION,
        SqlState::UNIQUE_VIOLATION,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::LIMIT_REACHED,
        SqlState::OBJECT_NOT_IN_STATE,
    ];
}

/// Why a statement failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// Its class.
    pub state: SqlState,
    /// One line.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the statement: characters from 1.
    pub position: Option<u32>,
    /// Which statements of routines it happened in, the innermost first.
    pub context: Option<String>,
}

/// What everything in this crate returns.
pub type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    /// An error with just a message.
    pub fn new(state: SqlState, message: impl Into<String>) -> SqlError {
        SqlError { state, message: message.into(), detail: None, hint: None, position: None, context: None }
    }

    /// 0A000, naming the feature.
    pub fn not_supported(feature: &str) -> SqlError {
        SqlError::new(SqlState::NOT_SUPPORTED, alloc::format!("{feature} is not supported"))
    }

    /// With more about it.
    pub fn detail(mut self, detail: impl Into<String>) -> SqlError {
        self.detail = Some(detail.into());
        self
    }

    /// With what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// With where, unless that is known more exactly already.
    pub fn at(mut self, position: Option<u32>) -> SqlError {
        self.position = self.position.or(position);
        self
    }

    /// Whether what has failed would fail anywhere and at any time: the fault is the statement's, or its data's.
    pub fn is_of_statement(&self) -> bool {
        let class = self.state.0.get(..2).unwrap_or_default();
        // Connections, rollbacks, resources, operators, the system itself. A statement that wants too much memory is likely
        // to want it again.
        let is_of_statement = matches!(self.state, SqlState::QUERY_CANCELED | SqlState::OUT_OF_MEMORY);
        is_of_statement || !matches!(class, "08" | "40" | "53" | "57" | "58" | "XX")
    }

    /// It has happened in a statement of a routine. Where in that, is nowhere in the statement that the client sees.
    pub(crate) fn within(mut self, context: String) -> SqlError {
        self.position = None;
        match &mut self.context {
            None => self.context = Some(context),
            Some(known) => {
                known.push('\n');
                known.push_str(&context);
            }
        }
        self
    }

    /// An expression cannot be evaluated before a subquery has been run: see [`crate::memo`].
    pub(crate) fn pending() -> SqlError {
        SqlError::new(SqlState::PENDING, "a subquery is to be run")
    }

    /// Whether it is [`SqlError::pending`].
    pub(crate) fn is_pending(&self) -> bool {
        self.state == SqlState::PENDING
    }

    /// Stored bytes that do not decode.
    pub(crate) fn corrupted(what: &str) -> SqlError {
        SqlError::new(SqlState::DATA_CORRUPTED, alloc::format!("stored {what} does not decode"))
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.state.0)
    }
}

impl core::error::Error for SqlError {}

impl From<StoreError> for SqlError {
    fn from(error: StoreError) -> SqlError {
        let state = match error {
            // Others will give back what they hold.
            StoreError::MemoryFull => SqlState::INSUFFICIENT_RESOURCES,
            StoreError::ReadOnly => SqlState::READ_ONLY_TRANSACTION,
            StoreError::Read(error) => return error.into(),
            _ => SqlState::LIMIT_EXCEEDED,
        };
        SqlError::new(state, alloc::format!("{error}"))
    }
}

impl From<ReadError> for SqlError {
    fn from(error: ReadError) -> SqlError {
        let elsewhere = "Nothing was changed. Run the transaction on another node.";
        let (state, hint) = match error {
            ReadError::Device(..) => (SqlState::IO_ERROR, elsewhere),
            ReadError::Frame(..) => (SqlState::DATA_CORRUPTED, elsewhere),
            ReadError::Forgotten(_) => {
                (SqlState::SNAPSHOT_TOO_OLD, "The transaction might succeed if retried.")
            }
        };
        SqlError::new(state, alloc::format!("{error}")).hint(hint)
    }
}

impl From<cluster_numeric::Error> for SqlError {
    fn from(error: cluster_numeric::Error) -> SqlError {
        let answer = SqlError::new(SqlState(error.sqlstate()), alloc::format!("{error}"));
        SqlError { detail: error.detail(), ..answer }
    }
}

impl From<cluster_calendar::Error> for SqlError {
    fn from(error: cluster_calendar::Error) -> SqlError {
        let answer = SqlError::new(SqlState(error.sqlstate()), alloc::format!("{error}"));
        SqlError { hint: error.hint().map(String::from), ..answer }
    }
}

impl From<DatabaseError> for SqlError {
    fn from(error: DatabaseError) -> SqlError {
        match error {
            DatabaseError::NoQuorum => {
                SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the cluster has no quorum of nodes at present")
                    .hint("Nothing was changed. Try again when a majority of the nodes is up.")
            }
            DatabaseError::Conflict(_) => {
                let message = "could not serialize access due to concurrent update";
                SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
                    .hint("The transaction might succeed if retried.")
            }
            DatabaseError::DiskFull => SqlError::new(SqlState::DISK_FULL, "the data disk is full")
                .hint("Nothing was changed. Write less at once, delete rows, or restart the nodes with larger disks."),
            DatabaseError::Damaged => {
                let message = "the tables are damaged, and no other member has what they have lost";
                SqlError::new(SqlState::DATA_CORRUPTED, message)
                    .hint("Nothing was changed. Save what can be read, and begin anew on a blank disk.")
            }
            DatabaseError::MemoryFull => {
                SqlError::new(SqlState::OUT_OF_MEMORY, "the tables have reached their memory limit")
            }
            DatabaseError::Unknown => {
                let message = "the outcome of the commit is not known";
                SqlError::new(SqlState::OUTCOME_UNKNOWN, message)
                    .detail("It was sent, and its answer never came: it may or may not have taken place.")
            }
            DatabaseError::Rebuilding => {
                SqlError::new(SqlState::CANNOT_CONNECT_NOW, "this node is rebuilding its tables")
                    .hint("Nothing was changed. Ask another node, or this one a little later.")
            }
            DatabaseError::Founding => {
                SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the cluster is being founded: this is its only node so far")
                    .hint("Nothing was changed. Start the other machines; it serves once a second one has joined.")
            }
            DatabaseError::Removed => {
                SqlError::new(SqlState::CANNOT_CONNECT_NOW, "this node was removed from the cluster")
                    .hint("Nothing was changed. Ask another node; given a blank disk, this one joins again.")
            }
            DatabaseError::Unreadable(error) => error.into(),
            DatabaseError::NoSuchNode => {
                SqlError::new(SqlState::UNDEFINED_OBJECT, "the cluster has no such node")
                    .hint("SELECT id FROM sys.nodes lists them.")
            }
            DatabaseError::Silent(node) => {
                let message = alloc::format!("node {node} did not answer: whether its session was told is not known");
                SqlError::new(SqlState::CANNOT_CONNECT_NOW, message)
                    .hint("SELECT pid FROM sys.sessions shows whether it is still there.")
            }
            DatabaseError::NoQuorumLeft => {
                let message = "without that node, too few of the others would be up to go on";
                SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
                    .hint("Nothing was changed. Start the nodes that are down, or replace them, first.")
            }
            DatabaseError::NoSuccessor => {
                let message = "no node can take over leadership";
                SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
                    .hint("Nothing was changed. Name a voting node that is up, or try again later.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster_format::Version;
    use cluster_tree::{FrameError, FrameRef, Sum, TableId};

    use super::*;

    #[test]
    fn a_read_error_says_what_is_wrong_and_where_it_may_work() {
        let table = TableId(7);
        let frame = FrameRef { offset: 8, sectors: 2, sum: Sum([0; _]) };
        let elsewhere = "Nothing was changed. Run the transaction on another node.";
        let expected = [
            (ReadError::Device(table, frame), "58030", elsewhere),
            (ReadError::Frame(table, frame, FrameError::Damaged), "XX001", elsewhere),
            (ReadError::Forgotten(Version(5)), "72000", "The transaction might succeed if retried."),
        ];
        for (error, state, hint) in expected {
            let answer = SqlError::from(StoreError::Read(error));
            assert_eq!((answer.state.0, &answer.message), (state, &alloc::format!("{error}")));
            assert_eq!(answer.hint.as_deref(), Some(hint));
        }
    }
}
