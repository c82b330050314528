import { namesKey, readPublishedKey, type PublicKeyInput, type PublicKeyJwk } from './public-key.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';

export type FetchedKeys =
  | {
      readonly ok: true;
      readonly keys: readonly PublicKeyInput[];
      /** Why there may be more keys than these: then a key that is not among them is not unknown yet. */
      readonly missing?: string;
    }
  | { readonly ok: false; readonly detail: string };

/** Public keys that are fetched. */
export interface KeySource {
  /**
   * All keys that are trusted now. Looks for newer ones when none of the ids is known, within its limits.
   *
   * @param keyIds what a message calls its keys; none when it does not say
   * @param lookAgain true when none of the keys of before fitted a message that does not say
   */
  find(keyIds: readonly string[], lookAgain?: boolean): Promise<FetchedKeys>;
}

/** The part of `fetch` that is used. */
export type FetchKeys = (
  url: string,
  init: {
    readonly redirect: 'error';
    readonly signal: AbortSignal;
    readonly headers: Readonly<Record<string, string>>;
  },
) => Promise<{
  readonly ok: boolean;
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
}>;

export interface KeySourceOptions {
  /** JWK sets. These URLs and no others are fetched: what a message says of `jku` or the like is never followed. */
  readonly jwksUrls?: readonly string[];
  /**
   * For senders that name a key by the URL of its PEM or JWK: a `keyid` right below one of these (`https://host/keys/`) is
   * fetched, any other is unknown.
   */
  readonly keyUrlPrefixes?: readonly string[];
  readonly fetch?: FetchKeys;
  /** Of one request, body included. Default 5 s. */
  readonly timeoutMs?: number;
  /** Of one answer. Default 256 KiB. */
  readonly maxBytes?: number;
  /** How long an answer is used without asking again. Default 10 min. */
  readonly maxAgeMs?: number;
  /** How long it is used on when asking fails. Default 1 h: a key that was withdrawn must not live on for long. */
  readonly maxStaleMs?: number;
  /** Least time between two requests for one URL, whatever messages say. Default 30 s. */
  readonly minRefreshMs?: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** More single keys are not kept, nor fetched within `minRefreshMs`: messages name them, and anybody may send messages. */
const KEY_URLS_MAX = 32;
const KEYS_MAX = 100;

interface Resource {
  readonly url: string;
  keys: readonly PublicKeyInput[];
  /** Of the last good answer; −∞ before there is one. */
  fetchedAtMs: number;
  triedAtMs: number;
  trouble?: string;
  inFlight?: Promise<void>;
}

/**
 * Fetches, limits and caches public keys. Several requests at once share one fetch.
 *
 * @throws ReceiverMisconfigured when a URL is not https (http on this machine is accepted)
 */
export function makeKeySource(options: KeySourceOptions): KeySource {
  const { jwksUrls = [], keyUrlPrefixes = [], now = Date.now } = options;
  const { maxAgeMs = 600_000, maxStaleMs = 3_600_000, minRefreshMs = 30_000 } = options;
  for (const url of [...jwksUrls, ...keyUrlPrefixes]) checkUrl(url);
  for (const prefix of keyUrlPrefixes) checkPrefix(prefix);
  const sets = jwksUrls.map(newResource);
  const single = new Map<string, Resource>();

  async function load(resource: Resource): Promise<void> {
    try {
      resource.keys = await fetchKeys(resource.url, options);
      resource.fetchedAtMs = now();
      delete resource.trouble;
    } catch (error) {
      resource.trouble = `${resource.url}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  function refresh(resource: Resource): Promise<void> {
    if (resource.inFlight !== undefined) return resource.inFlight;
    if (now() - resource.triedAtMs < minRefreshMs) return Promise.resolve();
    resource.triedAtMs = now();
    resource.inFlight = load(resource).finally(() => delete resource.inFlight);
    return resource.inFlight;
  }

  const isFresh = ({ fetchedAtMs }: Resource): boolean => now() - fetchedAtMs < maxAgeMs;
  const isUsable = ({ fetchedAtMs }: Resource): boolean => now() - fetchedAtMs < maxAgeMs + maxStaleMs;
  const knows = ({ keys }: Resource, ids: readonly string[]): boolean =>
    ids.length === 0 || keys.map(keyIdOf).some((own) => own === undefined || ids.some((id) => namesKey(id, own)));

  /** A single key that a message names, if there is room. */
  function singleKey(id: string): Resource | undefined {
    const known = single.get(id);
    if (known !== undefined) return known;
    if (!makeRoom()) return undefined;
    const made = newResource(id);
    single.set(id, made);
    return made;
  }

  function makeRoom(): boolean {
    if (single.size < KEY_URLS_MAX) return true;
    for (const [id, resource] of single) {
      const isIdle = resource.inFlight === undefined && now() - resource.triedAtMs >= minRefreshMs;
      if (isIdle && !(isUsable(resource) && resource.keys.length > 0)) return single.delete(id);
    }
    return false;
  }

  return {
    async find(keyIds, lookAgain = false) {
      const allowed = keyIds.filter((id) => keyUrlPrefixes.some((prefix) => isBelow(prefix, id)));
      const named = allowed.flatMap((id) => singleKey(id) ?? []);
      const resources = [...sets, ...named];
      await Promise.all(resources.filter((one) => !isFresh(one)).map(refresh));
      const isKnown = !lookAgain && resources.some((one) => isUsable(one) && knows(one, keyIds));
      if (!isKnown) await Promise.all(resources.map(refresh));
      const usable = resources.filter(isUsable);
      const troubles = resources.flatMap(({ trouble }) => trouble ?? []);
      if (named.length < allowed.length) troubles.push('Too many different keys were named of late.');
      const detail = `The public keys could not be fetched. ${troubles.join(' ')}`;
      if (usable.length === 0 && resources.length > 0) return { ok: false, detail };
      const keys = usable.flatMap((one) => one.keys);
      return { ok: true, keys, ...(troubles.length === 0 ? {} : { missing: detail }) };
    },
  };
}

function newResource(url: string): Resource {
  return { url, keys: [], fetchedAtMs: -Infinity, triedAtMs: -Infinity };
}

/** One per URL and process, made on first use: the URLs come from the configuration, so there are few. */
const shared = new Map<string, KeySource>();

export function sharedKeySource(jwksUrl: string): KeySource {
  const known = shared.get(jwksUrl);
  if (known !== undefined) return known;
  const made = makeKeySource({ jwksUrls: [jwksUrl] });
  shared.set(jwksUrl, made);
  return made;
}

async function fetchKeys(url: string, options: KeySourceOptions): Promise<readonly PublicKeyInput[]> {
  const { fetch = globalThis.fetch as FetchKeys, timeoutMs = 5_000, maxBytes = 256 * 1024 } = options;
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { accept: 'application/jwk-set+json, application/jwk+json, application/x-pem-file, */*;q=0.1' };
  const answer = await fetch(url, { redirect: 'error', signal, headers });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  return parseKeys(await readText(answer.body, maxBytes), url);
}

async function readText(body: AsyncIterable<Uint8Array> | null, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`); // leaving the loop ends the request
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A JWK set, one JWK or a PEM; the id of a single key is its URL. Keys that are not for us are left out. */
function parseKeys(text: string, url: string): PublicKeyInput[] {
  if (text.includes('-----BEGIN PUBLIC KEY-----')) return usable([{ keyId: url, key: text }]);
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null) throw new Error('the answer is no JWK set');
  if (!('keys' in json)) return usable([{ keyId: url, key: json }]);
  if (!Array.isArray(json.keys)) throw new Error('the answer is no JWK set');
  const entries: unknown[] = json.keys;
  return usable(entries.slice(0, KEYS_MAX).flatMap((one) => (typeof one === 'object' && one !== null ? [one] : [])));
}

function usable(keys: readonly PublicKeyInput[]): PublicKeyInput[] {
  return keys.filter((key) => readPublishedKey(key) !== undefined);
}

function keyIdOf(key: PublicKeyInput): string | undefined {
  if (typeof key === 'string') return undefined;
  return 'key' in key ? key.keyId : (key satisfies PublicKeyJwk).kid;
}

/** Right below, one plain segment: no path that climbs, no query, no other host in the user's place. */
function isBelow(prefix: string, url: string): boolean {
  return url.startsWith(prefix) && /^[A-Za-z0-9_-][A-Za-z0-9._~-]{0,127}$/.test(url.slice(prefix.length));
}

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLocal = url?.protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url?.protocol === 'https:' || isLocal) return;
  throw new ReceiverMisconfigured(`Keys are fetched by https (or http from this machine), not from "${text}".`);
}

function checkPrefix(prefix: string): void {
  if (new URL(prefix).href === prefix && /^[^?#]*\/$/.test(prefix)) return;
  throw new ReceiverMisconfigured(`A prefix of key URLs ends with a slash and has no query: not "${prefix}".`);
}
