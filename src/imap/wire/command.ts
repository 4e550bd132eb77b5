import type { SequenceSet } from './sequence-set.ts';

/**
 * Every command the engine understands, as data. Strings are decoded: mailbox names from modified UTF-7 (`INBOX` in
 * capitals whatever the client wrote), other strings from UTF-8. What only the session can judge (state, whether the
 * mailbox exists, which capabilities are offered) is not judged here.
 */
export type Command =
  | SessionCommand
  | LoginCommand
  | MailboxCommand
  | ListCommand
  | AppendCommand
  | MessageCommand
  | QuotaCommand
  | MetadataCommand;

/** `parseCommand` answers with one of these; a problem is the text of a BAD, without the word. */
export type Parsed =
  | { readonly tag: string; readonly command: Command }
  /** Without a tag the answer is `* BAD`. */
  | { readonly tag?: string; readonly problem: string };

/** RFC 9051 6.1, 6.3.1, 6.3.13, RFC 2971 ID, RFC 4978 COMPRESS. */
export type SessionCommand =
  | { readonly name: 'CAPABILITY' | 'NOOP' | 'LOGOUT' | 'STARTTLS' | 'NAMESPACE' | 'IDLE' }
  /** RFC 2971: `fields` is undefined for `ID NIL`; names in lower case; a value may be NIL. */
  | { readonly name: 'ID'; readonly fields: ReadonlyMap<string, string | undefined> | undefined }
  /** RFC 5161; in capitals, unknown ones are not an error. */
  | { readonly name: 'ENABLE'; readonly capabilities: readonly string[] }
  /** In capitals. */
  | { readonly name: 'COMPRESS'; readonly mechanism: string };

/** RFC 9051 6.2. */
export type LoginCommand =
  | { readonly name: 'LOGIN'; readonly username: string; readonly password: string }
  /** `mechanism` in capitals; `initial` (RFC 4959) is the base64 text as sent, `=` already made the empty string. */
  | { readonly name: 'AUTHENTICATE'; readonly mechanism: string; readonly initial?: string };

/** RFC 9051 6.3.2 to 6.3.8, 6.3.11, 6.4.1 and 6.4.2, RFC 3691, RFC 3501 6.4.1 CHECK. */
export type MailboxCommand =
  /** RFC 7162 3.1.8: `condstore` when the client added `(CONDSTORE)`. */
  | { readonly name: 'SELECT' | 'EXAMINE'; readonly mailbox: string; readonly condstore: boolean }
  | { readonly name: 'CREATE' | 'DELETE' | 'SUBSCRIBE' | 'UNSUBSCRIBE'; readonly mailbox: string }
  | { readonly name: 'RENAME'; readonly from: string; readonly to: string }
  /** Each item once, in the client's order. */
  | { readonly name: 'STATUS'; readonly mailbox: string; readonly items: readonly StatusItem[] }
  | { readonly name: 'CHECK' | 'CLOSE' | 'UNSELECT' };

/** RFC 9051 6.3.11, RFC 7162 3.1.7 for HIGHESTMODSEQ. */
export const statusItems = [
  'MESSAGES',
  'RECENT',
  'UIDNEXT',
  'UIDVALIDITY',
  'UNSEEN',
  'HIGHESTMODSEQ',
  'SIZE',
  'DELETED',
] as const;
export type StatusItem = (typeof statusItems)[number];

/** RFC 9051 6.3.9, RFC 5258; RFC 3501 6.3.9 LSUB. Patterns keep their `*` and `%`, see mailbox-pattern.ts. */
export type ListCommand =
  | {
      readonly name: 'LIST';
      readonly reference: string;
      /** At least one. */
      readonly patterns: readonly string[];
      /** Option names in capitals (SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE …); empty for a plain LIST. */
      readonly selection: readonly string[];
      /** As above, of `RETURN (…)`; `STATUS` stands here too, and its items in `status`. */
      readonly returns: readonly string[];
      readonly status: readonly StatusItem[];
    }
  | { readonly name: 'LSUB'; readonly reference: string; readonly pattern: string };

/** RFC 9051 6.3.12, one message. */
export interface AppendCommand {
  readonly name: 'APPEND';
  readonly mailbox: string;
  readonly flags: readonly string[];
  /** Milliseconds since 1970. */
  readonly internalDate?: number;
  /** The literal's own bytes; may be empty (the session refuses that). */
  readonly message: Buffer;
}

/** RFC 9051 6.4, RFC 6851 MOVE, RFC 4315 UID EXPUNGE. `uid`: the `UID` form; sets then hold UIDs. */
export type MessageCommand =
  /** `set` for `UID EXPUNGE` alone. */
  | { readonly name: 'EXPUNGE'; readonly set?: SequenceSet }
  | {
      readonly name: 'SEARCH';
      readonly uid: boolean;
      /** In capitals; undefined means US-ASCII or UTF-8. Others than these two want `NO [BADCHARSET (…)]`. */
      readonly charset?: string;
      /** RFC 4731 `RETURN (…)`, in capitals; undefined for a plain SEARCH. */
      readonly returns?: readonly string[];
      readonly key: SearchKey;
    }
  | {
      readonly name: 'FETCH';
      readonly uid: boolean;
      readonly set: SequenceSet;
      /** Macros expanded, each item once. The UID form does not add UID here. */
      readonly items: readonly FetchItem[];
      /** RFC 7162 3.1.4.1. */
      readonly changedSince?: number;
    }
  | {
      readonly name: 'STORE';
      readonly uid: boolean;
      readonly set: SequenceSet;
      readonly action: 'set' | 'add' | 'remove';
      readonly silent: boolean;
      readonly flags: readonly string[];
      /** RFC 7162 3.1.3. */
      readonly unchangedSince?: number;
    }
  | {
      readonly name: 'COPY' | 'MOVE';
      readonly uid: boolean;
      readonly set: SequenceSet;
      readonly mailbox: string;
    };

/** RFC 9208. `root` is '' for the unnamed one. */
export type QuotaCommand =
  | { readonly name: 'GETQUOTA'; readonly root: string }
  | { readonly name: 'GETQUOTAROOT'; readonly mailbox: string }
  | {
      readonly name: 'SETQUOTA';
      readonly root: string;
      readonly limits: readonly { readonly resource: string; readonly limit: number }[];
    };

/** RFC 5464. `mailbox` is '' for the server; entry names are in lower case (they are case-insensitive, section 2.1). */
export type MetadataCommand =
  | {
      readonly name: 'GETMETADATA';
      readonly mailbox: string;
      /** At least one. */
      readonly entries: readonly string[];
      readonly depth: 0 | 1 | 'infinity';
      /** Values longer than this many octets are left out. */
      readonly maxSize?: number;
    }
  | {
      readonly name: 'SETMETADATA';
      readonly mailbox: string;
      /** At least one; no value (NIL) removes the entry. */
      readonly entries: readonly { readonly entry: string; readonly value: Buffer | undefined }[];
    };

// ---- FETCH ---------------------------------------------------------------------------------------------------------

/** RFC 9051 6.4.5, RFC 7162 MODSEQ. */
export type FetchItem =
  | {
      readonly kind:
        'FLAGS' | 'UID' | 'INTERNALDATE' | 'RFC822.SIZE' | 'ENVELOPE' | 'BODY' | 'BODYSTRUCTURE' | 'MODSEQ';
    }
  | FetchSection;

export interface FetchSection {
  readonly kind: 'SECTION';
  /** Does not set \Seen. */
  readonly peek: boolean;
  readonly section: Section;
  /** `<start.length>`; length at least 1. */
  readonly partial?: { readonly start: number; readonly length: number };
  /** The item's name in the answer, without the partial: `BODY[1.2.MIME]`, `RFC822.HEADER`. */
  readonly label: string;
}

/** RFC 9051 `section-spec`. `part` is empty for the whole message, else 1-based numbers. */
export interface Section {
  readonly part: readonly number[];
  /** `whole` is `BODY[]` or `BODY[1.2]`; `mime` comes with a part only. */
  readonly what: 'whole' | 'header' | 'header-fields' | 'header-fields-not' | 'text' | 'mime';
  /** In lower case; for `header-fields` and `header-fields-not`, at least one; else empty. */
  readonly fields: readonly string[];
}

// ---- SEARCH --------------------------------------------------------------------------------------------------------

/** RFC 9051 6.4.4, RFC 7162 3.1.5. Several keys in a row are one `and`. */
export type SearchKey =
  | { readonly kind: 'all' }
  /** RECENT and NEW: there is no \Recent here (RFC 9051 2.3.2). */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'and'; readonly keys: readonly SearchKey[] }
  | { readonly kind: 'or'; readonly keys: readonly SearchKey[] }
  | { readonly kind: 'not'; readonly key: SearchKey }
  | { readonly kind: 'numbers' | 'uids'; readonly set: SequenceSet }
  /** System flags in RFC spelling, keywords as written; compared without case. */
  | { readonly kind: 'flag'; readonly flag: string }
  /** `day` counts days since 1970-01-01 as calendar dates, without time zone. */
  | {
      readonly kind: 'internal-date' | 'sent-date';
      readonly relation: 'before' | 'on' | 'since';
      readonly day: number;
    }
  | { readonly kind: 'size'; readonly relation: 'larger' | 'smaller'; readonly size: number }
  /** `field` in lower case; an empty value asks whether the field is there. */
  | { readonly kind: 'header'; readonly field: string; readonly value: Buffer }
  | { readonly kind: 'body' | 'text'; readonly value: Buffer }
  | { readonly kind: 'modseq'; readonly modseq: number };
