/** `npm run bench -- NAME [--FLAG VALUE…]`: runs a bench of this folder. Without a name: which there are. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
  .map((file) => file.slice(0, -'.ts'.length))
  .sort();
const [name = '', ...rest] = process.argv.slice(2);

if (names.includes(name)) {
  process.argv.splice(2, process.argv.length, ...rest);
  await import(join(import.meta.dirname, `${name}.ts`));
} else {
  console.error(`npm run bench -- NAME [--FLAG VALUE…], where NAME is one of: ${names.join(', ')}.`);
  console.error('NAME --help tells its flags.');
  process.exitCode = 2;
}
