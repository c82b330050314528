import type { Authenticate } from '#platform/authenticate';
import type { Acceptance, PublishRequest } from './accept-events.ts';

export const PUBLISH_PORTS = Symbol('PUBLISH_PORTS');

/** `unavailable`: the events could not be stored, or not all of them. */
export type PublishResult = Acceptance['kind'] | 'unavailable';

/** What the publish controller asks of the process that it runs in. */
export interface PublishPorts {
  authenticate: Authenticate;
  /** Headers of the answer to a handshake; none is no consent. @throws ProblemError for a credential that is none */
  answerHandshake(
    headers: Readonly<Record<string, string | readonly string[] | undefined>>,
    address?: string,
  ): Promise<readonly (readonly [string, string])[]>;
  acceptEvents(request: PublishRequest): Promise<Acceptance>;
  /** True when so many events wait for JetStream that a further one would only wait longer. */
  isSaturated(): boolean;
  /** Which expected fault of the bus an error is; undefined for anything else. */
  faultOf(error: unknown): 'bus_unavailable' | 'too_large_for_bus' | undefined;
  /** Starts measuring a request; call the result with what became of it. */
  startTimer(): (result: PublishResult) => void;
}
