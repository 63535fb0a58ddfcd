/** Goal: the page on troubles knows every part that errors come from. Method: the beginnings of codes in it against the registry. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { referencePages } from '../../scripts/docs/pages.ts';
import { declaredErrors } from '../../src/lib/index.ts';
import { root } from './markdown.ts';

test('the beginnings of codes that are explained are those that there are', async () => {
  // Loads every errors.ts.
  await referencePages();
  const page = readFileSync(join(root, 'docs/guides/troubleshooting.md'), 'utf8');
  const sentence = /Codes begin with [^:]*:(.*?)\n\n/s.exec(page)?.[1];
  assert.ok(sentence, 'the page explains them');
  const explained = [...sentence.matchAll(/`([A-Z]+)`/g)].map(([, prefix]) => prefix as string);
  const declared = new Set(Object.keys(declaredErrors()).map((code) => code.split('_')[0] as string));
  assert.deepEqual(explained.sort(), [...declared].sort());
});
