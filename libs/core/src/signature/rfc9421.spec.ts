import { createPrivateKey, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isSignedBy, messageOf, readSignatureVectors, requestOf, type VectorMessage } from '#testkit/signature-vectors';
import type { HttpMessageHead, HttpRequestHead } from './http-message.ts';
import { componentValue } from './rfc9421-components.ts';
import { DEFAULT_COMPONENTS, parseSignatures, prepareRfc9421, signatureBase } from './rfc9421.ts';
import { parseDictionary, parseItem, type FieldType } from './structured-fields.ts';
import { UnsignableMessage } from './unsignable-message.ts';

interface Canonicalization {
  readonly section: string;
  readonly fields?: [string, string][];
  readonly request?: string;
  readonly response?: string;
  readonly lines: string[];
}

const vectors = readSignatureVectors<{ canonicalization: Canonicalization[] }>('rfc9421.json');
const withInput = vectors.vectors.filter(({ signatureInput }) => signatureInput !== undefined);
const [transformations] = vectors.vectors.filter(({ messages }) => messages !== undefined);

/** Types of the fields of the RFC's examples. */
const EXAMPLE_TYPES: Record<string, FieldType> = { 'example-dict': 'dictionary' };

describe('RFC 9421, appendix B', () => {
  test.each(withInput)('makes the signature base of $id, and its signature verifies (MS-10): $title', (vector) => {
    const headers: [string, string][] = [
      ['Signature-Input', vector.signatureInput ?? ''],
      ['Signature', `${vector.label}=:${vector.signature}:`],
    ];
    const parsed = parseSignatures(headers);
    const [received] = parsed.ok ? parsed.signatures : [];
    if (received === undefined) throw new Error(`no signature: ${JSON.stringify(parsed)}`);
    const base = signatureBase(messageOf(vectors, vector), received.input);
    expect(base).toBe(vector.signatureBase);
    expect(received).toMatchObject({ label: vector.label, params: { keyid: vector.keyid } });
    const check = { algorithm: vector.algorithm, base, signature: received.signature };
    expect(isSignedBy(vectors.keys[vector.keyid], check)).toBe(true);
    expect(isSignedBy(vectors.keys[vector.keyid], { ...check, base: `${base} ` })).toBe(false);
  });

  test.each(transformations?.messages ?? [])('B.4, $name: valid is $expectValid', ({ expectValid, ...message }) => {
    const parsed = parseSignatures(message.headers);
    const [received] = parsed.ok ? parsed.signatures : [];
    if (received === undefined) throw new Error('no signature');
    const base = signatureBase(requestOf(message), received.input);
    const check = { algorithm: 'ed25519', base, signature: received.signature };
    expect(isSignedBy(vectors.keys['test-key-ed25519'], check)).toBe(expectValid);
    expect(base === transformations?.signatureBase).toBe(expectValid);
  });
});

describe('the value of a component', () => {
  const cases = vectors.canonicalization.flatMap((one) => one.lines.map((line) => ({ ...one, line })));

  test.each(cases)('is that of RFC 9421, $section: $line', ({ line, ...example }) => {
    const [, id = '', value = ''] = /^(.*?): (.*)$/.exec(line) ?? [];
    const component = parseItem(id);
    if (component === undefined) throw new Error(`no component: ${id}`);
    expect(componentValue(exampleMessage(example), component, EXAMPLE_TYPES)).toBe(value);
  });

  const head: HttpRequestHead = {
    method: 'POST',
    url: 'https://example.com:443/a?x=1&x=2&y=3',
    headers: [
      ['A', 'b'],
      ['é', 'x'],
      ['latin', 'caf\u00e9'],
      ['dict', 'a=1'],
    ],
  };

  test.each([
    ['"b"', 'a field that is not there'],
    ['"A"', 'a name that is not in lower case'],
    ['"@status"', 'the status of a request'],
    ['"@method";sf', 'a parameter that it can not have'],
    ['"a";tr', 'a trailer'],
    ['"a";new', 'a parameter that is not known'],
    ['"a";req', 'the request of a request'],
    ['"a";sf', 'a type that is not known'],
    ['"dict";key="b"', 'a key that is not there'],
    ['"dict";key="a";bs', 'two forms at once'],
    ['"@nothing"', 'a derived component that is not known'],
    ['"@query-param";name="x"', 'a parameter that is there twice'],
    ['"@query-param"', 'a parameter without a name'],
    ['"latin"', 'characters outside ASCII'],
    ['token', 'an identifier that is not a string'],
  ])('refuses %s: %s (MS-7)', (id) => {
    const component = parseItem(id);
    if (component === undefined) throw new Error(`no component: ${id}`);
    expect(() => componentValue(head, component)).toThrow(UnsignableMessage);
  });

  test('leaves out the default port, and takes a key with or without sf', () => {
    const valueOf = (id: string) => componentValue(head, parseItem(id) ?? missing());
    expect(valueOf('"@authority"')).toBe('example.com');
    expect(valueOf('"dict";key="a";sf')).toBe('1');
    expect(valueOf('"@query-param";name="y"')).toBe('3');
  });
});

describe('the signature base', () => {
  test('has no component twice, in whichever order its parameters stand (MS-7)', () => {
    const head: HttpRequestHead = { method: 'GET', url: 'https://a.example/', headers: [['d', 'a=1']] };
    const base = (components: string) => {
      const input = parseDictionary(`s=(${components})`)?.get('s');
      return input?.kind === 'list' ? signatureBase(head, input) : '';
    };
    expect(base('"@method" "d"')).toContain('"d": a=1');
    expect(() => base('"@method" "@method"')).toThrow('twice');
    expect(() => base('"d";key="a";sf "d";sf;key="a"')).toThrow('twice');
  });
});

describe('what is read of a message', () => {
  test.each([
    ['a=("x")', 'b=:AAAA:', '"b"'],
    ['a=("x")', '', '"a"'],
    ['a=("x"), b=("x")', 'a=:AAAA:', '"b"'],
    ['a=1', 'a=:AAAA:', 'list'],
    ['a=("x");created="1"', 'a=:AAAA:', 'type'],
    ['a=("x");nonce=27fde337ab', 'a=:AAAA:', 'Signature-Input is not a dictionary'],
    ['a=("x")', 'a=AAAA', 'bytes'],
    ['a=("x")', 'a=:*:', 'Signature is not a dictionary'],
  ])(
    'refuses %s with %s: every label is in both, every parameter of its type (MS-2, MS-7)',
    (input, signature, why) => {
      const headers: [string, string][] = [['signature-input', input]];
      if (signature !== '') headers.push(['signature', signature]);
      expect(parseSignatures(headers)).toMatchObject({ ok: false, detail: expect.stringContaining(why) });
    },
  );

  test('is nothing when there is nothing', () => {
    expect(parseSignatures([['date', 'x']])).toEqual({ ok: true, signatures: [] });
  });
});

describe('prepareRfc9421', () => {
  const head: HttpRequestHead = {
    method: 'POST',
    url: 'https://sink.example/hooks?a=b',
    headers: [
      ['content-type', 'application/json'],
      ['content-digest', 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'],
      ['webhook-id', 'dlv_1'],
      ['ce-id', '1'],
      ['ce-source', '/a'],
      ['x-other', 'y'],
    ],
  };
  const params = { created: 1, expires: 61, keyid: 'k', alg: 'ed25519', nonce: 'n"\\', tag: 'cloudevents-webhook' };

  test('covers method, target, content and every attribute that travels as a header (MS-8)', () => {
    const { pieces } = prepareRfc9421(head, { components: DEFAULT_COMPONENTS, params });
    const input =
      '("@method" "@target-uri" "content-digest" "content-type" "webhook-id" "ce-id" "ce-source")' +
      ';created=1;expires=61;keyid="k";alg="ed25519";nonce="n\\"\\\\";tag="cloudevents-webhook"';
    expect(pieces.join('').split('\n')).toEqual([
      '"@method": POST',
      '"@target-uri": https://sink.example/hooks?a=b',
      '"content-digest": sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
      '"content-type": application/json',
      '"webhook-id": dlv_1',
      '"ce-id": 1',
      '"ce-source": /a',
      `"@signature-params": ${input}`,
    ]);
  });

  test('leaves out a field that the notification does not have, and never covers one twice', () => {
    const components = ['ce-id', 'ce-*', 'ce-subject', '@method'];
    const { headersWith } = prepareRfc9421(head, { components, params: {} });
    expect(headersWith(['AAAA'])).toEqual([
      ['signature-input', 'sig1=("ce-id" "ce-source" "@method")'],
      ['signature', 'sig1=:AAAA:'],
    ]);
  });

  test('is read back to the same base, whatever the values (MS-3)', () => {
    const text = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
    const names = fc.uniqueArray(
      fc.constantFrom('@method', '@authority', '@path', '@query', 'content-type', 'x-other'),
    );
    const made = fc.record(
      { created: fc.nat(), expires: fc.nat(), keyid: text, nonce: text, tag: text },
      { requiredKeys: [] },
    );
    const { privateKeyPem } = { privateKeyPem: '', ...vectors.keys['test-key-ed25519'] };
    const key = createPrivateKey(privateKeyPem);
    fc.assert(
      fc.property(names, made, text, (components, wanted, value) => {
        const sent = { ...head, headers: [...head.headers.slice(0, 5), ['x-other', value.trim()] as const] };
        const unsigned = prepareRfc9421(sent, { components, params: wanted });
        const signature = sign(null, Buffer.from(unsigned.pieces.join('')), key).toString('base64');
        const parsed = parseSignatures(unsigned.headersWith([signature]));
        const [received] = parsed.ok ? parsed.signatures : [];
        expect(received?.params).toEqual(wanted);
        const base = received === undefined ? '' : signatureBase(sent, received.input);
        expect(base).toBe(unsigned.pieces.join(''));
        const check = { algorithm: 'ed25519', base, signature: received?.signature ?? new Uint8Array() };
        expect(isSignedBy(vectors.keys['test-key-ed25519'], check)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('refuses what can not stand in a header', () => {
    expect(() => prepareRfc9421(head, { components: [], params: { tag: 'é' } })).toThrow(UnsignableMessage);
    const broken = { ...head, headers: [['x-other', 'a\nb'] as const] };
    expect(() => prepareRfc9421(broken, { components: ['x-other'], params: {} })).toThrow(UnsignableMessage);
  });

  test('covers a header with a tab in it as it is (RFC 9110 5.5)', () => {
    const sent = { ...head, headers: [['x-other', 'a\tb'] as const] };
    const { pieces } = prepareRfc9421(sent, { components: ['x-other'], params: {} });
    expect(pieces.join('').split('\n')[0]).toBe('"x-other": a\tb');
  });
});

/** "POST /path HTTP/1.1 over https, Host: www.example.com", a response line, or fields alone. */
function exampleMessage({ fields = [], request, response }: Omit<Canonicalization, 'lines'>): HttpMessageHead {
  if (response !== undefined) return { status: Number(response.split(' ')[1]), headers: fields };
  const message: VectorMessage = {
    startLine: request ?? 'GET / HTTP/1.1',
    headers: [...fields.filter(([name]) => name === 'Host'), ['Host', 'www.example.com'] as [string, string]].slice(
      0,
      1,
    ),
  };
  const { headers: _host, ...head } = requestOf(message);
  return { ...head, headers: fields };
}

function missing(): never {
  throw new Error('not a component');
}
