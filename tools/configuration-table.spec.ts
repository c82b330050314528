import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { booleanVariable, integerVariable, listVariable, secret } from '#platform/config';
import { configurationTable } from './configuration-table.ts';

function rowOf(variable: z.ZodType): string {
  return configurationTable(z.object({ NAME: variable })).split('\n')[2] ?? '';
}

describe('the table of variables', () => {
  test('shows the bounds and the default of an integer', () => {
    expect(rowOf(integerVariable(0, 65_535).default(8080).describe('Port.'))).toBe(
      '| `NAME` | integer, 0 to 65535 | `8080` | Port. |',
    );
  });

  test('says which variables are required, and which may stay unset', () => {
    expect(rowOf(z.string().describe('Token.'))).toBe('| `NAME` | text | **required** | Token. |');
    expect(rowOf(z.string().optional().describe('File.'))).toBe('| `NAME` | text | unset | File. |');
  });

  test('marks secrets, also below a default', () => {
    expect(rowOf(secret(z.string()).default('').describe('Key.'))).toBe('| `NAME` | text | empty | Key. Secret. |');
  });

  test('lists the choices', () => {
    expect(rowOf(booleanVariable.default(false).describe('Allow.'))).toBe(
      '| `NAME` | `true`, `false` | `false` | Allow. |',
    );
    expect(rowOf(z.enum(['a', 'b']).describe('One of.'))).toBe('| `NAME` | `a`, `b` | **required** | One of. |');
  });

  test('knows lists', () => {
    expect(rowOf(listVariable.default(['a', 'b']).describe('Some.'))).toBe(
      '| `NAME` | comma-separated list | `a,b` | Some. |',
    );
  });

  test('does not let a description break the table', () => {
    expect(rowOf(z.string().describe('a | b'))).toBe('| `NAME` | text | **required** | a \\| b |');
  });
});
