/** `nats://[user:password@|token@]host[:port]`, `tls://…`, or `host[:port]` without a scheme. */
export function isNatsServer(text: string): boolean {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0].toLowerCase();
  if (scheme !== undefined && scheme !== 'nats://' && scheme !== 'tls://') return false;
  const url = URL.parse(scheme === undefined ? `nats://${text}` : text);
  return url !== null && url.hostname !== '' && ['', '/'].includes(url.pathname) && !/\s/.test(text);
}
