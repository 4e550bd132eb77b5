/**
 * What a message is made of, for FETCH: ENVELOPE, BODY, BODYSTRUCTURE and sections, always as places in the message's
 * own bytes. Pure; never throws, whatever the message; linear in its size.
 */
export { bodyStructureOf } from './structure/body-structure.ts';
export { envelopeOf } from './structure/envelope.ts';
export { parseParts } from './structure/parts.ts';
export type { Part } from './structure/parts.ts';
export { bytesOfSection, clipRange, locateSection, needsOfSection } from './structure/section.ts';
export type { KnownMessage, Located, Range } from './structure/section.ts';
