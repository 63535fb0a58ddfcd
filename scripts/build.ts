/**
 * Builds `dist/` for the npm package: JavaScript with types beside it, the command `dist/main.js`, and whatever
 * else lies in `src/` and is read at run time. Runs before `npm pack` and `npm publish`; may be repeated.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const source = resolve(root, 'src');
const target = resolve(root, 'dist');

rmSync(target, { recursive: true, force: true });
compile();
for (const file of globSync('**/*.js', { cwd: target })) {
  // The compiler turns `.ts` into `.js` in imports, but not in the URLs that name a worker's file …
  replace(
    resolve(target, file),
    /new URL\((['"])(\.{1,2}\/[^'"]+)\.ts\1, import\.meta\.url\)/g,
    'new URL($1$2.js$1, import.meta.url)',
  );
}
for (const file of globSync('**/*.d.ts', { cwd: target })) {
  // … and not in declarations.
  replace(resolve(target, file), /((?:from|import|import\() ?)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g, '$1$2$3.js$2');
}
for (const file of globSync('**/*.*', { cwd: source, exclude: ['**/*.ts'] })) copy(file);
makeCommand(resolve(target, 'main.js'));

function compile(): void {
  const compiler = resolve(root, 'node_modules/.bin/tsc');
  const { status, error } = spawnSync(compiler, ['--project', 'tsconfig.build.json'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) {
    console.error('build: the sources do not compile; see above.');
    process.exit(1);
  }
}

function replace(file: string, pattern: RegExp, by: string): void {
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(pattern, by);
  if (changed !== text) writeFileSync(file, changed);
}

function copy(file: string): void {
  mkdirSync(dirname(resolve(target, file)), { recursive: true });
  copyFileSync(resolve(source, file), resolve(target, file));
}

/** Makes the entry point a program. */
function makeCommand(file: string): void {
  const text = readFileSync(file, 'utf8').replace(/^#!.*\n/, '');
  writeFileSync(file, `#!/usr/bin/env node\n${text}`);
  chmodSync(file, 0o755);
}
