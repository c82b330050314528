import { describe, expect, test } from '@jest/globals';
import { isMissingPartition, isPoison } from './store-errors.ts';

/** As the driver gives what PostgreSQL answers. */
function answered(fields: object): Error {
  return Object.assign(new Error(), { severity: 'ERROR', table: 'deliveries', ...fields });
}

describe('a row whose day has no partition', () => {
  test.each([
    ['English', 'no partition of relation "deliveries" found for row'],
    ['German', 'keine Partition von Relation »deliveries« für die Zeile gefunden'],
    ['French', "aucune partition de la relation « deliveries » n'a été trouvée pour la ligne"],
  ])('is written again and not taken for poison by a server that speaks %s', (_language, message) => {
    const error = answered({ code: '23514', message });
    expect(isMissingPartition(error)).toBe(true);
    expect(isPoison(error)).toBe(false);
  });

  test('is not what a check refuses', () => {
    const error = answered({
      code: '23514',
      constraint: 'deliveries_state_check',
      message: 'no partition of relation',
    });
    expect(isMissingPartition(error)).toBe(false);
    expect(isPoison(error)).toBe(true);
  });
});
