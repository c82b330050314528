/** First tokens of the subjects of an installation without a deployment; no deployment may be called like one. */
export const SUBJECT_ROOTS: readonly string[] = [
  'ce',
  'registry',
  'deliver',
  'retry',
  'lane',
  'wake',
  'validate',
  'journal',
  'dead',
  'count',
  'signer',
  'projector',
];
