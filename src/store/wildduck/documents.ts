import type { Binary, ObjectId } from 'mongodb';
import type { KeptSignature, OutgoingRecipient } from '../contract.ts';

/**
 * The documents that Teal writes and reads. Those of WildDuck are in WildDuck's own collections and have many more
 * fields, which its handlers fill; what Teal adds to one is under `teal`. Collections of Teal's own begin with `teal.`.
 */

/** Collection `users`. */
export interface UserDocument {
  readonly _id: ObjectId;
  /** The address, its local part encoded (see `usernameOf`). */
  readonly username: string;
  /** WildDuck's key for the name: unique, without dots. */
  readonly unameview: string;
  /** A PHC string. */
  readonly password: string;
  /** Bytes of mail. */
  readonly storageUsed: number;
  /** False while it is being made. */
  readonly activated: boolean;
  readonly created: Date;
  /** Missing in an account that WildDuck's own programs made. */
  readonly teal?: {
    readonly createdDay: number;
    readonly lastLoginDay: number;
    readonly acceptsCleartext?: boolean;
  };
}

/** Collection `mailboxes`. */
export interface MailboxDocument {
  readonly _id: ObjectId;
  readonly user: ObjectId;
  /** `INBOX`, or a name whose levels are parted by `/`. */
  readonly path: string;
  readonly uidValidity: number;
  /** Messages with this UID or above are still being written: nobody is shown them. */
  readonly uidNext: number;
  /** The highest MODSEQ. */
  readonly modifyIndex: number;
  readonly subscribed: boolean;
  readonly teal?: MailboxLock;
}

export interface MailboxLock {
  /** One more each time somebody takes the mailbox: who has an old number may not commit. */
  readonly fence: number;
  /** Who has it now. One that is left behind by a process that died is taken over when it is old. */
  readonly lease?: { readonly by: string; readonly at: Date };
  /** On INBOX: mailboxes of the account that are being renamed; done again where it was broken off. */
  readonly renames?: readonly { readonly id: ObjectId; readonly to: string }[];
}

/** Collection `messages`. */
export interface MessageDocument {
  readonly _id: ObjectId;
  readonly mailbox: ObjectId;
  readonly user: ObjectId;
  readonly uid: number;
  readonly modseq: number;
  readonly flags: readonly string[];
  readonly size: number;
  /** INTERNALDATE. */
  readonly idate: Date;
  readonly unseen: boolean;
  readonly undeleted: boolean;
  readonly thread: ObjectId;
  readonly magic: number;
  readonly mimeTree: {
    /** What comes after `teal.head`, where it is not in a file. */
    readonly body?: Binary;
    readonly attachmentMap?: Readonly<Record<string, ObjectId>>;
  };
  /** Missing in a message that WildDuck's own programs put there, until it is read for the first time. */
  readonly teal?: MessageExtra;
}

/** What Teal keeps beside WildDuck's own fields: with it the bytes come back as they were. */
export interface MessageExtra {
  readonly headerSize: number;
  /** When it came into this mailbox, in milliseconds. */
  readonly saved: number;
  /** The header block, exactly; missing where it is too long for a document: then all bytes are in the rest. */
  readonly head?: Binary;
  /** What comes after it, of a message that WildDuck parsed; else it is the body in WildDuck's tree, or the file. */
  readonly rest?: Binary;
  /** The file with what comes after it, where that is too long for a document. */
  readonly file?: ObjectId;
}

/** Collection `journal`: from it WildDuck's IMAP sessions hear of changes; removed after three hours. */
export interface JournalDocument {
  readonly _id?: ObjectId;
  readonly command: 'EXISTS' | 'EXPUNGE' | 'FETCH' | (string & {});
  readonly mailbox: ObjectId;
  readonly user: ObjectId;
  readonly message?: ObjectId;
  readonly uid?: number;
  readonly modseq: number;
  readonly flags?: readonly string[];
  readonly unseen?: boolean;
  readonly unseenChange?: boolean;
  readonly idate?: Date;
  readonly thread?: ObjectId;
  readonly created: Date;
}

/**
 * Collection `attachments.files`: WildDuck's file store, so that its programs serve these too. Ours are marked and
 * have ids of their own, never a hash that other mail shares.
 */
export interface FileDocument {
  readonly _id: ObjectId;
  readonly length: number;
  readonly chunkSize: number;
  readonly uploadDate: Date;
  readonly contentType: string;
  readonly metadata: {
    readonly teal: true;
    /** WildDuck's count of messages that have it, and its check sum of that count. */
    readonly c: number;
    readonly m: number;
    readonly transferEncoding: string;
    /** Readers that have it open. */
    readonly readers?: number;
    /** Until when they may go on if they are not heard of. */
    readonly pinnedUntil?: Date;
    /** No message has it; it goes with its last reader. */
    readonly dead?: boolean;
  };
}

/** Collection `attachments.chunks`. */
export interface ChunkDocument {
  readonly _id: ObjectId;
  readonly files_id: ObjectId;
  readonly n: number;
  readonly data: Binary;
}

/**
 * Collection `teal.plans`: what was accepted and is not yet wholly done. Durable before anything else is. One with
 * recipients elsewhere stays when it is done: then it is the message that the queue's rows are about.
 */
export interface PlanDocument {
  readonly _id: ObjectId;
  /** Since when somebody has been at it, by the database's clock; missing in one that is done. */
  readonly at?: Date;
  readonly fence: number;
  readonly now: number;
  readonly size: number;
  readonly headerSize: number;
  /** The message, where it has no file. */
  readonly message?: Binary;
  readonly head?: Binary;
  readonly file?: ObjectId;
  readonly magic: number;
  /** Missing when it is done; so are the recipients. */
  readonly deliveries?: readonly PlannedDelivery[];
  /** MAIL FROM on the way out; missing where nobody elsewhere gets it. */
  readonly sender?: string;
  readonly recipients?: readonly OutgoingRecipient[];
  /** What has put the rows into the queue; there when that is done. Rows of another run are of a try that failed. */
  readonly run?: ObjectId;
  readonly signature?: KeptSignature;
  /** Its id in the store that is being moved, while this one is being filled. */
  readonly moved?: string;
}

/** Collection `teal.queue`: one recipient elsewhere of one message. Times are the database's. */
export interface QueueRowDocument {
  readonly _id: ObjectId;
  /** The plan's. */
  readonly message: ObjectId;
  readonly run: ObjectId;
  /** Its place among the recipients. */
  readonly number: number;
  readonly destination: string;
  readonly recipient: string;
  readonly queuedAt: number;
  /** When it is to be tried; of a claimed one, when its lease ends. */
  readonly due: number;
  readonly attempts: number;
  /** Of the claim that has it (see fence.ts); 0 where nobody has. */
  readonly fence: number;
  readonly reason: string;
}

/** Collection `teal.queue.destinations`: see queue-destinations.ts. */
export interface QueueDestinationDocument {
  readonly _id: string;
  /** No row is due before; by the database's clock. */
  readonly due: number;
  /** Another one whenever a row may have become due earlier. */
  readonly version: ObjectId;
}

export interface PlannedDelivery {
  /** The message it becomes. */
  readonly id: ObjectId;
  readonly user: ObjectId;
  readonly push: boolean;
  readonly flags: readonly string[];
}

/** Collection `teal.doomed`: what is being removed, so that it is gone wholly even if the process dies in between. */
export interface DoomedDocument {
  /** The mailbox or the user. */
  readonly _id: ObjectId;
  readonly kind: 'mailbox' | 'account';
  readonly user: ObjectId;
  readonly at: Date;
}

/** Collection `teal.counters`. */
export interface CounterDocument {
  readonly _id: string;
  readonly value: number;
}
