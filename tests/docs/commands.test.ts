/**
 * Goal: no page shows a command that does not exist. Method: every command line of every page is in a page that is run,
 * or is listed as one that is not; commands named within sentences, and those not run, are held against the help.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Ran, understudyHere } from './help.ts';
import { commandsOf, pagePaths, readPage, root } from './markdown.ts';
import { notRun, reasonNotRun } from './not-run.ts';
import { scenarios } from './scenarios.ts';

/** Pages that are generated from the code: what they show is what the code says. */
const isGenerated = (page: string) => page.startsWith('docs/reference/');

const shown = pagePaths().flatMap((page) =>
  readPage(page)
    .blocks.flatMap(commandsOf)
    .map(({ command, line }) => ({ page, command, line })),
);

test('every command line is run, or listed with the reason why it is not', () => {
  const run = new Set(scenarios.map(({ page }) => page));
  const unchecked = shown
    .filter(({ page, command }) => !run.has(page) && reasonNotRun(page, command) === undefined)
    .map(({ page, command, line }) => `${page}:${line}: ${command}`);
  assert.deepEqual(unchecked, []);
});

test('nothing is listed that no page shows', () => {
  const commands = new Set(shown.map(({ command }) => command));
  assert.deepEqual(
    notRun.filter(({ command }) => !commands.has(command)).map(({ command }) => command),
    [],
  );
});

test('every command of the package that is not run has the options that are shown', async () => {
  const lines = new Set([
    ...notRun.map(({ command }) => command),
    ...pagePaths()
      .filter((page) => !isGenerated(page))
      .flatMap(commandsWithinSentences),
  ]);
  const understudy = [...lines].filter((line) => /^(\.\/)?understudy [a-z]/.test(line));
  assert.ok(understudy.length > 5, 'there are such commands');
  for (const line of understudy) {
    const words = line.replace(/^\S+ /, '').split(/\s+/);
    const { status, output }: Ran = await understudyHere([...commandWords(words), '--help']);
    assert.equal(status, 0, `${line}\n${output}`);
    for (const option of words.filter((word) => /^--[a-z]/.test(word))) {
      assert.ok(output.includes(option.split('=')[0] as string), `${line}: ${option}\n${output}`);
    }
  }
});

test('scripts of npm that are shown exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
  const named = shown.map(({ command }) => /^npm (?:run )?(test|verify|docs)\b/.exec(command)?.[1]);
  assert.deepEqual(
    named.filter((name) => name !== undefined && !(name in scripts)),
    [],
  );
});

/** `journal verify` of `journal verify SERVER`: the words before arguments and options. */
function commandWords(words: readonly string[]): string[] {
  const two = ['journal', 'catalog', 'config', 'plan', 'standby'];
  return words.slice(0, two.includes(words[0] as string) ? 2 : 1);
}

function commandsWithinSentences(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
  return [...text.matchAll(/`(understudy [a-z][^`]*)`/g)].map(([, command]) => command as string);
}
