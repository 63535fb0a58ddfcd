/** The commands that are not operations: they start something, or happen before there is a configuration. */
import type { Command } from 'commander';
import type { CommandContext } from '../program.ts';

export interface OwnCommand {
  readonly name: string;
  /** Adds description, options and the action, which calls `run` with the work; the work gives the exit status. */
  declare(command: Command, run: (work: (context: CommandContext) => Promise<number>) => Promise<void>): void;
}

const loaders: Readonly<Record<string, () => Promise<OwnCommand>>> = {
  init: async () => (await import('./init.ts')).init,
  run: async () => (await import('./run.ts')).run,
  'config check': async () => (await import('./config-check.ts')).configCheck,
  openapi: async () => (await import('./openapi.ts')).openapi,
  demo: async () => (await import('./demo.ts')).demo,
  proxy: async () => (await import('./proxy.ts')).proxy,
};

export const ownCommandNames: readonly string[] = Object.keys(loaders);

export async function ownCommandNamed(name: string): Promise<OwnCommand> {
  const load = loaders[name];
  if (load === undefined) throw new Error(`no command ${name}`);
  return load();
}
