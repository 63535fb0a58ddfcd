/**
 * What can be said about the sources without running them. `npm run verify` runs these first; a test runs them
 * too, so that they hold wherever the tests pass.
 */
export interface StaticCheck {
  /** What a failure means, in words. */
  readonly name: string;
  /** A program of node_modules/.bin and its arguments, run in the root of the checkout. */
  readonly command: readonly [string, ...string[]];
}

export const staticChecks: readonly StaticCheck[] = [
  {
    name: 'format, lint and import direction',
    command: ['biome', 'check', '--error-on-warnings', '--colors=off'],
  },
  { name: 'types', command: ['tsc', '--project', '.', '--noEmit'] },
];
