//! Backups on their way to a client and back, as the bytes of a `COPY` that has no columns.

use alloc::boxed::Box;
use alloc::format;

use cluster_sql::database::Database;
use cluster_sql::{Backup, Restore, SqlError, SqlState, Tag};

use crate::Connection;
use crate::client::{CHUNK_LEN, Ended, Stop};
use crate::frontend::Message;
use crate::serve::{Backend, violation};

impl<C: Connection, D: Database> Backend<C, D> {
    pub(crate) async fn backup(&mut self, mut backup: Box<Backup>) -> Result<Tag, Stop> {
        self.client.out.copy_bytes_response(false);
        while let Some(bytes) = self.session.backup_data(&mut backup).await? {
            for piece in bytes.chunks(CHUNK_LEN) {
                self.client.out.copy_data(piece);
                self.client.flush_if_long().await?;
            }
        }
        self.client.out.copy_done();
        Ok(backup.tag())
    }

    /// A restore that does not come to its end is undone, whether its client waits for that or has gone.
    pub(crate) async fn restore(&mut self, mut restore: Box<Restore>) -> Result<Tag, Stop> {
        let restored = self.restore_from_client(&mut restore).await;
        if restored.is_err() {
            self.session.undo_restore(&restore).await;
        }
        restored
    }

    async fn restore_from_client(&mut self, restore: &mut Restore) -> Result<Tag, Stop> {
        self.client.out.copy_bytes_response(true);
        self.client.flush().await?;
        loop {
            match self.client.message().await? {
                Message::CopyData(data) => self.session.restore_data(restore, &data).await?,
                Message::CopyDone => return Ok(self.session.restore_done(restore).await?),
                Message::CopyFail(reason) => {
                    let message = format!("RESTORE failed: {reason}");
                    return Err(SqlError::new(SqlState::QUERY_CANCELED, message).into());
                }
                Message::Flush | Message::Sync => {}
                Message::Terminate => return Err(Ended::Closed.into()),
                _ => return Err(violation("unexpected message during RESTORE".into()).into()),
            }
        }
    }
}
