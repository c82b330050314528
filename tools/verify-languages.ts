// `npm run docs:languages`: runs the examples of docs/receiving.md in every language. Installs the library that the page names,
// builds its fenced block into a receiver, and sends that captured deliveries: the genuine ones have to pass, altered ones, those
// with a wrong secret and those of another time have to be refused. A line per language; exit code 1 when one failed, or when a
// toolchain is missing.
//
//   npm run docs:languages -- --only go,java        only these
//   npm run docs:languages -- --allow-missing       what is not installed here is said, and is no failure
import { parseArgs } from 'node:util';
import { readCaptures } from './languages/deliveries.ts';
import { readExamples, readReceivingPage, type Example } from './languages/examples.ts';
import { prove } from './languages/prove.ts';
import { TOOLCHAINS } from './languages/toolchains.ts';

const { values } = parseArgs({ options: { only: { type: 'string' }, 'allow-missing': { type: 'boolean' } } });
const counts = { passed: 0, failed: 0, missing: 0 };
for (const example of select(readExamples(readReceivingPage()), values.only)) {
  const { result, detail } = await verify(example);
  counts[result] += 1;
  const said = result === 'missing' ? 'toolchain missing' : result;
  console.log(`${example.language.padEnd(8)}${example.library}: ${said}: ${detail}`);
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.missing} missing`);
process.exitCode = counts.failed > 0 || (counts.missing > 0 && values['allow-missing'] !== true) ? 1 : 0;

function select(examples: readonly Example[], only: string | undefined): readonly Example[] {
  if (only === undefined) return examples;
  const names = only.toLowerCase().split(',');
  const unknown = names.filter((name) => !examples.some(({ language }) => language.toLowerCase() === name));
  if (unknown.length > 0) throw new Error(`docs/receiving.md has no example for ${unknown.join(', ')}`);
  return examples.filter(({ language }) => names.includes(language.toLowerCase()));
}

function verify(example: Example) {
  const toolchain = TOOLCHAINS[example.language.toLowerCase()];
  if (toolchain === undefined) throw new Error(`tools/languages/toolchains.ts does not know ${example.language}`);
  return prove({ example, toolchain, captures: readCaptures() });
}
