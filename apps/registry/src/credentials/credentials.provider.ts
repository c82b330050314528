import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { Bus } from '#bus/connection';
import { serve, type Serving } from '#bus/request';
import type { KeepCredentialRequest } from '#contracts/bus/credential';
import { makeKeepCredential, type KeepCredentialPorts } from './keep-credential.ts';

export const CREDENTIAL_KEEPER = Symbol('CREDENTIAL_KEEPER');

const QUEUE = 'registry';

/** Keeps the credentials that the signer renews, for as long as the registry runs. */
export class CredentialKeeper implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #keepCredential: ReturnType<typeof makeKeepCredential>;
  #serving: Serving | undefined;

  constructor(bus: Bus, ports: KeepCredentialPorts) {
    this.#bus = bus;
    this.#keepCredential = makeKeepCredential(ports);
  }

  onApplicationBootstrap(): void {
    this.#serving = serve(
      this.#bus,
      { subject: this.#bus.topology.credentialSubject, queue: QUEUE },
      async (payload) => {
        const question = JSON.parse(new TextDecoder().decode(payload)) as KeepCredentialRequest;
        return Buffer.from(JSON.stringify(await this.#keepCredential(question)));
      },
    );
  }

  /** In one process, after the signer has ended: what it obtains until then is not to be lost. */
  async onApplicationShutdown(): Promise<void> {
    await this.#serving?.stop();
  }
}
