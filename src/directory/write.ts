/** Sends changes: in transactions where the server has them, else many at a time on one connection. */
import { type Control, ResultCodeError } from 'ldapts';
import type { UnderstudyError } from '../lib/index.ts';
import { Assertion } from './assertion.ts';
import type { Connection } from './connection.ts';
import { refusedWrite, resultCode } from './failures.ts';
import { changesFor } from './judge.ts';
import type { LdapOptions } from './options.ts';
import { pipelined } from './pipelined.ts';
import { isAbsent } from './query.ts';
import { inTransaction } from './transaction.ts';

/** Changes that are committed together. Other writers of the server wait that long, about a tenth of a second. */
const BATCH = 1_000;

/** One entry's way from `from` to `to`. */
export interface Work {
  readonly dn: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** As last read. */
  found: readonly string[];
  /** Why it could not be read. */
  unreadable: unknown;
  /** What became of the last request, if one was sent since the entry was read: `unknown` when its answer never came. */
  answer: 'accepted' | 'unknown' | ResultCodeError | undefined;
  /** One of our requests was, or may have been, carried out. */
  written: boolean;
  tries: number;
}

export interface Writing {
  readonly options: LdapOptions;
  readonly signal: AbortSignal | undefined;
  /** Told how many more of the works at hand were answered. */
  readonly onAnswers: (count: number) => void;
  /** False once the server refused a transaction, and then took each of its parts. */
  transactions: boolean;
  anyAccepted: boolean;
}

/**
 * Asks for each of `works`, whose `answer` then says what came. Returns why there is no point in going on, when the server takes
 * nothing at all from us: DIRECTORY_NO_WRITE_RIGHTS, DIRECTORY_READ_ONLY, DIRECTORY_REFERRAL. Rejects when the connection is lost.
 */
export async function write(
  writing: Writing,
  connection: Connection,
  works: readonly Work[],
): Promise<UnderstudyError | undefined> {
  const { transactions } = await connection.features();
  for (let at = 0; at < works.length; at += BATCH) {
    writing.signal?.throwIfAborted();
    const batch = works.slice(at, at + BATCH);
    const together = transactions && writing.transactions && batch.length > 1;
    if (!together || !(await writeTogether(writing, connection, batch))) {
      await writeEach(writing, connection, batch);
      if (together && batch.every(({ answer }) => answer === 'accepted')) writing.transactions = false;
    }
    writing.anyAccepted ||= batch.some(({ answer }) => answer === 'accepted');
    const hopeless = writing.anyAccepted ? undefined : refusalOfAll(writing.options, batch);
    if (hopeless) return hopeless;
    writing.onAnswers(batch.length);
  }
  return undefined;
}

/** False when the server refused the transaction, and has changed nothing. */
async function writeTogether(
  { options, signal }: Writing,
  connection: Connection,
  batch: readonly Work[],
): Promise<boolean> {
  const writtenBefore = new Set(batch.filter(({ written }) => written));
  const committed = await inTransaction(connection.client, {
    send: (control) => pipelined(batch, signal, (work) => modify(options, connection, work, [control])),
    beforeCommit: () => {
      for (const work of batch) {
        work.answer = 'unknown';
        work.written = true;
      }
    },
  });
  for (const work of batch) {
    work.answer = committed ? 'accepted' : undefined;
    work.written = committed || writtenBefore.has(work);
  }
  return committed;
}

async function writeEach(
  { options, signal }: Writing,
  connection: Connection,
  batch: readonly Work[],
): Promise<void> {
  await pipelined(batch, signal, async (work) => {
    const writtenBefore = work.written;
    work.answer = 'unknown';
    work.written = true;
    try {
      await modify(options, connection, work, []);
      work.answer = 'accepted';
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error;
      work.answer = error;
      work.written = writtenBefore;
    }
  });
}

async function modify(
  { serverAttribute }: LdapOptions,
  { client, features }: Connection,
  { dn, found, to }: Work,
  controls: readonly Control[],
): Promise<void> {
  const all = [...controls];
  // Nothing is deleted by name that could miss: that there is still nothing has to be asserted.
  if (found.length === 0 && (await features()).assertions) all.push(new Assertion(isAbsent(serverAttribute)));
  await client.modify(dn, changesFor(serverAttribute, found, to), all);
}

/** A refusal that met every entry of a whole batch is said once, not once per account. */
function refusalOfAll(options: LdapOptions, batch: readonly Work[]): UnderstudyError | undefined {
  const [first] = batch;
  if (first === undefined || !(first.answer instanceof ResultCodeError)) return undefined;
  const { code } = first.answer;
  const hopeless: number[] = [
    resultCode.insufficientAccessRights,
    resultCode.strongerAuthRequired,
    resultCode.referral,
    resultCode.unwillingToPerform,
  ];
  if (!hopeless.includes(code)) return undefined;
  const same = batch.every(({ answer }) => answer instanceof ResultCodeError && answer.code === code);
  return same ? refusedWrite(options, first.dn, first.answer) : undefined;
}
