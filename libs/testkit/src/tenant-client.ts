/** One answer of an HTTP API, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  json<T>(): T;
}

export interface ApiRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes and texts go as they are, anything else as JSON. */
  readonly body?: unknown;
}

/** Sends one request. Header values may be texts beyond Latin-1: they are percent-encoded by nobody here. */
export async function callApi(method: string, url: string, { headers = {}, body }: ApiRequest = {}): Promise<Answer> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array || body === undefined;
  const response = await fetch(url, {
    method,
    headers: isRaw ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: isRaw ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    json: <T>() => JSON.parse(text) as T,
  };
}

export interface PublishAnswer {
  readonly events: readonly { readonly id: string; readonly source: string; readonly duplicate: boolean }[];
}

/** A page of a list. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly next?: string;
}

/** What a test asks of a subscription; the rest is default. */
export interface SubscriptionBody {
  readonly sink: string;
  readonly types?: readonly string[];
  readonly source?: string;
  readonly filters?: readonly unknown[];
  readonly sinkcredential?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface CreatedSubscription {
  readonly id: string;
  readonly sink: string;
  readonly config: { readonly signature: { readonly profile: string; readonly secret?: string } };
}

/** A tenant with an API key that may do everything, as its own software would use it. */
export interface TenantClient {
  readonly tenant: string;
  readonly key: string;
  call(method: string, path: string, request?: ApiRequest): Promise<Answer>;
  /** `POST /publish` with these headers and this body. */
  publish(headers: Readonly<Record<string, string>>, body: string | Uint8Array): Promise<Answer>;
  /** Publishes one event in structured mode and expects 202. */
  publishEvent(event: object): Promise<PublishAnswer>;
  /** Expects 201. */
  subscribe(body: SubscriptionBody): Promise<CreatedSubscription>;
  /** Expects 200 with JSON. */
  get<T>(path: string): Promise<T>;
  /** All pages of a list. */
  list<T>(path: string): Promise<readonly T[]>;
}

export interface TenantClientOptions {
  readonly tenant: string;
  readonly key: string;
  readonly publishUrl: string;
  readonly apiUrl: string;
}

export function makeTenantClient({ tenant, key, publishUrl, apiUrl }: TenantClientOptions): TenantClient {
  const authorization = { authorization: `Bearer ${key}` };
  const call: TenantClient['call'] = (method, path, request = {}) =>
    callApi(method, `${apiUrl}${path}`, { ...request, headers: { ...authorization, ...request.headers } });
  const publish: TenantClient['publish'] = (headers, body) =>
    callApi('POST', publishUrl, { headers: { ...authorization, ...headers }, body });
  const get = async <T>(path: string): Promise<T> =>
    expectStatus(200, `GET ${path}`, await call('GET', path)).json<T>();
  return {
    tenant,
    key,
    call,
    publish,
    get,
    async publishEvent(event) {
      const answer = await publish({ 'content-type': 'application/cloudevents+json' }, JSON.stringify(event));
      return expectStatus(202, 'POST /publish', answer).json<PublishAnswer>();
    },
    async subscribe(body) {
      const answer = await call('POST', '/v1/subscriptions', { body: { protocol: 'HTTP', ...body } });
      return expectStatus(201, 'POST /v1/subscriptions', answer).json<CreatedSubscription>();
    },
    async list<T>(path: string) {
      const all: T[] = [];
      let next: string | undefined;
      do {
        const cursor: string =
          next === undefined ? '' : `${path.includes('?') ? '&' : '?'}after=${encodeURIComponent(next)}`;
        const page: Page<T> = await get<Page<T>>(`${path}${cursor}`);
        all.push(...page.data);
        next = page.next;
      } while (next !== undefined);
      return all;
    },
  };
}

/** @throws Error with what was answered instead */
export function expectStatus(status: number, what: string, answer: Answer): Answer {
  if (answer.status === status) return answer;
  throw new Error(`${what}: ${answer.status} instead of ${status}: ${answer.text.slice(0, 1000)}`);
}
