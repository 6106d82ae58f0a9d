//! How far the schemas of services have been run: see [`crate::ServiceSchema`].

use cluster_format::KeyRange;
use cluster_store::{SYSTEM_SPACE, Transaction};

use super::{SYS, descriptor_key};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::key::{TABLE_SPACE, table_prefix};

const SERVICES: u8 = 6;

/// The ids of what services define begin here: those of users are counted from 1.
const SERVICE_IDS: u32 = 0xf000_0000;

/// Ids of each service.
const IDS_MAX: u32 = 256;

/// What has been done for a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Statements of its schema that have been run.
    pub(crate) statements: u32,
    /// Ids that they have taken.
    pub(crate) ids: u32,
}

/// The id of the `number`th table, index, view or sequence that the service defines.
pub const fn service_id(service: u8, number: u8) -> u32 {
    SERVICE_IDS + service as u32 * IDS_MAX + number as u32
}

/// Where what services have defined is described: all of schema `sys`.
pub(crate) fn descriptors() -> KeyRange {
    // Up to the end of the schema's name.
    let mut prefix = descriptor_key(SYS, "");
    prefix.pop();
    KeyRange::prefix(&prefix)
}

/// Where the rows of services' tables are.
pub(super) fn rows() -> KeyRange {
    KeyRange { start: table_prefix(SERVICE_IDS).into(), end: KeyRange::prefix(&[TABLE_SPACE]).end }
}

/// What has been done for the service.
pub(crate) async fn service(number: u8, transaction: &mut Transaction) -> SqlResult<Service> {
    let Some(bytes) = transaction.get(&[SYSTEM_SPACE, SERVICES, number]).await? else {
        return Ok(Service::default());
    };
    let halves = bytes.split_first_chunk().and_then(|(first, rest)| Some((*first, rest.try_into().ok()?)));
    let (statements, ids) = halves.ok_or_else(|| SqlError::corrupted("state of a service"))?;
    Ok(Service { statements: u32::from_be_bytes(statements), ids: u32::from_be_bytes(ids) })
}

pub(crate) fn put_service(number: u8, service: Service, transaction: &mut Transaction) -> SqlResult<()> {
    let value = [service.statements.to_be_bytes(), service.ids.to_be_bytes()].concat();
    Ok(transaction.put(&[SYSTEM_SPACE, SERVICES, number], &value)?)
}

/// Takes the id of something that the service defines.
pub(super) async fn take_service_id(number: u8, transaction: &mut Transaction) -> SqlResult<u32> {
    let mut service = service(number, transaction).await?;
    let own = u8::try_from(service.ids)
        .map_err(|_| SqlError::new(SqlState::LIMIT_EXCEEDED, "no ids are left for this service"))?;
    service.ids += 1;
    put_service(number, service, transaction)?;
    Ok(service_id(number, own))
}
