import type { Exchange } from '#core/delivery/outcome';

/** A sink that answers with what it got must not have the credential kept in the record of the attempt (WH-8). */
export function withoutSecret(exchange: Exchange, header: string | undefined): Exchange {
  if (header === undefined || exchange.kind !== 'response' || exchange.body === undefined) return exchange;
  const { text } = exchange.body;
  const secret = header.replace(/^(?:Bearer|Basic) /, '');
  // Escaped in JSON it looks different: a "/" in what Basic sends, a quote in a key.
  const forms = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll('/', '\\/'),
    encodeURIComponent(secret),
  ];
  const redacted = forms.reduce((rest, form) => rest.replaceAll(form, '[secret]'), text);
  return redacted === text ? exchange : { ...exchange, body: { ...exchange.body, text: redacted } };
}
