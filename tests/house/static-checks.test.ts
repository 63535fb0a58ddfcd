/**
 * Goal: the sources are formatted, linted, typed, and import only downwards. Method: the checks of `npm run verify`,
 * run on this checkout; then a violation of each of our own rules, planted in a copy, must be refused.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { staticChecks } from '../../scripts/static-checks.ts';
import { temporaryDirectory } from '../lab/temp.ts';

const root = resolve(import.meta.dirname, '../..');

describe('the sources', () => {
  for (const { name, command } of staticChecks) {
    it(`pass: ${name}`, () => {
      const [program, ...args] = command;
      const run = spawnSync(resolve(root, 'node_modules/.bin', program), args, {
        cwd: root,
        encoding: 'utf8',
      });
      assert.equal(run.status, 0, `${command.join(' ')}\n${run.stdout}${run.stderr}`);
    });
  }
});

/** Where it is planted, what is written there, and what the refusal says. */
const violations: readonly [file: string, text: string, refusal: RegExp][] = [
  ['src/lib/x.ts', "import '../config/index.ts';", /lib imports nothing/],
  ['src/config/x.ts', "import '../journal/index.ts';", /config imports lib only/],
  ['src/journal/x.ts', "import '../catalog/index.ts';", /journal imports config and lib only/],
  ['src/catalog/x.ts', "import '../workloads/mail/index.ts';", /catalog imports journal/],
  ['src/catalog/x.ts', "import '../control/index.ts';", /catalog imports journal/],
  ['src/control/x.ts', "import '../catalog/index.ts';", /control imports journal/],
  ['src/control/x.ts', "import '../plans/index.ts';", /control imports journal/],
  ['src/workloads/mail/x.ts', "import '../../api/index.ts';", /workloads import catalog/],
  ['src/workloads/mail/x.ts', "import '../../rehome/index.ts';", /siblings meet through a port/],
  ['src/workloads/mail/x.ts', "import '../../directory/index.ts';", /siblings meet through a port/],
  ['src/workloads/mail/imap/x.ts', "import '../../../history/index.ts';", /siblings meet through a port/],
  ['src/history/x.ts', "import '../workloads/mail/index.ts';", /siblings meet through a port/],
  ['src/directory/x.ts', "import '../history/index.ts';", /siblings meet through a port/],
  ['src/directory/x.ts', "import '../rehome/index.ts';", /siblings meet through a port/],
  ['src/rehome/x.ts', "import '../directory/index.ts';", /siblings meet through a port/],
  ['src/rehome/x.ts', "import '../plans/index.ts';", /siblings meet through a port/],
  ['src/plans/mail/x.ts', "import '../../api/index.ts';", /plans import what lies below/],
  ['src/api/x.ts', "import '../cli/index.ts';", /api imports what lies below/],
  ['src/cli/x.ts', "import '../demo/index.ts';", /cli imports what lies below/],
  ['src/demo/x.ts', "import '../cli/index.ts';", /demo imports what lies below/],
  ['src/cli/x.ts', "import '../main.ts';", /cli imports what lies below/],
  ['src/catalog/x.ts', "import '../journal/records.ts';", /through its door/],
  ['src/workloads/mail/shadow/x.ts', "import '../imap/wire.ts';", /through its door/],
  ['src/workloads/mail/imap/x.ts', "import '../../../lib/clock.ts';", /through its door/],
  ['src/journal/x.ts', 'export const x = Date.now();', /Time comes from the clock/],
  ['src/journal/x.ts', 'export const x = new Date();', /Time comes from the clock/],
  ['src/journal/x.ts', 'export const x = performance.now();', /clock\.monotonicMs/],
  ['src/journal/x.ts', 'setTimeout(() => {}, 1);', /clock\.sleep/],
  [
    'src/journal/x.ts',
    "import { setTimeout as wait } from 'node:timers/promises';\nexport const x = wait(1);",
    /Time comes/,
  ],
  ['src/journal/x.ts', 'export const x: any = 1;', /noExplicitAny/],
];

const allowed: readonly [file: string, text: string][] = [
  ['src/lib/clock.ts', 'export const x = [Date.now(), performance.now()];'],
  ['src/journal/x.ts', "import '../lib/index.ts';\nexport const x = new Date(0);"],
  ['src/catalog/x.ts', "import '../journal/index.ts';"],
  ['src/workloads/mail/shadow/x.ts', "import '../types.ts';\nimport '../imap/index.ts';\nimport './y.ts';"],
  ['src/workloads/mail/imap/x.ts', "import '../../../catalog/index.ts';"],
  ['src/control/x.ts', "import '../journal/index.ts';"],
  ['src/rehome/x.ts', "import '../control/index.ts';"],
  ['src/plans/mail/x.ts', "import '../../rehome/index.ts';\nimport '../../workloads/mail/index.ts';"],
  ['src/api/operations/x.ts', "import '../../workloads/mail/index.ts';\nimport '../operation.ts';"],
  ['src/journal/x.test.ts', 'export const x = performance.now();'],
  ['src/main.ts', "import './cli/index.ts';"],
];

describe('the lint rules', () => {
  const lint = (file: string, text: string) => {
    const folder = temporaryDirectory('lint');
    try {
      for (const path of ['biome.json', '.gitignore', 'scripts/lint']) {
        cpSync(resolve(root, path), resolve(folder.path, path), { recursive: true });
      }
      mkdirSync(dirname(resolve(folder.path, file)), { recursive: true });
      writeFileSync(resolve(folder.path, file), `${text}\n`);
      const run = spawnSync(
        resolve(root, 'node_modules/.bin/biome'),
        ['lint', '--error-on-warnings', '--colors=off'],
        {
          cwd: folder.path,
          encoding: 'utf8',
        },
      );
      return { status: run.status, said: `${run.stdout}${run.stderr}` };
    } finally {
      folder.remove();
    }
  };

  for (const [file, text, refusal] of violations) {
    it(`refuse in ${file}: ${text.split('\n')[0]}`, () => {
      const { status, said } = lint(file, text);
      assert.notEqual(status, 0, said);
      assert.match(said, refusal);
    });
  }
  for (const [file, text] of allowed) {
    it(`allow in ${file}: ${text.split('\n')[0]}`, () => {
      const { status, said } = lint(file, text);
      assert.equal(status, 0, said);
    });
  }
});
