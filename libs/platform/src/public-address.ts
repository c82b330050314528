/** The variables that say how others see this installation; see `publicVariables`. */
export interface PublicConfig {
  readonly POSTHASTE_PUBLIC_URL?: string | undefined;
  readonly POSTHASTE_ORIGIN?: string | undefined;
}

/** For an installation that was not told its name. It resolves nowhere, so nobody else has it. */
const UNNAMED_ORIGIN = 'posthaste.local';

/** The DNS name that sinks are asked to allow, and which every notification carries after they did (WH-4). */
export function originOf({ POSTHASTE_ORIGIN: origin, POSTHASTE_PUBLIC_URL: url }: PublicConfig): string {
  if (origin !== undefined) return origin;
  const host = url === undefined ? '' : new URL(url).hostname;
  return isDnsName(host) ? host : UNNAMED_ORIGIN;
}

/** Neither an address nor `localhost`, which is somebody else for everybody. */
function isDnsName(host: string): boolean {
  return /[a-z]/.test(host) && host !== 'localhost' && !host.startsWith('[');
}

/** Where a sink confirms its validation by GET or POST; undefined when this installation was not told its URL. */
export function callbackUrlOf(
  { POSTHASTE_PUBLIC_URL: url }: PublicConfig,
  subscription: string,
  code: string,
): string | undefined {
  return url === undefined ? undefined : `${url}/validate/${subscription}?code=${code}`;
}
