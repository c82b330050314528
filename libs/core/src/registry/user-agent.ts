/** Of those that an operator sets, for a tenant or for all. */
export const USER_AGENT_MAX_LENGTH = 200;

const PRODUCT = /[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?/y;

/**
 * True of a `User-Agent` in printable ASCII (RFC 9110 section 10.1.5): a product such as `Acme/1.0`, then more products and
 * comments in parentheses, which may nest, with blanks between.
 */
export function isUserAgent(text: string): boolean {
  if (!/^[\x20-\x7e]+$/.test(text)) return false;
  let at = endOfProduct(text, 0);
  while (at !== undefined && at < text.length) {
    const start = text.slice(at).search(/[^ ]/) + at;
    if (start <= at) return false; // something follows without a blank, or only blanks do
    at = text[start] === '(' ? endOfComment(text, start) : endOfProduct(text, start);
  }
  return at !== undefined;
}

function endOfProduct(text: string, at: number): number | undefined {
  PRODUCT.lastIndex = at;
  return PRODUCT.test(text) ? PRODUCT.lastIndex : undefined;
}

/** A backslash takes the next character for itself. */
function endOfComment(text: string, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '(') depth++;
    else if (text[at] === ')' && --depth === 0) return at + 1;
  }
  return undefined;
}
