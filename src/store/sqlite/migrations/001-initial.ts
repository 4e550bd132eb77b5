/**
 * Ids of accounts and mailboxes are never given twice (AUTOINCREMENT): a session that still holds the id of a removed
 * one finds nothing, not somebody else's mail.
 */
export const initial = `
  CREATE TABLE account (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    address          TEXT    NOT NULL UNIQUE,
    password_hash    TEXT    NOT NULL,
    created_day      INTEGER NOT NULL,
    last_login_day   INTEGER NOT NULL,
    accepts_cleartext INTEGER NOT NULL DEFAULT 0,
    used             INTEGER NOT NULL DEFAULT 0  -- bytes, the sum of its messages' sizes
  ) STRICT;

  CREATE TABLE mailbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id        TEXT    NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),  -- RFC 8474 MAILBOXID
    account          INTEGER REFERENCES account (id),  -- NULL: removed, its messages go in slices
    name             TEXT    NOT NULL,
    uid_validity     INTEGER NOT NULL CHECK (uid_validity BETWEEN 1 AND 4294967295),
    uid_next         INTEGER NOT NULL DEFAULT 1,
    highest_modseq   INTEGER NOT NULL DEFAULT 1,  -- RFC 7162 3.1.1: never 0
    expunged_floor   INTEGER NOT NULL DEFAULT 0,  -- expunges of this modseq and below are forgotten
    subscribed       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, name)
  ) STRICT;

  -- The bytes of a message, once for all rows of \`message\` that name it. Up to 256 KB they are \`header\` and \`text\`;
  -- above that \`file\` holds them whole and \`header\` has the header block again, so that lists need no file.
  CREATE TABLE body (
    id               INTEGER PRIMARY KEY,
    object_id        TEXT    NOT NULL DEFAULT (lower(hex(randomblob(16)))),  -- RFC 8474 EMAILID
    size             INTEGER NOT NULL,
    header_size      INTEGER NOT NULL CHECK (header_size BETWEEN 0 AND size),
    file             TEXT,
    header           BLOB,  -- NULL: too long to be kept beside the file
    text             BLOB,
    CHECK ((file IS NULL) = (text IS NOT NULL)),
    CHECK (file IS NOT NULL OR header IS NOT NULL)
  ) STRICT;
  CREATE UNIQUE INDEX body_file ON body (file) WHERE file IS NOT NULL;

  CREATE TABLE message (
    mailbox          INTEGER NOT NULL REFERENCES mailbox (id),
    uid              INTEGER NOT NULL,
    modseq           INTEGER NOT NULL,
    flags            INTEGER NOT NULL,  -- system flags, the bits of flags.ts
    keywords         TEXT    NOT NULL,  -- parted by a space
    size             INTEGER NOT NULL,
    header_size      INTEGER NOT NULL,
    internal_date    INTEGER NOT NULL,
    save_date        INTEGER NOT NULL,
    body             INTEGER NOT NULL REFERENCES body (id),
    PRIMARY KEY (mailbox, uid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX message_modseq ON message (mailbox, modseq);
  CREATE INDEX message_body ON message (body);
  CREATE INDEX message_deleted ON message (mailbox, uid) WHERE (flags & 8) != 0;

  CREATE TABLE expunged (
    mailbox          INTEGER NOT NULL REFERENCES mailbox (id),
    modseq           INTEGER NOT NULL,
    uid              INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, uid)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE device_token (
    account          INTEGER NOT NULL REFERENCES account (id),
    token            TEXT    NOT NULL,
    set_at           INTEGER NOT NULL,
    PRIMARY KEY (account, token)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX device_token_token ON device_token (token);

  CREATE TABLE push_job (
    token            TEXT    NOT NULL PRIMARY KEY,
    attempts         INTEGER NOT NULL,
    since            INTEGER NOT NULL,
    due              INTEGER NOT NULL,  -- while it is claimed: when the lease ends
    claim            TEXT    NOT NULL,  -- '' while nobody has it
    again            INTEGER NOT NULL   -- a message came since it was claimed
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX push_job_due ON push_job (due);

  CREATE TABLE value (
    key              TEXT    NOT NULL PRIMARY KEY,
    value            TEXT    NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE counter (
    name             TEXT    NOT NULL PRIMARY KEY,
    value            INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO counter (name, value) VALUES ('uid_validity', 0), ('ping', 0);
`;
