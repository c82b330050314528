/** The receiver was given something that can not work, whatever is sent to it. The message never repeats a secret. */
export class ReceiverMisconfigured extends Error {
  readonly code = 'receiver.misconfigured';
}
