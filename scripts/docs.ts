/** Writes the generated reference pages (`npm run docs`); `--check` only says whether they are up to date. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { referencePages } from './docs/pages.ts';

const root = join(import.meta.dirname, '..');
const check = process.argv.includes('--check');
let stale = 0;
for (const [path, text] of Object.entries(await referencePages())) {
  const file = join(root, path);
  if (read(file) === text) continue;
  stale += 1;
  console.log(check ? `${path} is not what the code says; run: npm run docs` : `wrote ${path}`);
  if (check) continue;
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
}
process.exitCode = check && stale > 0 ? 1 : 0;

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Not written yet.
    return undefined;
  }
}
