/**
 * Mail on its way out. Ids of messages are never given twice (AUTOINCREMENT): who still holds a batch that was settled by
 * another finds nothing, not somebody else's mail.
 */
export const queue = `
  CREATE TABLE queue_message (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,  -- ascending as they came
    body             INTEGER NOT NULL REFERENCES body (id),
    sender           TEXT    NOT NULL,
    queued_at        INTEGER NOT NULL,
    signature_keys   TEXT,  -- NULL: not signed yet
    signature_fields TEXT,
    moved            TEXT,  -- while \`teal move\` fills this store: its id in the source
    CHECK ((signature_keys IS NULL) = (signature_fields IS NULL))
  ) STRICT;
  CREATE INDEX queue_message_body ON queue_message (body);
  CREATE UNIQUE INDEX queue_message_moved ON queue_message (moved) WHERE moved IS NOT NULL;

  CREATE TABLE queue_row (
    message          INTEGER NOT NULL REFERENCES queue_message (id),
    destination      TEXT    NOT NULL,
    number           INTEGER NOT NULL,  -- its place among the recipients of the message
    recipient        TEXT    NOT NULL,
    attempts         INTEGER NOT NULL,
    due              INTEGER NOT NULL,  -- while it is claimed: when the lease ends
    claimed          INTEGER NOT NULL,
    fence            INTEGER NOT NULL,
    reason           TEXT    NOT NULL,
    PRIMARY KEY (message, destination, number)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX queue_row_due ON queue_row (destination, due);

  -- The earliest of each destination, so that a claim steps over a destination, not over its rows.
  CREATE TABLE queue_destination (
    destination      TEXT    NOT NULL PRIMARY KEY,
    due              INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX queue_destination_due ON queue_destination (due);
`;
