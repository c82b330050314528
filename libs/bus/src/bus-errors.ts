/** The broker did not answer in time, has no leader, or is away. Whether the message was stored is not known. Try again. */
export class BusUnavailable extends Error {
  readonly code = 'bus.unavailable';
}

/** Somebody else wrote to the subject since it was read (optimistic concurrency). Nothing was stored. */
export class WrongLastSequence extends Error {
  readonly code = 'bus.wrong_last_sequence';
}

/** More bytes than the broker takes. Nothing was stored; trying again cannot help. */
export class MessageTooLarge extends Error {
  readonly code = 'bus.message_too_large';
}

/** The broker refused the message for a reason that trying again cannot change, for example a bad schedule. */
export class PublishRefused extends Error {
  readonly code = 'bus.publish_refused';
}

/** The subject has its one message already (stored or in flight), and its stream takes no second. Nothing was stored. */
export class SubjectOccupied extends Error {
  readonly code = 'bus.subject_occupied';
}

/** The other side of a request answered that it failed. */
export class RequestFailed extends Error {
  readonly code = 'bus.request_failed';
}

/** The server does not know the user, the password or the token. The message is for the person at the terminal. */
export class CredentialsRefused extends Error {
  readonly code = 'bus.credentials_refused';
}

/** The streams cannot be made as this service needs them. The message says what was found and how to fix it. */
export class TopologyError extends Error {
  readonly code = 'bus.topology';
}

/**
 * What a question to the broker answers.
 *
 * @throws BusUnavailable whatever goes wrong with it
 */
export async function orUnavailable<T>(answer: Promise<T>, what: string): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new BusUnavailable(`the broker does not tell ${what}`, { cause });
  }
}
