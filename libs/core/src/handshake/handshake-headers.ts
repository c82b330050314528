/** What a handshake asks of a sink (http-webhook 4.1). */
export interface HandshakeOffer {
  /** DNS name of this installation; the same on every notification after a grant (WH-4). */
  readonly origin: string;
  /** Requests per minute, a whole number above 0; a batch and a retry count one each (WH-11). Absent: none asked. */
  readonly requestedRatePerMinute?: number;
  /** Where the sink may grant later. Absent: it has to grant in the response. */
  readonly callbackUrl?: string;
}

/** Headers of the `OPTIONS` request (WH-11). */
export function handshakeHeaders(offer: HandshakeOffer): readonly (readonly [string, string])[] {
  const { origin, requestedRatePerMinute, callbackUrl } = offer;
  return [
    ['webhook-request-origin', origin],
    ...(requestedRatePerMinute === undefined
      ? []
      : [['webhook-request-rate', String(requestedRatePerMinute)] as const]),
    ...(callbackUrl === undefined ? [] : [['webhook-request-callback', callbackUrl] as const]),
  ];
}
