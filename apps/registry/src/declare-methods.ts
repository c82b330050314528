import type { FastifyInstance } from 'fastify';
import { sendProblem } from '#platform/problem.filter';

/** The methods of every path, in the order in which `Allow` names them (SA-1). `HEAD` comes with `GET`. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  '/v1/tenants': ['GET'],
  '/v1/tenants/:tenant': ['GET', 'PUT'],
  '/v1/tenants/:tenant/keys': ['GET', 'POST'],
  '/v1/tenants/:tenant/keys/:key': ['GET', 'DELETE'],
  '/v1/subscriptions': ['GET', 'POST', 'DELETE'],
  '/v1/subscriptions/:id': ['GET', 'PUT', 'PATCH', 'DELETE'],
  '/v1/subscriptions/:id/pause': ['POST'],
  '/v1/subscriptions/:id/resume': ['POST'],
  '/v1/subscriptions/:id/history': ['GET'],
  '/v1/subscriptions/:id/health': ['GET'],
  '/v1/subscriptions/:id/verify': ['POST'],
  '/v1/subscriptions/:id/secret/rotate': ['POST'],
  '/v1/signing-keys': ['GET', 'POST'],
  '/v1/signing-keys/:id': ['GET'],
  '/v1/signing-keys/:id/publish': ['POST'],
  '/v1/signing-keys/:id/activate': ['POST'],
  '/v1/signing-keys/:id/withdraw': ['POST'],
  '/v1/signing-keys/:id/retire': ['POST'],
  '/v1/secrets/reseal': ['POST'],
  '/v1/events/:id': ['GET'],
  '/v1/events/:id/data': ['GET'],
  '/v1/deliveries': ['GET'],
  '/v1/deliveries/:id': ['GET'],
  '/v1/deliveries/:id/redeliver': ['POST'],
  '/v1/dead-letters': ['GET'],
  '/v1/redeliveries': ['GET', 'POST'],
  '/v1/redeliveries/:id': ['GET'],
  '/v1/redeliveries/:id/cancel': ['POST'],
  '/v1/filters/test': ['POST'],
  '/v1/audit': ['GET'],
};

const REFUSABLE = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** `OPTIONS` tells what a path can do, and what it cannot do is 405 with `Allow`, not 404. */
export function declareMethods(fastify: FastifyInstance): void {
  for (const [url, methods] of Object.entries(METHODS)) {
    const allow = [...methods, 'OPTIONS'].join(',');
    fastify.route({
      method: 'OPTIONS',
      url,
      handler: async (_request, reply) => {
        if (methods.includes('PATCH')) reply.header('accept-patch', 'application/merge-patch+json');
        await reply.code(200).header('allow', allow).send();
      },
    });
    fastify.route({
      method: REFUSABLE.filter((method) => !methods.includes(method)),
      url,
      exposeHeadRoute: false,
      handler: (request, reply) => {
        const detail = `${request.method} has no meaning here; allowed: ${allow}.`;
        sendProblem(reply, { status: 405, code: 'method-not-allowed', detail, headers: { allow } });
      },
    });
  }
}
