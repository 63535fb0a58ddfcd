/** Asks for a server on a terminal. */
import * as prompts from '@clack/prompts';
import { cliErrors } from '../errors.ts';
import type { Answers } from './answers.ts';

/** @throws CLI_DECLINED when it is left with Ctrl-C */
export async function askForServer(fresh: boolean, given: Partial<Answers>): Promise<Answers> {
  prompts.intro(fresh ? 'A configuration for Understudy' : 'One more server for Understudy');
  const place = fresh
    ? { dataDir: await text('Folder for journals', { initial: given.dataDir ?? 'understudy-data' }) }
    : {};
  const server = await text('Name of the server, for commands', { initial: given.server ?? 'mail-a' });
  const host = await text('Its address', { initial: given.host ?? '', placeholder: 'mail.example.org' });
  const security = await select('How is IMAP protected?', [
    { value: 'tls' as const, label: 'TLS (port 993)' },
    { value: 'starttls' as const, label: 'STARTTLS (port 143)' },
    { value: 'none' as const, label: 'not at all (loopback or a private network)' },
  ]);
  const port = Number(
    await text('IMAP port', { initial: security === 'tls' ? '993' : '143', check: isPort }),
  );
  const masterUser = await text('Master user, who may read every account', {
    initial: given.masterUser ?? 'understudy',
  });
  const secretFile = await text('File that holds its password', { initial: '/etc/understudy/master' });
  const separator = await text('Dovecot’s auth_master_user_separator, empty for SASL PLAIN', {
    initial: '',
    optional: true,
  });
  const isDovecot = await answer(prompts.confirm({ message: 'Is it Dovecot with the doveadm HTTP API?' }));
  const doveadm = isDovecot
    ? {
        doveadmUrl: await text('URL of the API', { initial: `http://${host}:8080/doveadm/v1` }),
        doveadmKey: `\${file:${await text('File that holds its key', { initial: '/etc/understudy/doveadm-key' })}}`,
      }
    : {};
  const accounts = await askForAccounts(isDovecot);
  const pushMode = await select('When the server tells what changed, shall it', [
    { value: 'hint' as const, label: 'go on at once (mail is journaled moments later)' },
    {
      value: 'synchronous' as const,
      label: 'wait for the journal, bounded (no acknowledged mail is ever lost)',
    },
  ]);
  return {
    ...place,
    server,
    host,
    port,
    security,
    masterUser,
    masterSecret: `\${file:${secretFile}}`,
    ...(separator === '' ? {} : { separator }),
    ...doveadm,
    accounts,
    pushMode,
  };
}

async function askForAccounts(isDovecot: boolean): Promise<Answers['accounts']> {
  const source = await select('Which accounts?', [
    { value: 'list' as const, label: 'those I list now' },
    ...(isDovecot ? [{ value: 'doveadm' as const, label: 'all that Dovecot lists' }] : []),
    { value: 'directory' as const, label: 'those that the LDAP directory binds to this server' },
  ]);
  if (source !== 'list') return { from: source };
  return { list: accountList(await text('Accounts, separated by spaces', { initial: '' })) };
}

export function accountList(typed: string): string[] {
  return typed.split(/[\s,]+/).filter((name) => name !== '');
}

async function text(
  message: string,
  options: {
    initial: string;
    placeholder?: string;
    optional?: boolean;
    check?: (value: string) => string | undefined;
  },
): Promise<string> {
  return answer(
    prompts.text({
      message,
      initialValue: options.initial,
      ...(options.placeholder === undefined ? {} : { placeholder: options.placeholder }),
      validate: (value) => {
        if ((value ?? '') === '' && options.optional !== true) return 'Needed.';
        return options.check?.(value ?? '');
      },
    }),
  );
}

async function select<T extends string>(message: string, options: { value: T; label: string }[]): Promise<T> {
  const chosen = prompts.select<T>({ message, options: options as prompts.Option<T>[] });
  return answer(chosen) as Promise<T>;
}

async function answer<T>(prompt: Promise<T>): Promise<Exclude<T, symbol>> {
  const value = await prompt;
  if (prompts.isCancel(value))
    throw cliErrors.make('CLI_DECLINED', 'the questions were left; nothing was written');
  return value as Exclude<T, symbol>;
}

function isPort(value: string): string | undefined {
  return /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65535
    ? undefined
    : 'A number from 1 to 65535.';
}
