// RFC 3986 appendix A, folded: what may stand in each part, and percent-encoding only as %HH.
const UNRESERVED_SUBDELIMS = "A-Za-z0-9\\-._~!$&'()*+,;=";
const PCT = '%[0-9A-Fa-f]{2}';
const run = (chars: string): string => `[${chars}]*(?:${PCT}[${chars}]*)*`;

const IP_LITERAL = `\\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\\.[${UNRESERVED_SUBDELIMS}:]+)\\]`;
const AUTHORITY = `(?:${run(`${UNRESERVED_SUBDELIMS}:`)}@)?(?:${IP_LITERAL}|${run(UNRESERVED_SUBDELIMS)})(?::[0-9]*)?`;
const HIERARCHY = `(?://${AUTHORITY}(?=[/?#]|$)|(?!//))${run(`${UNRESERVED_SUBDELIMS}:@/`)}`;
const QUERY_FRAGMENT = `(?:\\?${run(`${UNRESERVED_SUBDELIMS}:@/?`)})?(?:#${run(`${UNRESERVED_SUBDELIMS}:@/?`)})?`;
const SCHEME = '[A-Za-z][A-Za-z0-9+.\\-]*:';

const URI = new RegExp(`^${SCHEME}${HIERARCHY}${QUERY_FRAGMENT}$`);
const URI_REFERENCE = new RegExp(`^(?:${SCHEME}|(?![^/?#]*:))${HIERARCHY}${QUERY_FRAGMENT}$`);

/** A URI with a scheme (RFC 3986 section 3). A fragment is fine: schemas are often named by one. */
export function isUri(text: string): boolean {
  return URI.test(text);
}

/** A URI or a relative reference (RFC 3986 section 4.1), the empty one included. Not an IRI: non-ASCII is percent-encoded. */
export function isUriReference(text: string): boolean {
  return URI_REFERENCE.test(text);
}
