/** A token. `at` and `end` (exclusive) are UTF-16 units from 0. */
export interface Token {
  readonly kind: 'integer' | 'word' | 'string' | 'symbol' | 'end';
  /** Digits, the word as written, the content of a string without quotes, or the symbol. */
  readonly text: string;
  readonly at: number;
  readonly end: number;
}

/** Where and why a text is no expression. Thrown inside of the parser only. */
export class CesqlSyntaxError extends Error {
  readonly code = 'cesql.syntax';
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const SPACE = /[ \t\r\n]*/y;
const WORD = /[A-Za-z0-9_]+/y;
const DIGITS = /^[0-9]+$/;
const SYMBOL = /!=|<>|<=|>=|[=<>+\-*/%(),]/y;

/**
 * All tokens of the text, an `end` last. Signs are tokens of their own, so that `4-1` is a subtraction; the published
 * ANTLR lexer eats them into the literal.
 *
 * @throws CesqlSyntaxError
 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = skip(SPACE, text, 0);
  while (at < text.length) {
    const token = tokenAt(text, at);
    tokens.push(token);
    at = skip(SPACE, text, token.end);
  }
  tokens.push({ kind: 'end', text: '', at, end: at });
  return tokens;
}

function tokenAt(text: string, at: number): Token {
  const first = text.charAt(at);
  if (first === "'" || first === '"') return stringAt(text, at, first);
  let end = skip(WORD, text, at);
  if (end > at) {
    const word = text.slice(at, end);
    return { kind: DIGITS.test(word) ? 'integer' : 'word', text: word, at, end };
  }
  end = skip(SYMBOL, text, at);
  if (end === at) throw unexpectedCharacter(text, at);
  return { kind: 'symbol', text: text.slice(at, end), at, end };
}

/** As the published lexer cuts strings: a backslash takes the next character along, whichever it is. */
function stringAt(text: string, at: number, quote: string): Token {
  let end = at + 1;
  while (end < text.length && text.charAt(end) !== quote) end += text.charAt(end) === '\\' ? 2 : 1;
  if (end >= text.length) throw new CesqlSyntaxError(`The string that starts here has no closing ${quote}`, at);
  return { kind: 'string', text: unescape(text.slice(at + 1, end), quote), at, end: end + 1 };
}

/** CQ-4: only the delimiter is escaped; any other backslash stays, because LIKE needs it. */
function unescape(content: string, quote: string): string {
  if (!content.includes('\\')) return content;
  let out = '';
  for (let i = 0; i < content.length; i++) {
    if (content.charAt(i) !== '\\') {
      out += content.charAt(i);
      continue;
    }
    const next = content.charAt(++i);
    out += next === quote ? quote : `\\${next}`;
  }
  return out;
}

/**
 * The content as a string literal; undefined when no literal has this content: a backslash before the end, for one,
 * would escape the quote.
 */
export function quote(content: string): string | undefined {
  return quoteWith(content, "'") ?? quoteWith(content, '"');
}

function quoteWith(content: string, delimiter: string): string | undefined {
  let out = '';
  for (let i = 0; i < content.length; i++) {
    const char = content.charAt(i);
    if (char === '\\') {
      const next = content.charAt(++i);
      if (next === '' || next === delimiter) return undefined;
      out += `\\${next}`;
    } else out += char === delimiter ? `\\${delimiter}` : char;
  }
  return `${delimiter}${out}${delimiter}`;
}

function skip(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}

function unexpectedCharacter(text: string, at: number): CesqlSyntaxError {
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  return new CesqlSyntaxError(`${JSON.stringify(character)} has no meaning here`, at);
}
