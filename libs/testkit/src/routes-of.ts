/** A method and a path pattern that a service answers to. */
export interface Route {
  readonly method: string;
  /** `/v1/tenants/:tenant` */
  readonly path: string;
}

/**
 * Every route of a running service, from the router itself: none can be forgotten.
 *
 * @param printed what Fastify's `printRoutes({ commonPrefix: false })` says
 * @throws Error when it says something that is not understood here
 */
export function routesOf(printed: string): readonly Route[] {
  const parents: string[] = [];
  return printed
    .split('\n')
    .filter((line) => line.trim() !== '')
    .flatMap((line) => {
      const [, indent = '', segment = '', methods] = /^([│ ]*)[├└]── (\S+)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? [];
      if (segment === '') throw new Error(`this line of the router is not understood: ${line}`);
      const depth = indent.length / 4;
      const path = `${parents.slice(0, depth).join('')}${segment}`;
      parents.splice(depth, Infinity, segment);
      return (methods?.split(', ') ?? []).map((method) => ({ method, path }));
    });
}
