const NEEDS_NO_ENCODING = /^[\x21\x23\x24\x26-\x7e]*$/;
const MUST_BE_ENCODED = /[^\x21\x23\x24\x26-\x7e]+/gu;

/**
 * An attribute string as a header value (HB-7): space, `"`, `%` and all that is not printable ASCII percent-encoded as
 * UTF-8 with upper-case hex, nothing else.
 *
 * @throws URIError for an unpaired surrogate, which no valid event holds (CE-7)
 */
export function encodeHeaderValue(value: string): string {
  return NEEDS_NO_ENCODING.test(value) ? value : value.replaceAll(MUST_BE_ENCODED, encodeURIComponent);
}

/**
 * The attribute string of a header value (HB-8): a quoted string is unquoted, then one round of percent-decoding.
 * Undefined for a `%` without two hex digits and for bytes that are not UTF-8. `+` is literal. Characters that should have
 * been encoded but are not, also stray quotes, stay as they are: senders built on the Go and npm SDKs do that.
 */
export function decodeHeaderValue(value: string): string | undefined {
  const text = value.startsWith('"') ? unquote(value) : value;
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The content of a quoted string with its backslash escapes undone; anything else stays as it is. */
function unquote(value: string): string {
  let content = '';
  for (let at = 1; at < value.length; at++) {
    const char = value.charAt(at);
    if (char === '"') return at === value.length - 1 ? content : value;
    content += char === '\\' ? value.charAt(++at) : char;
  }
  return value;
}
