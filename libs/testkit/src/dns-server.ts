import { createSocket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';

/**
 * What is answered about a name: its addresses of both families, or how the server fails. A list of lists is answered in
 * turn, the last one for good: a name that rebinds.
 */
export type DnsAnswer =
  | { readonly addresses: readonly string[] }
  | { readonly inTurn: readonly (readonly string[])[] }
  | { readonly rcode: 'nxdomain' | 'servfail' | 'refused' }
  /** Not a word. */
  | { readonly silent: true };

export interface DnsServer {
  readonly port: number;
  /** Names that were asked for, in order, each with the type of record. */
  readonly questions: readonly { readonly name: string; readonly type: 'A' | 'AAAA' }[];
  /** From now on answers like this. Names that were never told about do not exist. */
  tell(name: string, answer: DnsAnswer): void;
  /** All addresses of a name, asked from this server over the wire; rejects with the code of c-ares (`ENOTFOUND` …). */
  resolve(name: string): Promise<readonly LookupAddress[]>;
  stop(): Promise<void>;
}

const TYPES = { A: 1, AAAA: 28 } as const;
const RCODES = { servfail: 2, nxdomain: 3, refused: 5 } as const;
const HEADER_BYTES = 12;

/** A name server on 127.0.0.1 (UDP, RFC 1035) that knows A and AAAA records. */
export async function startDns(zone: Readonly<Record<string, DnsAnswer>> = {}): Promise<DnsServer> {
  const answers = new Map(Object.entries(zone));
  const asked = new Map<string, number>();
  const questions: { name: string; type: 'A' | 'AAAA' }[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = readQuestion(query);
    questions.push({ name, type });
    const turnKey = `${type} ${name}`;
    const turn = asked.get(turnKey) ?? 0;
    asked.set(turnKey, turn + 1);
    const answer = answers.get(name) ?? { rcode: 'nxdomain' };
    if ('silent' in answer) return;
    const rcode = 'rcode' in answer ? RCODES[answer.rcode] : 0;
    socket.send(encodeAnswer(query.subarray(0, end), rcode, recordsOf(answer, type, turn)), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  // Long enough for a machine that is busy: only a silent name is to run into it.
  const resolver = new Resolver({ timeout: 3000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return {
    port,
    questions,
    tell(name, answer) {
      answers.set(name, answer);
    },
    async resolve(name) {
      const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
      const addresses = [
        ...(v4.status === 'fulfilled' ? v4.value : []).map((address) => ({ address, family: 4 })),
        ...(v6.status === 'fulfilled' ? v6.value : []).map((address) => ({ address, family: 6 })),
      ];
      if (addresses.length === 0 && v4.status === 'rejected') throw v4.reason;
      return addresses;
    },
    async stop() {
      resolver.cancel();
      socket.close();
      await once(socket, 'close');
    },
  };
}

function recordsOf(answer: DnsAnswer, type: 'A' | 'AAAA', turn: number): Uint8Array[] {
  const all =
    'addresses' in answer ? answer.addresses : 'inTurn' in answer ? (answer.inTurn[turn] ?? answer.inTurn.at(-1)) : [];
  return (all ?? []).filter((text) => text.includes(':') === (type === 'AAAA')).map(addressBytes);
}

function readQuestion(query: Uint8Array): { name: string; type: 'A' | 'AAAA'; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(Buffer.from(query.subarray(at + 1, at + 1 + length)).toString('latin1'));
    at += 1 + length;
  }
  const type = query[at + 2] === TYPES.AAAA ? 'AAAA' : 'A';
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

/** The question again, with records that point at its name and live for no second. */
function encodeAnswer(question: Uint8Array, rcode: number, records: readonly Uint8Array[]): Buffer {
  const head = Buffer.from(question);
  head.writeUInt16BE(0x8180 | rcode, 2);
  head.writeUInt16BE(records.length, 6);
  head.fill(0, 8, HEADER_BYTES);
  return Buffer.concat([head, ...records.map(encodeRecord)]);
}

function encodeRecord(address: Uint8Array): Buffer {
  const record = Buffer.alloc(12);
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  record.writeUInt16BE(address.length === 4 ? TYPES.A : TYPES.AAAA, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt16BE(address.length, 10);
  return Buffer.concat([record, address]);
}

function addressBytes(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number);
  const [head = '', tail] = text.split('::');
  const groups = (part: string) =>
    part
      .split(':')
      .filter((group) => group !== '')
      .map((group) => parseInt(group, 16));
  const given = [groups(head), groups(tail ?? '')] as const;
  const zeros = tail === undefined ? 0 : 8 - given[0].length - given[1].length;
  const all = [...given[0], ...new Array<number>(zeros).fill(0), ...given[1]];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]));
}
