const encoder = new TextEncoder();

/** Longest type that stands in a subject as it is, in encoded characters. A NATS control line ends at 4096 bytes. */
const TYPE_MAX_CHARACTERS = 512;

/**
 * A CloudEvents `type` as the tail of a NATS subject: dots stay token separators, so `ce.shop.com.example.>` works.
 *
 * Bytes other than `A-Z a-z 0-9 - _ ~ ! + = : , @ ; ( ) / '` and so on are `%XX` of their UTF-8, a dot that would leave an empty token is `%2E`,
 * the empty type is `%`, so two types never share a subject up to 512 encoded characters. A longer one is cut
 * and ends with `%~` and a hash: the whole type is in the event anyway, a subject only routes.
 */
export function typeToSubject(type: string): string {
  if (type === '') return '%';
  let out = '';
  let atTokenStart = true;
  const bytes = encoder.encode(type);
  for (const [index, byte] of bytes.entries()) {
    const isSeparator: boolean = byte === DOT && !atTokenStart && index < bytes.length - 1;
    out += isSeparator ? '.' : isPlain(byte) ? String.fromCharCode(byte) : percent(byte);
    atTokenStart = isSeparator;
  }
  if (out.length <= TYPE_MAX_CHARACTERS) return out;
  const head = out.slice(0, TYPE_MAX_CHARACTERS - 20).replace(/\.$/, '');
  return `${head}%~${fnv1a(type, 0x811c9dc5).toString(16)}${fnv1a(type, 0x9747b28c).toString(16)}`;
}

const DOT = 0x2e;

/** Visible ASCII without what NATS gives a meaning (`. * >`) and the escape itself. */
function isPlain(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f && byte !== DOT && byte !== 0x2a && byte !== 0x3e && byte !== 0x25;
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** 32-bit FNV-1a over UTF-16 code units: the same on every machine and in every version, which partitions depend on. */
export function fnv1a(text: string, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

/** `c` of `a.b.c`: the subscription, in all subjects that end with one. */
export function lastToken(subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1);
}
