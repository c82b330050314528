import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { isSignedBy, messageOf, readSignatureVectors, requestOf, type VectorMessage } from '#testkit/signature-vectors';
import { digest } from './content-digest.ts';
import { draft05Base, DRAFT05_COMPONENTS, parseDraft05, prepareDraft05 } from './http-signatures-draft05.ts';
import { fieldValue } from './http-message.ts';
import { UnsignableMessage } from './unsignable-message.ts';

interface Voxie {
  readonly name: string;
  readonly request: VectorMessage & { readonly body: string };
  readonly signatureInput: string;
  readonly signatureBase: string;
  readonly keyid: string;
  readonly key: string;
  readonly signatureRaw: string;
}

const vectors = readSignatureVectors<{
  voxieProfile: Voxie[];
  requestTarget: { request: string; value: string }[];
  fieldCanonicalization: { fields: [string, string][]; values: Record<string, string> };
}>('http-signatures-draft05.json');

describe('draft-05, appendix B', () => {
  test.each(vectors.vectors)(
    'makes the signature base of $id, and its signature verifies (MS-10): $title',
    (vector) => {
      const input = vector.signatureInput ?? `${vector.label}=${lastLineOf(vector.signatureBase)}`;
      const headers: [string, string][] = [
        ['Signature-Input', input],
        ['Signature', `${vector.label}=:${vector.signature}:`],
      ];
      const [received] = parseDraft05(headers);
      if (received === undefined) throw new Error('no signature');
      const base = draft05Base(vector.label === 'proxy_sig' ? proxied() : messageOf(vectors, vector), received);
      expect(base).toBe(vector.signatureBase);
      expect(received.params.get('keyid')).toBe(vector.keyid);
      const check = { algorithm: vector.algorithm, base, signature: received.signature };
      expect(isSignedBy(vectors.keys[vector.keyid], check)).toBe(true);
      expect(isSignedBy(vectors.keys[vector.keyid], { ...check, base: `${base}\n` })).toBe(false);
    },
  );

  test.each(vectors.requestTarget)('writes the target of $request as "$value"', ({ request, value }) => {
    const [startLine = '', host = 'Host: server.example.com'] = request.split('\\n');
    const message = requestOf({ startLine, headers: [['Host', host.replace('Host: ', '')]] });
    const base = draft05Base(message, { components: ['"@request-target"'], text: '' });
    expect(base.split('\n')[0]).toBe(`"@request-target": ${value}`);
  });

  test('takes the values of fields as the draft does', () => {
    const { fields, values } = vectors.fieldCanonicalization;
    for (const [name, value] of Object.entries(values)) expect(fieldValue(fields, name)).toBe(value);
    expect(Object.keys(values)).toHaveLength(6);
  });
});

describe('the requests that the profile was made for', () => {
  test.each(vectors.voxieProfile)('are verified: $name', ({ request, signatureInput, ...vector }) => {
    const [received] = parseDraft05([
      ['Signature-Input', signatureInput],
      ['Signature', `sig1=:${vector.signatureRaw}:`],
    ]);
    if (received === undefined) throw new Error('no signature');
    const base = draft05Base(requestOf(request), received);
    expect(base).toBe(vector.signatureBase);
    expect(received.params.get('nonce')).toBe('27fde337ab04852f23c8eccf3bc4e8a4');
    const check = { algorithm: 'ecdsa-p256-sha256', base, signature: received.signature };
    expect(isSignedBy(vectors.keys[vector.key], check)).toBe(true);
    const [body] = [createHash('sha256').update(request.body).digest('base64')];
    expect(fieldValue(request.headers, 'digest')).toBe(digest(body));
  });

  test.each(vectors.voxieProfile)('are made byte for byte: $name (MS-1 … MS-4)', ({ request, ...vector }) => {
    const unsigned = prepareDraft05(requestOf(request), {
      keyid: vector.keyid,
      nonce: '27fde337ab04852f23c8eccf3bc4e8a4',
      hasBareNonce: vector.name.includes('unquoted'),
      ...(vector.name.includes('created') ? { created: 1_628_004_095 } : {}),
    });
    expect(unsigned.pieces.join('')).toBe(vector.signatureBase);
    expect(unsigned.headersWith([vector.signatureRaw])).toEqual([
      ['signature-input', vector.signatureInput],
      ['signature', `sig1=:${vector.signatureRaw}:`],
    ]);
  });
});

describe('what has no signature base (MS-7)', () => {
  const head = { method: 'POST', url: 'https://a.example/', headers: [['date', 'now']] as const };

  test.each([['"digest"'], ['"@status"'], ['"date";key="a"'], ['"date";prefix=1'], ['date']])('refuses %s', (id) => {
    expect(() => draft05Base(head, { components: [id], text: '' })).toThrow(UnsignableMessage);
  });

  test('refuses a component twice, and a request without the fields of the profile', () => {
    expect(() => draft05Base(head, { components: ['"date"', '"date"'], text: '' })).toThrow('twice');
    expect(() => prepareDraft05(head, { keyid: 'k', nonce: 'n' })).toThrow(UnsignableMessage);
    expect(DRAFT05_COMPONENTS).toContain('digest');
  });

  test('leaves out a signature without an input, and the other way round', () => {
    expect(parseDraft05([['signature', 'a=:AAAA:']])).toEqual([]);
    expect(parseDraft05([['signature-input', 'a=("x")']])).toEqual([]);
    const odd: [string, string][] = [
      ['signature-input', 'a=("x" "y,z");keyid="p,q;r=s", b=();nonce=1a,,c='],
      ['signature', 'b=:BBBB:, a=:AAAA:'],
    ];
    const read = parseDraft05(odd).map(({ label, components, params }) => [
      label,
      components,
      Object.fromEntries(params),
    ]);
    expect(read).toEqual([
      ['a', ['"x"', '"y,z"'], { keyid: 'p,q;r=s' }],
      ['b', [], { nonce: '1a' }],
    ]);
  });
});

function lastLineOf(base: string): string {
  return (base.split('\n').at(-1) ?? '').replace('"@signature-params": ', '');
}

/** The request of section 2.4 after a proxy, with the signature that the proxy covers. */
function proxied() {
  const first = vectors.vectors.find(({ id }) => id === 'draft05-2.4/3.1');
  return {
    method: 'GET',
    url: 'https://example.org/foo',
    headers: [
      ['Signature', `sig1=:${first?.signature ?? ''}:`],
      ['X-Forwarded-For', '192.0.2.123'],
    ] as const,
  };
}
