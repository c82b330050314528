import { connect } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Delivery } from './deliveries.ts';

const ANSWER_TIMEOUT_MS = 30_000;

/**
 * Sends the deliveries to a receiver on 127.0.0.1, one after another. It has to answer what is genuine with 200 and the data that the
 * example read, and what is not with 401: 500 means that the example broke instead of refusing.
 *
 * @returns what is wrong, a line per delivery; nothing when all is right
 */
export async function feed(port: number, deliveries: readonly Delivery[]): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const delivery of deliveries) {
    const answer = await exchange(port, delivery.bytes);
    const problem = problemOf(delivery, answer);
    if (problem !== undefined) problems.push(`${delivery.title}: ${problem}`);
  }
  return problems;
}

function problemOf({ bytes, isGenuine }: Delivery, answer: string): string | undefined {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1]);
  const body = bodyOf(answer);
  if (status !== (isGenuine ? 200 : 401)) return `answered ${status}: ${body.trim().slice(0, 200)}`;
  return isGenuine && !isSameJson(body, bodyOf(bytes.toString())) ? `read as ${body.slice(0, 200)}` : undefined;
}

function bodyOf(message: string): string {
  return message.slice(message.indexOf('\r\n\r\n') + 4);
}

function isSameJson(one: string, other: string): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(one), JSON.parse(other));
  } catch {
    return false;
  }
}

/** Sends a request that has the connection closed; resolves with all that came back. */
export function exchange(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(bytes));
    socket.setEncoding('utf8').setTimeout(ANSWER_TIMEOUT_MS, () => {
      socket.destroy(new Error(`no answer in ${ANSWER_TIMEOUT_MS / 1000} s`));
    });
    socket.on('data', (text) => (answer += String(text)));
    socket.once('end', () => {
      socket.destroy();
      resolve(answer);
    });
    socket.once('error', reject);
  });
}
