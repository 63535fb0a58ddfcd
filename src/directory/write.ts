/**
 * Sends changes, many at a time on one connection. Not in transactions (RFC 5805): OpenLDAP's slapd (2.5.13, and the later
 * sources read) can free a request of a transaction while the thread that answered it still counts it, and dies of that when
 * the commit follows the last answer at once. Nobody's directory may be put at risk for a few seconds.
 */
import { ResultCodeError } from 'ldapts';
import type { UnderstudyError } from '../lib/index.ts';
import { Assertion } from './assertion.ts';
import type { Connection } from './connection.ts';
import { refusedWrite, resultCode } from './failures.ts';
import { changesFor } from './judge.ts';
import type { LdapOptions } from './options.ts';
import { pipelined } from './pipelined.ts';
import { isAbsent } from './query.ts';

/** After so many, what has been answered is told, and whether there is a point in going on is asked. */
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
  /** A change was taken from us, by this call or an earlier one: a refusal does not concern all. */
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
  for (let at = 0; at < works.length; at += BATCH) {
    writing.signal?.throwIfAborted();
    const batch = works.slice(at, at + BATCH);
    await writeEach(writing, connection, batch);
    writing.anyAccepted ||= batch.some(({ answer }) => answer === 'accepted');
    const hopeless = writing.anyAccepted ? undefined : refusalOfAll(writing.options, batch);
    if (hopeless) return hopeless;
    writing.onAnswers(batch.length);
  }
  return undefined;
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
      await modify(options, connection, work);
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
): Promise<void> {
  // Nothing is deleted by name that could miss: that there is still nothing has to be asserted.
  const asserted = found.length === 0 && (await features()).assertions;
  const controls = asserted ? [new Assertion(isAbsent(serverAttribute))] : [];
  await client.modify(dn, changesFor(serverAttribute, found, to), controls);
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
