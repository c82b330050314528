import { attributeOf, type CloudEvent } from '#core/event/cloud-event';

/** A CloudEvent 1.0 with its attributes at hand. Extensions are in `attributes`, under their names. */
export interface ReceivedEvent extends CloudEvent {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** RFC 3339, exactly as sent. */
  readonly time?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  /**
   * The data as JSON, or `undefined` without data. Its type is for you to check.
   *
   * @throws SyntaxError when it is not JSON
   */
  json(): unknown;
  /** The data as UTF-8 text, or `undefined` without data. */
  text(): string | undefined;
}

const OPTIONAL = ['subject', 'time', 'datacontenttype', 'dataschema'] as const;

export function toReceivedEvent(event: CloudEvent): ReceivedEvent {
  const { data } = event;
  const text = (): string | undefined => data && new TextDecoder().decode(data.bytes);
  return {
    ...event,
    specversion: required(event, 'specversion'),
    id: required(event, 'id'),
    source: required(event, 'source'),
    type: required(event, 'type'),
    ...Object.fromEntries(
      OPTIONAL.flatMap((name) => {
        const value = attributeOf(event, name);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    text,
    json: () => {
      const json = text();
      return json === undefined ? undefined : (JSON.parse(json) as unknown);
    },
  };
}

/** A parsed event always has these. */
function required(event: CloudEvent, name: string): string {
  return attributeOf(event, name) ?? '';
}
