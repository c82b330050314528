import type { Asker } from './asker.ts';
import { BusUnavailable } from './bus-errors.ts';

interface Answer {
  readonly error?: { readonly err_code: number; readonly description: string };
}

const NO_MESSAGE_FOUND = 10037;
const SEQUENCE_NOT_FOUND = 10043;
const DELETE_FAILED = 10057;
/** What the server says with the last of these of a message that was removed, and of a sequence that it never gave. */
const ABSENT: readonly string[] = ['no message found', 'deleted message', 'stream store EOF'];

/**
 * Removes one message without overwriting its bytes. Resolves when it is gone, also when it was before.
 *
 * @throws BusUnavailable not confirmed
 */
export async function removeStored(asker: Asker, stream: string, seq: number, timeoutMs: number): Promise<void> {
  const body = JSON.stringify({ seq, no_erase: true });
  const answer = await asker.ask(`$JS.API.STREAM.MSG.DELETE.${stream}`, body, timeoutMs);
  const { error } = answer.json<Answer>();
  if (error === undefined || error.err_code === SEQUENCE_NOT_FOUND) return;
  if (error.err_code === DELETE_FAILED && ABSENT.includes(error.description)) return;
  throw unexpected(error);
}

/**
 * Whether the leader has the message.
 *
 * @throws BusUnavailable
 */
export async function isStored(asker: Asker, stream: string, seq: number, timeoutMs: number): Promise<boolean> {
  const answer = await asker.ask(`$JS.API.STREAM.MSG.GET.${stream}`, JSON.stringify({ seq }), timeoutMs);
  const { error } = answer.json<Answer>();
  if (error !== undefined && error.err_code !== NO_MESSAGE_FOUND) throw unexpected(error);
  return error === undefined;
}

function unexpected({ description, err_code }: NonNullable<Answer['error']>): BusUnavailable {
  return new BusUnavailable(`${description} (${err_code})`);
}
