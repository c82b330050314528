const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const QUOTED = '"(?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\x20-\\x7e])*"';
// White space before a `;` belongs to the semicolon, white space before a name to the parameter: one way to match each
// text, so no backtracking.
const PARAMETER = `[ \\t]*;(?:[ \\t]*(${TOKEN})=(${TOKEN}|${QUOTED}))?`;
const MEDIA_TYPE = new RegExp(`^(${TOKEN}/${TOKEN})((?:${PARAMETER})*)[ \\t]*$`);
const PARAMETERS = new RegExp(PARAMETER, 'g');

/** Far above any real one; keeps the regular expression within its stack. */
const MAX_LENGTH = 4096;

/** A media type such as `application/json; charset=utf-8`, compared without case (CE-8). */
export interface MediaType {
  /** `type/subtype`, lower case. */
  readonly essence: string;
  /** The `charset` parameter, lower case, unquoted. */
  readonly charset?: string;
}

/**
 * RFC 2046 `type/subtype *( ; name=value )`, with the empty parameters that RFC 9110 tolerates (`text/plain;`).
 * Undefined when it is anything else, or longer than 4096 characters.
 */
export function parseMediaType(text: string): MediaType | undefined {
  const match = text.length > MAX_LENGTH ? null : MEDIA_TYPE.exec(text);
  if (match === null) return undefined;
  const [, essence = '', parameters = ''] = match;
  const charset = parameters === '' ? undefined : charsetOf(parameters);
  return { essence: essence.toLowerCase(), ...(charset === undefined ? {} : { charset }) };
}

function charsetOf(parameters: string): string | undefined {
  for (const [, name, value = ''] of parameters.matchAll(PARAMETERS)) {
    if (name?.toLowerCase() === 'charset') return unquote(value).toLowerCase();
  }
  return undefined;
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value;
}

/** Subtype `json`, or any with the suffix `+json`; parameters do not count (JF-5). */
export function isJson({ essence }: MediaType): boolean {
  return essence.endsWith('/json') || essence.endsWith('+json');
}

/** Types whose content is text for people or XML. */
export function isText({ essence }: MediaType): boolean {
  return essence.startsWith('text/') || essence.endsWith('/xml') || essence.endsWith('+xml');
}

/** True when the declared charset, if any, is UTF-8 or its subset US-ASCII. */
export function isUtf8({ charset }: MediaType): boolean {
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
}
