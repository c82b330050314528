import type { z } from 'zod';
import { isSecret } from '#platform/config';

/** The variables of one service as a Markdown table: name, what it takes, default, description. */
export function configurationTable(schema: z.ZodObject): string {
  const rows = Object.entries(schema.shape).map(([name, variable]) => row(name, variable as z.ZodType));
  return ['| variable | takes | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function row(name: string, variable: z.ZodType): string {
  const meaning = variable.description ?? '';
  const cells = [
    `\`${name}\``,
    accepts(variable),
    defaultOf(variable),
    isSecret(variable) ? `${meaning} Secret.` : meaning,
  ];
  return `| ${cells.map((cell) => cell.trim().replaceAll('|', '\\|')).join(' | ')} |`;
}

/** The parts of a schema's definition that are looked at; zod types them per class. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly defaultValue?: unknown;
  readonly entries?: Readonly<Record<string, string>>;
}

function definitionOf(variable: z.ZodType): Definition {
  return variable.def as Definition;
}

/** What one may write, in words. A transformation is described by what goes into it, a check after it by the check. */
function accepts(variable: z.ZodType): string {
  const { type, innerType, in: input, out: output, entries, defaultValue } = definitionOf(variable);
  if (Array.isArray(defaultValue)) return 'comma-separated list';
  if (innerType !== undefined) return accepts(innerType);
  if (output !== undefined && definitionOf(output).type !== 'transform') return accepts(output);
  if (input !== undefined) return accepts(input);
  if (entries !== undefined) return choices(Object.values(entries));
  if (type === 'number') return numberRange(variable as z.ZodNumber);
  return type === 'string' ? 'text' : type;
}

/** A boolean also takes 1 and 0; the table shows what one should write. */
function choices(values: readonly string[]): string {
  const shown = values.includes('true') ? ['true', 'false'] : values;
  return shown.map(code).join(', ');
}

function numberRange({ minValue, maxValue }: z.ZodNumber): string {
  return minValue === null || maxValue === null ? 'number' : `integer, ${minValue} to ${maxValue}`;
}

function defaultOf(variable: z.ZodType): string {
  const { type, innerType, defaultValue } = definitionOf(variable);
  if (type === 'optional') return 'unset';
  if (defaultValue === undefined) return innerType === undefined ? '**required**' : defaultOf(innerType);
  const text = Array.isArray(defaultValue) ? defaultValue.join(',') : String(defaultValue as string | number | boolean);
  return text === '' ? 'empty' : code(text);
}

function code(text: string): string {
  return `\`${text}\``;
}
