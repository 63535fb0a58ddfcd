export type { Answers } from './answers.ts';
export { type DovecotSeries, dovecotConfiguration, type PushSetup, pushSetup } from './dovecot-config.ts';
export { tryConnection } from './try-connection.ts';
export { withServer } from './write-config.ts';

/** See `wizard.ts`; loaded when it is used, for its library is for terminals only. */
export async function askForServer(
  ...questions: Parameters<typeof import('./wizard.ts').askForServer>
): ReturnType<typeof import('./wizard.ts').askForServer> {
  return (await import('./wizard.ts')).askForServer(...questions);
}
