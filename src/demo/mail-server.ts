/** The mail servers of the demonstration: real Dovecots with the same accounts; the live one is full of generated mail. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { bytes, counted, messageOf, number } from '../lib/index.ts';
import { type Dovecot, type Filled, fillDovecot, startDovecot } from './dovecot/index.ts';
import { demoErrors } from './errors.ts';
import type { Screen } from './screen.ts';

export const ACCOUNTS = ['anna', 'ben', 'clara', 'dmitri', 'emi', 'farid'] as const;

/** Starts it in its own folder below `folder`, which must exist; it posts changes to the URL. Error: DEMO_SERVER_FAILED. */
export async function startMailServer(
  folder: string,
  name: string,
  push: { readonly url: string; readonly timeoutMs: number },
): Promise<Dovecot> {
  try {
    // Where INBOX can be renamed, a lost one comes back with every UID, although new mail came since.
    return await startDovecot({ folder: join(folder, name), accounts: ACCOUNTS, format: 'sdbox', push });
  } catch (error) {
    throw demoErrors.make('DEMO_SERVER_FAILED', messageOf(error), { cause: error });
  }
}

/** As it says itself: `2.3.19.1`. */
export function mailServerVersion(): string {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin`;
  const said = execFileSync('dovecot', ['--version'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  return said.split(' ')[0] ?? '';
}

/** The same seed gives the same mail. */
export async function fillMailServer(
  dovecot: Dovecot,
  options: { readonly messages: number; readonly seed: string },
  screen: Screen,
): Promise<Filled> {
  const filled = await fillDovecot(dovecot, {
    ...options,
    onProgress: (messages) =>
      screen.progress(`${number(messages)} of ${counted(options.messages, 'message')} generated and stored`),
  });
  screen.note(
    `${counted(filled.messages, 'message')}, ${bytes(filled.bytes)}, in ${counted(filled.mailboxes, 'mailbox', 'mailboxes')} of ${ACCOUNTS.join(', ')}: eight languages, attachments, threads, flags`,
  );
  return filled;
}
