/** 24 random bytes as base64url: 32 characters that nobody guesses and everybody can paste. */
export const CALLBACK_CODE_BYTES = 24;

const CALLBACK_CODE = /^[A-Za-z0-9_-]{32}$/;

/** What is not shaped like a code is refused without a look-up. */
export function isCallbackCode(text: string): boolean {
  return CALLBACK_CODE.test(text);
}

/** What a callback may ask of a subscription whose validation is in this state. */
export interface CallbackState {
  readonly status: 'none' | 'requested' | 'granted' | 'denied' | 'pending' | 'unsupported';
  readonly deadlineAtMs?: number;
}

/**
 * What a call with the right code means now. A code grants once; after that it is answered in the same way and changes
 * nothing, for whoever opens the link twice. A sink that denied, or did not know the handshake, may still change its mind
 * before the deadline: whoever has the code was told it by us.
 */
export function judgeCallback(
  { status, deadlineAtMs }: CallbackState,
  nowMs: number,
): 'grants' | 'granted_before' | 'refused' {
  if (status === 'granted') return 'granted_before';
  if (status === 'none' || deadlineAtMs === undefined || nowMs >= deadlineAtMs) return 'refused';
  return 'grants';
}
