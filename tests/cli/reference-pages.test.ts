/** Goal: docs/reference is what the code says. When this fails: npm run docs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { referencePages } from '../../scripts/docs/pages.ts';

for (const [path, text] of Object.entries(await referencePages())) {
  test(`${path} is what the code says`, () => {
    assert.equal(
      readFileSync(join(import.meta.dirname, '..', '..', path), 'utf8'),
      text,
      'run: npm run docs',
    );
  });
}
