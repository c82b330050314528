/** The message has no signature base: a part that is to be covered is missing, or would make two messages look alike. */
export class UnsignableMessage extends Error {
  readonly code = 'signature.unsignable';

  constructor(why: string) {
    super(`The message can not be signed: ${why}.`);
  }
}
