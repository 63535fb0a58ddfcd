/** `understudy demo`: a real mail server, its near-line service, three disasters, and a takeover, on this machine. */
export { runDemo } from './demo.ts';
export { demoErrors } from './errors.ts';
export type { DemoOptions } from './options.ts';
export type { Results } from './results.ts';
