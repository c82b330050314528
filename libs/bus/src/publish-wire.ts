import { MsgHdrsImpl, type Msg } from '@nats-io/nats-core';
import { MessageTooLarge, PublishRefused, SubjectOccupied, WrongLastSequence } from './bus-errors.ts';

export interface PublishOptions {
  /** Deduplication id within the stream's window. Default: one of this publish, so that its own retries are safe. */
  readonly msgId?: string;
  /** Names are case-sensitive on NATS. Values may not hold CR or LF; blanks at their ends are lost. */
  readonly headers?: readonly (readonly [string, string])[];
  /** Last sequence of the subject, 0 for none: optimistic concurrency. */
  readonly expectedLastSubjectSeq?: number;
  /**
   * The subject that `expectedLastSubjectSeq` is of. Wildcards make it the last of all that match. Default: that of the message.
   * On a replicated stream it keeps apart those who name the same one; another's write below it that is still on its way
   * to the replicas is not looked at (source of nats-server 2.15.1).
   */
  readonly expectedLastSubject?: string;
  /** How long to go on trying, with the same id. Default 10 s. */
  readonly timeoutMs?: number;
}

export interface PublishAck {
  readonly seq: number;
  /**
   * The stream had this id before this publish; `seq` is that of the first. False when the publish had to be sent again:
   * the id that the stream had may be that of its own first try.
   */
  readonly duplicate: boolean;
  /** On a stream of counters: the total with this increment. Absent when the stream had the id already; the message at `seq` has it. */
  readonly total?: number;
}

/** What came back for one message. `trouble` goes away by itself: a leader is elected, a stream is made. */
export type PublishAnswer =
  | { readonly kind: 'stored'; readonly ack: PublishAck }
  | { readonly kind: 'refused'; readonly error: Error }
  | { readonly kind: 'trouble'; readonly trouble: string };

const encoder = new TextEncoder();
const HEADER_NAME = /^[!-9;-~]+$/;
const LINE_BREAK = /[\r\n]/;

/** Headers as the bytes that go on the wire, made once for all tries. `append` of the client searches all keys each time. */
export class EncodedHeaders extends MsgHdrsImpl {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }

  override encode(): Uint8Array {
    return this.bytes;
  }
}

/**
 * @throws PublishRefused on a name or value that would break the header block
 */
export function encodeHeaders(options: PublishOptions, ownId: string): EncodedHeaders {
  let text = `NATS/1.0\r\nNats-Msg-Id: ${checked('Nats-Msg-Id', options.msgId ?? ownId)}\r\n`;
  if (options.expectedLastSubjectSeq !== undefined) {
    text += `Nats-Expected-Last-Subject-Sequence: ${options.expectedLastSubjectSeq}\r\n`;
  }
  if (options.expectedLastSubject !== undefined) {
    text += `Nats-Expected-Last-Subject-Sequence-Subject: ${options.expectedLastSubject}\r\n`;
  }
  for (const [name, value] of options.headers ?? []) {
    if (!HEADER_NAME.test(name)) throw new PublishRefused(`not a header name: ${JSON.stringify(name)}`);
    text += `${name}: ${checked(name, value)}\r\n`;
  }
  return new EncodedHeaders(encoder.encode(`${text}\r\n`));
}

function checked(name: string, value: string): string {
  if (LINE_BREAK.test(value)) throw new PublishRefused(`the value of header ${name} has a line break`);
  return value;
}

interface WireAnswer {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly val?: string;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

const WRONG_LAST_SEQUENCE: readonly (number | undefined)[] = [10071, 10164];
const TOO_LARGE = 10054;
/** This code is that of every refused store; only its text tells a full subject from a full stream. */
const STORE_FAILED = 10077;
const SUBJECT_FULL = 'maximum messages per subject exceeded';
/** The first try of this id is still on its way through the cluster. */
const DUPLICATE_IN_PROCESS = 10158;

export function parsePublishAnswer(message: Msg): PublishAnswer {
  if (message.data.length === 0) {
    return { kind: 'trouble', trouble: 'no stream has this subject, or it has no leader now' };
  }
  const answer = message.json<WireAnswer>();
  const { error } = answer;
  if (error === undefined) {
    const total = answer.val === undefined ? {} : { total: Number(answer.val) };
    return { kind: 'stored', ack: { seq: answer.seq ?? 0, duplicate: answer.duplicate === true, ...total } };
  }
  const text = `${error.description ?? 'no description'} (${error.err_code ?? error.code})`;
  if (WRONG_LAST_SEQUENCE.includes(error.err_code)) return { kind: 'refused', error: new WrongLastSequence(text) };
  if (error.err_code === TOO_LARGE) return { kind: 'refused', error: new MessageTooLarge(text) };
  if (error.err_code === STORE_FAILED && error.description === SUBJECT_FULL) {
    return { kind: 'refused', error: new SubjectOccupied(text) };
  }
  if (error.code >= 500 || error.err_code === DUPLICATE_IN_PROCESS) return { kind: 'trouble', trouble: text };
  return { kind: 'refused', error: new PublishRefused(text) };
}
