/**
 * Goal: a checkout installs from whatever registry its machine uses, and says nothing about the machines it was
 * made on. Method: read every tracked file.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';

const root = resolve(import.meta.dirname, '../..');
const git = spawnSync('git', ['rev-parse', '--is-inside-work-tree'], { cwd: root });
const skip = git.status === 0 ? false : 'this is not a Git checkout';

describe('the repository', () => {
  it('names no registry in package-lock.json and .npmrc', () => {
    assert.doesNotMatch(readFileSync(join(root, 'package-lock.json'), 'utf8'), /"resolved":\s*"http/);
    assert.doesNotMatch(readFileSync(join(root, '.npmrc'), 'utf8'), /registry\s*=|_auth/);
  });

  it('locks the packages of every platform, which `npm ci` insists on', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
      .filter((name) => packages[`node_modules/${name}`]?.version === undefined);
    // An entry needs version, optional, os and cpu; some registries do not say them for foreign platforms.
    assert.deepEqual(missing, []);
  });

  it('contains no path of the machine it is on', { skip }, () => {
    const places = [root, homedir()]
      // A short or common folder, such as / or one for temporary files, may well be named in a page.
      .filter((place) => place.split('/').length > 2 && !place.startsWith(tmpdir()));
    const found = trackedTexts().flatMap(({ file, text }) =>
      places.filter((place) => text.includes(place)).map((place) => `${file}: ${place}`),
    );
    assert.deepEqual(found, []);
  });

  it('ends every text file with one line feed and has no CR LF outside fixtures', { skip }, () => {
    const wrong = trackedTexts()
      .filter(
        ({ file, text }) => !file.includes('fixtures/') && (/\r\n/.test(text) || !/[^\n]\n$/.test(text)),
      )
      .map(({ file }) => file);
    assert.deepEqual(wrong, []);
  });
});

function trackedTexts(): { file: string; text: string }[] {
  return execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)) && statSync(join(root, file)).isFile())
    .map((file) => ({ file, bytes: readFileSync(join(root, file)) }))
    .filter(({ bytes }) => bytes.length > 0 && !bytes.includes(0))
    .map(({ file, bytes }) => ({ file, text: bytes.toString('utf8') }));
}
