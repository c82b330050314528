/** First tokens of the subjects of an installation without a deployment; no deployment may be called like one. */
export const SUBJECT_ROOTS: readonly string[] = [
  'ce',
  'registry',
  'deliver',
  'bulk',
  'retry',
  'lane',
  'wake',
  'circuit',
  'alive',
  'validate',
  'journal',
  'dead',
  'count',
  'keyuse',
  'signer',
  'projector',
];
