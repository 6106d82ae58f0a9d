//! Files: `/files/PATH`.
//!
//! ```text
//! GET, HEAD    a file, or a part of it (Range); a directory, as JSON; with ?stat, what is known of either
//! PUT          a file in the place of what has that name; or, with Content-Range, a part of one
//! DELETE       a file or an empty directory; with ?recursive, all that is below of it
//! MKCOL        a directory (RFC 4918)
//! MOVE         another name, in the field Destination (RFC 4918)
//! ```
//! What is read is of one version, however long it takes. A file that is put is there at once, when it has arrived: one that
//! is too long for a transaction gathers under another name beside it, `.NAME.HEX.part`.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_services::files::{
    self, FILE_LEN_MAX, FileError, Inode, Kind, LIST_MAX, NAME_LEN_MAX, New, Problem, READ_LEN_MAX,
};
use cluster_sql::Session;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::types::Json;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::change::{Attributes, Change, What, check, tag};
use super::exchange::Exchange;
use super::head::{Head, path_of};
use super::range::{self, Wanted};
use super::response::{Response, Stop, http_date};
use crate::Connection;

/// Bytes that are written in one transaction.
const PIECE_LEN: usize = 1 << 20;

/// What of a path is escaped where it is part of a URL.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

pub(super) const METHODS: &str = "GET, HEAD, PUT, DELETE, MKCOL, MOVE";

/// The path of a file, of the path of a request.
pub(super) fn path_in(target: &str) -> Option<&str> {
    match target.strip_prefix("/files")? {
        "" => Some("/"),
        path => path.starts_with('/').then_some(path),
    }
}

/// Where a file is, as a client may ask for it.
pub(super) fn location(path: &str) -> String {
    format!("/files{}", utf8_percent_encode(path, ESCAPED))
}

impl<C: Connection, D: Database> Exchange<C, D> {
    /// Answers a request about what is at `path`.
    pub(super) async fn files(&mut self, head: &Head, path: &str) -> Result<(), Stop> {
        let response = match head.method.as_str() {
            "GET" | "HEAD" => return self.get_file(head, path).await,
            "PUT" => self.put_file(head, path).await?,
            "DELETE" => self.delete_file(head, path).await?,
            "MKCOL" => self.make_directory(head, path).await?,
            "MOVE" => self.move_file(head, path).await?,
            _ => super::not_allowed(METHODS),
        };
        self.respond(response).await
    }

    /// A block that reads what is confirmed is open until it has been answered.
    async fn get_file(&mut self, head: &Head, path: &str) -> Result<(), Stop> {
        self.begin_work();
        self.session.begin_on(Freshness::Linearizable).await?;
        let answered = self.get_file_within(head, path).await;
        self.session.abandon_block();
        self.end_work();
        answered
    }

    async fn get_file_within(&mut self, head: &Head, path: &str) -> Result<(), Stop> {
        if head.parameter("stat").is_some() {
            let inode = files::stat_link(&mut self.session, path).await?;
            let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            return self.respond(Response::json(200, &entry(name, &inode))).await;
        }
        let inode = files::stat(&mut self.session, path).await?;
        if inode.kind == Kind::Directory {
            let listing = list(&mut self.session, head, path).await?;
            return self.respond(listing).await;
        }
        let tag = tag(&inode);
        let response = |status, media_type: Option<&str>| {
            let response = Response::empty(status)
                .with("ETag", tag.clone())
                .with("Last-Modified", http_date(inode.modified_at))
                .with("Accept-Ranges", "bytes")
                // What is kept here is nobody's page, and runs nothing in a browser that it could do everything from.
                .with("X-Content-Type-Options", "nosniff")
                .with("Content-Security-Policy", "sandbox");
            match media_type {
                Some(media_type) => response.with("Content-Type", media_type),
                None => response,
            }
        };
        if head.field("if-none-match").is_some() && check(head, Some(&inode)).is_err() {
            return self.respond(response(304, None)).await;
        }
        check(head, Some(&inode))?;
        // A part of another version is no part of this one.
        let range = head.field("range").filter(|_| head.field("if-range").is_none_or(|known| known == tag));
        let media_type = Some(media_type_of(path));
        let size = inode.size;
        let (response, start, len) = match range::wanted(range, size) {
            Wanted::Whole => (response(200, media_type), 0, size),
            Wanted::Part { start, len } => {
                let range = format!("bytes {start}-{}/{size}", start + len - 1);
                (response(206, media_type).with("Content-Range", range), start, len)
            }
            Wanted::Nothing => {
                let refusal = Response::error(416, &format!("the file has {size} bytes"), None);
                return self.respond(refusal.with("Content-Range", format!("bytes */{size}"))).await;
            }
        };
        if self.begin_response(&response, len).await? {
            // Once it is begun, an answer that cannot be gone on with ends with the connection.
            return self.send_file(path, start, len).await.map_err(|_| Stop::Closed);
        }
        Ok(())
    }

    async fn send_file(&mut self, path: &str, start: u64, len: u64) -> Result<(), Stop> {
        let piece_len = usize::try_from(len).unwrap_or(usize::MAX).min(READ_LEN_MAX);
        let _lease = self.lease(piece_len)?;
        let (mut at, end) = (start, start + len);
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece_len);
            self.begin_work();
            let piece = files::read(&mut self.session, path, at, most).await?;
            self.end_work();
            self.write(&piece).await?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    async fn put_file(&mut self, head: &Head, path: &str) -> Result<Response, Stop> {
        let known = self.body_len();
        if known.is_some_and(|len| len > FILE_LEN_MAX) {
            return Err(FileError::new(path, Problem::TooLarge).into());
        }
        let lease = self.lease_for_body(PIECE_LEN)?;
        let mut piece = Vec::with_capacity(lease.len());
        if let Some(range) = head.field("content-range") {
            return self.put_part(head, path, range, piece).await;
        }
        let attributes = Attributes::of(head)?;
        let change = |what| Change { path, what, expects: head };
        let found = if known.is_some_and(|len| len <= PIECE_LEN as u64) {
            self.body(&mut piece, PIECE_LEN).await?;
            self.change(change(What::Put(attributes, &piece))).await?
        } else {
            // What cannot be is found out before a long body is sent.
            let found = self.change(change(What::Look)).await?;
            let new = attributes.of_file(found.as_ref());
            let beside = self.name_beside(path);
            let put = self.gather(head, path, &beside, new, &mut piece).await;
            if put.is_err() {
                // Whatever has happened, what has gathered is not wanted any more. A node that is lost leaves it behind, as a
                // session does that somebody has ended.
                let _ = self.change(change(What::Forget(&beside))).await;
            }
            put?
        };
        let status = if found.is_some() { 204 } else { 201 };
        Ok(Response::empty(status).with("Location", location(path)))
    }

    /// Lets a long body gather at `beside`, and puts it in its place; what was there.
    async fn gather(
        &mut self,
        head: &Head,
        path: &str,
        beside: &str,
        new: New<'_>,
        piece: &mut Vec<u8>,
    ) -> Result<Option<Inode>, Stop> {
        let mut is_over = self.body(piece, PIECE_LEN).await?;
        self.change(Change { path, what: What::Begin(beside, new, piece), expects: head }).await?;
        let mut at = piece.len() as u64;
        while !is_over {
            piece.clear();
            is_over = self.body(piece, PIECE_LEN).await?;
            self.change(Change { path, what: What::Gather(beside, at, piece), expects: head }).await?;
            at += piece.len() as u64;
        }
        self.change(Change { path, what: What::Place(beside), expects: head }).await
    }

    /// A name that nothing has, in the same directory.
    fn name_beside(&self, path: &str) -> String {
        let slash = path.rfind('/').map_or(0, |slash| slash + 1);
        let (directory, name) = path.split_at(slash);
        let name = &name[..name.floor_char_boundary(NAME_LEN_MAX - 32)];
        format!("{directory}.{name}.{:016x}.part", self.random())
    }

    async fn put_part(
        &mut self,
        head: &Head,
        path: &str,
        range: &str,
        mut piece: Vec<u8>,
    ) -> Result<Response, Stop> {
        let Some((start, len)) = range::sent(range) else {
            let message = "Content-Range says where the bytes belong, as 'bytes 0-99/*' does";
            return Err(Response::error(400, message, None).into());
        };
        if len > PIECE_LEN as u64 {
            let message = format!("a part may have {PIECE_LEN} bytes");
            return Err(Response::error(413, &message, Some("Send several, one behind the other.")).into());
        }
        let is_over = self.body(&mut piece, PIECE_LEN).await?;
        if !is_over || piece.len() as u64 != len {
            let more = if is_over { "" } else { " and more" };
            let message =
                format!("Content-Range promises {len} bytes, and the body has {}{more}", piece.len());
            return Err(Response::error(400, &message, None).into());
        }
        self.change(Change { path, what: What::Write(start, &piece), expects: head }).await?;
        Ok(Response::empty(204))
    }

    async fn delete_file(&mut self, head: &Head, path: &str) -> Result<Response, Stop> {
        let what = What::Remove { is_recursive: head.parameter("recursive").is_some() };
        self.change(Change { path, what, expects: head }).await?;
        Ok(Response::empty(204))
    }

    async fn make_directory(&mut self, head: &Head, path: &str) -> Result<Response, Stop> {
        self.whole_body(0).await?;
        let what = What::MakeDirectory(Attributes::of(head)?);
        self.change(Change { path, what, expects: head }).await?;
        Ok(Response::empty(201).with("Location", location(path)))
    }

    async fn move_file(&mut self, head: &Head, path: &str) -> Result<Response, Stop> {
        let destination = head.field("destination").map(path_of).transpose()?;
        let Some(to) = destination.as_deref().and_then(path_in) else {
            let message = "the field Destination says where to, as '/files/PATH' does";
            return Err(Response::error(400, message, None).into());
        };
        let what = What::Move { to, may_replace: head.field("overwrite") != Some("F") };
        let replaced = self.change(Change { path, what, expects: head }).await?;
        let status = if replaced.is_some() { 204 } else { 201 };
        Ok(Response::empty(status).with("Location", location(to)))
    }
}

/// The entries of a directory, from the first behind `after` on.
async fn list<D: Database>(session: &mut Session<D>, head: &Head, path: &str) -> Result<Response, Stop> {
    let after = head.parameter("after").unwrap_or_default();
    let most =
        head.parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let entries = files::list(session, path, after, most).await?;
    let next = match entries.last() {
        Some((last, _)) if entries.len() == most => Json::String(last.clone()),
        _ => Json::Null,
    };
    let entries = entries.iter().map(|(name, inode)| entry(name, inode)).collect();
    let listing = vec![("entries".into(), Json::Array(entries)), ("next".into(), next)];
    Ok(Response::json(200, &Json::object(listing)))
}

fn entry(name: &str, inode: &Inode) -> Json {
    let text = |value: &str| Json::String(value.into());
    let mut pairs = vec![
        ("name".into(), text(name)),
        ("kind".into(), text(inode.kind.name())),
        ("size".into(), Json::Number(i64::try_from(inode.size).unwrap_or(i64::MAX).into())),
        ("mode".into(), text(&format!("{:04o}", inode.mode))),
        ("owner".into(), text(&inode.owner)),
        ("modified_at".into(), text(&inode.modified_at.to_text(&cluster_calendar::Zone::utc()))),
    ];
    pairs.extend(inode.target.as_deref().map(|target| ("target".into(), text(target))));
    Json::object(pairs)
}

/// What browsers show, and what they do not take for anything else.
fn media_type_of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("txt" | "log" | "md" | "csv" | "sql" | "wat") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("pdf") => "application/pdf",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
