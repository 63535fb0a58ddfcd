/** Asks for a server on a terminal. */
import * as prompts from '@clack/prompts';
import { cliErrors } from '../errors.ts';
import type { Answers } from './answers.ts';

/**
 * Asks what `given` does not answer yet. `directories` are those that the file defines: accounts can come from them only.
 * @throws CLI_DECLINED when it is left with Ctrl-C
 */
export async function askForServer(
  fresh: boolean,
  given: Partial<Answers>,
  directories: readonly string[],
): Promise<Answers> {
  prompts.intro(fresh ? 'A configuration for Understudy' : 'One more server for Understudy');
  const dataDir =
    given.dataDir ?? (fresh ? await text('Folder for journals', { initial: 'understudy-data' }) : undefined);
  const server = given.server ?? (await text('Name of the server, for commands', { initial: 'mail-a' }));
  const host = given.host ?? (await text('Its address', { initial: '', placeholder: 'mail.example.org' }));
  const security =
    given.security ??
    (await select('How is IMAP protected?', [
      { value: 'tls' as const, label: 'TLS (port 993)' },
      { value: 'starttls' as const, label: 'STARTTLS (port 143)' },
      { value: 'none' as const, label: 'not at all (loopback or a private network)' },
    ]));
  const port =
    given.port ??
    Number(await text('IMAP port', { initial: security === 'tls' ? '993' : '143', check: isPort }));
  const masterUser =
    given.masterUser ?? (await text('Master user, who may read every account', { initial: 'understudy' }));
  const masterSecret =
    given.masterSecret ??
    fileReference(await text('File that holds its password', { initial: '/etc/understudy/master' }));
  const separator =
    given.separator ??
    (await text('Dovecot’s auth_master_user_separator, empty for SASL PLAIN', {
      initial: '',
      optional: true,
    }));
  const doveadm = await askForDoveadm(given, host);
  const accounts =
    given.accounts ?? (await askForAccounts(accountSources('doveadmUrl' in doveadm, directories)));
  const pushMode =
    given.pushMode ??
    (await select('When the server tells what changed, shall it', [
      { value: 'hint' as const, label: 'go on at once (mail is journaled moments later)' },
      {
        value: 'synchronous' as const,
        label: 'wait for the journal, bounded (no acknowledged mail is ever lost)',
      },
    ]));
  return {
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(given.site === undefined ? {} : { site: given.site }),
    ...(given.listen === undefined ? {} : { listen: given.listen }),
    server,
    host,
    port,
    security,
    masterUser,
    masterSecret,
    ...(separator === '' ? {} : { separator }),
    ...doveadm,
    accounts,
    pushMode,
  };
}

async function askForDoveadm(
  given: Partial<Answers>,
  host: string,
): Promise<{ doveadmUrl: string; doveadmKey: string } | Record<never, never>> {
  const isGiven = given.doveadmUrl !== undefined || given.doveadmKey !== undefined;
  if (!isGiven && !(await answer(prompts.confirm({ message: 'Is it Dovecot with the doveadm HTTP API?' })))) {
    return {};
  }
  return {
    doveadmUrl:
      given.doveadmUrl ?? (await text('URL of the API', { initial: `http://${host}:8080/doveadm/v1` })),
    doveadmKey:
      given.doveadmKey ??
      fileReference(await text('File that holds its key', { initial: '/etc/understudy/doveadm-key' })),
  };
}

function fileReference(file: string): string {
  return `\${file:${file}}`;
}

interface AccountSource {
  readonly label: string;
  /** Absent: they are listed. */
  readonly accounts?: Answers['accounts'];
}

/** Only what the file can go by: a directory that it does not define would make it wrong. */
export function accountSources(hasDoveadm: boolean, directories: readonly string[]): AccountSource[] {
  return [
    { label: 'those I list now' },
    ...(hasDoveadm ? [{ label: 'all that Dovecot lists', accounts: { from: 'doveadm' } as const }] : []),
    ...directories.map((name) => ({
      label: `those that the LDAP directory ${name} binds to this server`,
      accounts:
        directories.length === 1
          ? ({ from: 'directory' } as const)
          : ({ from: 'directory', directory: name } as const),
    })),
  ];
}

async function askForAccounts(sources: readonly AccountSource[]): Promise<Answers['accounts']> {
  const chosen = await select(
    'Which accounts?',
    sources.map(({ label }, index) => ({ value: String(index), label })),
  );
  const accounts = sources[Number(chosen)]?.accounts;
  return accounts ?? { list: accountList(await text('Accounts, separated by spaces', { initial: '' })) };
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
