/**
 * `npm run verify`: format, lint, import direction and types, then all tests; the same that CI holds against a
 * change. Reports every check that fails rather than the first one.
 */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { staticChecks } from './static-checks.ts';

const root = resolve(import.meta.dirname, '..');
const failed: string[] = [];

for (const { name, command } of staticChecks) {
  const [program, ...args] = command;
  run(name, resolve(root, 'node_modules/.bin', program), args);
}
run('tests', process.execPath, ['--disable-warning=ExperimentalWarning', resolve(root, 'scripts/test.ts')]);

console.log(failed.length === 0 ? 'verify: all is well' : `verify: failed: ${failed.join('; ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function run(name: string, program: string, args: readonly string[]): void {
  console.log(`verify: ${name}`);
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) failed.push(name);
}
