const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PADDING = 0x3d;

const codeOf = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
/** −1 for what is not in the alphabet: its sign survives every shift and OR. */
const valueOf = new Int32Array(128).fill(-1);
codeOf.forEach((code, value) => (valueOf[code] = value));

/**
 * Bytes of strict base64 (RFC 4648 section 4): padded, no white space, no URL alphabet, unused bits zero. Undefined for
 * anything else, so that encoding the result gives back the same text.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const whole = padding === 0 ? text.length : text.length - 4;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  let signs = 0;
  for (let i = 0; i < whole; i += 4) {
    const group =
      (sextet(text, i) << 18) | (sextet(text, i + 1) << 12) | (sextet(text, i + 2) << 6) | sextet(text, i + 3);
    signs |= group;
    bytes[at] = group >> 16;
    bytes[at + 1] = group >> 8;
    bytes[at + 2] = group;
    at += 3;
  }
  if (signs < 0) return undefined;
  return padding === 0 || decodeLastGroup(text, whole, padding, bytes, at) ? bytes : undefined;
}

function sextet(text: string, at: number): number {
  return valueOf[text.charCodeAt(at)] ?? -1;
}

function decodeLastGroup(text: string, from: number, padding: number, bytes: Uint8Array, at: number): boolean {
  const first = sextet(text, from);
  const second = sextet(text, from + 1);
  const third = padding === 1 ? sextet(text, from + 2) : 0;
  if ((first | second | third) < 0) return false;
  bytes[at] = (first << 2) | (second >> 4);
  if (padding === 2) return (second & 15) === 0;
  bytes[at + 1] = (second << 4) | (third >> 2);
  return (third & 3) === 0;
}

/** Strict base64 of the bytes, as the ASCII bytes that go into a body. */
export function encodeBase64(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const second = bytes[i + 1];
    const third = bytes[i + 2];
    const group = ((bytes[i] ?? 0) << 16) | ((second ?? 0) << 8) | (third ?? 0);
    out[at++] = codeOf[group >> 18] ?? 0;
    out[at++] = codeOf[(group >> 12) & 63] ?? 0;
    out[at++] = second === undefined ? PADDING : (codeOf[(group >> 6) & 63] ?? 0);
    out[at++] = third === undefined ? PADDING : (codeOf[group & 63] ?? 0);
  }
  return out;
}
