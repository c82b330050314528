import { createHash } from 'node:crypto';
import { Controller, Get, Inject, Options, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { parseQuery } from '#contracts/http/violations';
import { ProblemError } from '#platform/problem';
import { renderInboxPage } from './inbox-page.ts';
import { INBOX_SCRIPT, INBOX_STYLE } from './inbox-page.style.ts';
import { isInboxName } from './inbox-secret.ts';
import { notificationToResource, type NotificationResource } from './notification-resource.ts';
import type { InboxNotification, NotificationRing } from './notification-ring.ts';
import type { NotificationRequest } from './receive-notification.ts';
import { sinkBehaviourQuery, type SinkAnswer } from './sink-behaviour.ts';

export const INBOX_PORTS = Symbol('INBOX_PORTS');

export interface InboxPorts {
  receiveNotification(request: NotificationRequest): Promise<SinkAnswer>;
  readonly ring: NotificationRing;
  secretOf(inbox: string): string;
  /** Base URL of the inboxes as sinks; a name follows after a slash. */
  readonly inboxUrl: string;
}

const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'This must be a whole number.')
    .transform(Number)
    .pipe(z.number().min(1).max(max, `This must be at most ${max}.`));

const listQuery = z.object({
  limit: wholeNumber(1000).default(50),
  after: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
});

/** Nothing but our own style and script: whatever a notification holds, it is text (escaped as well). */
const PAGE_POLICY = [
  `default-src 'none'`,
  `style-src '${hashOf(INBOX_STYLE)}'`,
  `script-src '${hashOf(INBOX_SCRIPT)}'`,
  `connect-src 'self'`,
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
].join('; ');

/**
 * The built-in sink: takes notifications, verifies them as a subscriber would, and shows them.
 *
 * For development: no credentials, the signing secret is shown, and the inboxes belong to no tenant.
 */
@Controller('inbox/:name')
export class InboxController {
  readonly #ports: InboxPorts;

  constructor(@Inject(INBOX_PORTS) ports: InboxPorts) {
    this.#ports = ports;
  }

  @Post()
  async receive(
    @Param('name') name: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const answer = await this.#ports.receiveNotification({
      inbox: knownName(name),
      headers: headerPairs(request.raw.rawHeaders),
      body: request.body instanceof Uint8Array ? request.body : new Uint8Array(),
      behaviour: readQuery(sinkBehaviourQuery, request.query),
    });
    await reply.code(answer.status).headers(answer.headers).send();
  }

  @Get()
  async page(@Param('name') name: string, @Query() query: unknown, @Res() reply: FastifyReply): Promise<void> {
    const { limit, after } = readQuery(listQuery, query);
    const { notifications, next } = this.#list(knownName(name), limit, after);
    const page = renderInboxPage({
      name,
      sinkUrl: `${this.#ports.inboxUrl}/${name}`,
      secret: this.#ports.secretOf(name),
      notifications,
      isOlder: after !== undefined,
      ...(next === undefined ? {} : { next }),
    });
    await reply
      .type('text/html; charset=utf-8')
      .headers({
        'content-security-policy': PAGE_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      })
      .send(page);
  }

  @Get('notifications')
  list(
    @Param('name') name: string,
    @Query() query: unknown,
  ): { data: NotificationResource[]; next?: string; newest: string; secret: string } {
    const { limit, after } = readQuery(listQuery, query);
    const { notifications, next } = this.#list(knownName(name), limit, after);
    return {
      data: notifications.map(notificationToResource),
      ...(next === undefined ? {} : { next }),
      newest: String(this.#ports.ring.list(name, { limit: 1 })[0]?.seq ?? 0),
      secret: this.#ports.secretOf(name),
    };
  }

  /** The handshake of the webhook spec's abuse protection: this sink takes from everybody, at any rate. */
  @Options()
  async handshake(
    @Param('name') name: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    knownName(name);
    const origin = request.headers['webhook-request-origin'];
    const allowed = typeof origin === 'string' ? { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*' } : {};
    await reply
      .code(204)
      .headers({ allow: 'GET, POST, OPTIONS', ...allowed })
      .send();
  }

  #list(
    name: string,
    limit: number,
    after: number | undefined,
  ): { notifications: InboxNotification[]; next: string | undefined } {
    const found = this.#ports.ring.list(name, {
      limit: limit + 1,
      ...(after === undefined ? {} : { beforeSeq: after }),
    });
    const notifications = found.slice(0, limit);
    return { notifications, next: found.length > limit ? String(notifications.at(-1)?.seq) : undefined };
  }
}

function knownName(name: string): string {
  if (isInboxName(name)) return name;
  throw new ProblemError({
    status: 404,
    code: 'inbox-unknown',
    detail: 'The name of an inbox is 1 to 63 letters, digits, - and _, and starts with a letter or digit.',
  });
}

function readQuery<Schema extends z.ZodType>(schema: Schema, query: unknown): z.output<Schema> {
  const parsed = parseQuery(schema, query);
  if (parsed.ok) return parsed.value;
  throw new ProblemError({
    status: 400,
    code: 'invalid-query',
    detail: 'The query is not valid. See errors.',
    errors: parsed.violations,
  });
}

function headerPairs(raw: readonly string[]): (readonly [string, string])[] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as const] : []));
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
