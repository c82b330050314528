import { createPublicKey } from 'node:crypto';
import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { publishedJwk, type PublishedJwk } from '#contracts/http/signing-key-body';
import { isSigningKeyId, isTenantId, type SigningKeyId, type TenantId } from '#core/ids';
import { isPublic, type SigningKey } from '#core/registry/signing-key';
import { ProblemError, unavailable } from '#platform/problem';

export const PUBLIC_KEY_PORTS = Symbol('PUBLIC_KEY_PORTS');

export interface PublicKeyPorts {
  signingKeyById(id: SigningKeyId): SigningKey | undefined;
  /** Of one tenant, or of all. */
  signingKeys(tenant?: TenantId): Iterable<SigningKey>;
  /** Resolves with true when every key is known that was published before the call; with false when the bus is away. */
  catchUp(): Promise<boolean>;
  now(): number;
}

/** A key never changes, but one day it is not served any more. */
const KEY_CACHE = 'public, max-age=86400, immutable';
/** A key is published long enough before its first use when it is so for longer than this. */
const SET_CACHE = 'public, max-age=300';

/**
 * The public halves of the signing keys, for everybody: what `keyid` names, and the sets of RFC 7517 (MS-5).
 *
 * A tenant's first key signs from the moment that it is made, and whoever verifies may ask here before this process has
 * heard of it: a key that is not known, and each set, is told as of the request. All who wait share one question to the bus.
 */
@Controller()
export class PublicKeysController {
  readonly #ports: PublicKeyPorts;

  constructor(@Inject(PUBLIC_KEY_PORTS) ports: PublicKeyPorts) {
    this.#ports = ports;
  }

  /** `{kid}.pem` (SPKI) or `{kid}.jwk`. */
  @Get('keys/:file')
  async key(@Param('file') file: string, @Res() reply: FastifyReply): Promise<void> {
    const [, id = '', form] = /^([^.]+)\.(pem|jwk)$/.exec(file) ?? [];
    if (form === undefined || !isSigningKeyId(id)) throw notFound();
    const known = this.#publicKey(id);
    const isCurrent = known !== undefined || (await this.#ports.catchUp());
    const key = known ?? this.#publicKey(id);
    if (key === undefined) throw isCurrent ? notFound() : unavailable('bus-unavailable', NOT_KNOWN_NOW);
    reply.header('cache-control', KEY_CACHE).header('x-content-type-options', 'nosniff');
    if (form === 'pem') await reply.type('application/x-pem-file').send(pemOf(key));
    else await reply.type('application/jwk+json').send(JSON.stringify(publishedJwk(key)));
  }

  /** With `?tenant=` of one tenant: whoever trusts a whole set should trust no other tenant's keys. */
  @Get('.well-known/jwks.json')
  async keySet(@Query('tenant') tenant: unknown, @Res() reply: FastifyReply): Promise<void> {
    await this.#sendSet(reply, 'application/jwk-set+json', tenant);
  }

  @Get('.well-known/http-message-signatures-directory')
  async directory(@Query('tenant') tenant: unknown, @Res() reply: FastifyReply): Promise<void> {
    await this.#sendSet(reply, 'application/http-message-signatures-directory+json', tenant);
  }

  async #sendSet(reply: FastifyReply, type: string, tenant: unknown): Promise<void> {
    if (tenant !== undefined && (typeof tenant !== 'string' || !isTenantId(tenant))) throw notFound();
    await this.#ports.catchUp(); // or not: what is known is better than no set
    const keys = this.#publicKeys(tenant);
    // A tenant's first key signs as soon as it is made: who had kept that there is none would refuse what it signs.
    reply
      .header('cache-control', keys.length === 0 ? 'no-store' : SET_CACHE)
      .header('x-content-type-options', 'nosniff');
    await reply.type(type).send(JSON.stringify({ keys }));
  }

  #publicKeys(tenant: TenantId | undefined): readonly PublishedJwk[] {
    const now = this.#ports.now();
    return [...this.#ports.signingKeys(tenant)].filter((key) => isPublic(key, now)).map(publishedJwk);
  }

  #publicKey(id: SigningKeyId): SigningKey | undefined {
    const key = this.#ports.signingKeyById(id);
    return key !== undefined && isPublic(key, this.#ports.now()) ? key : undefined;
  }
}

const NOT_KNOWN_NOW = 'Whether there is such a public key can not be told at the moment: NATS is away. Ask again.';

function pemOf({ publicJwk }: SigningKey): string {
  return createPublicKey({ key: publicJwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' }).toString();
}

function notFound(): ProblemError {
  const detail = 'There is no such public key; it was never published, or it is not served any more.';
  return new ProblemError({ status: 404, code: 'not-found', detail });
}
