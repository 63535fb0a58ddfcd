/** The near-line server itself: secrets, disk, how far it follows, the warm standby. */
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { checkSecrets } from '../../config/index.ts';
import { bytes, duration, hasCode, messageOf } from '../../lib/index.ts';
import type { WarmStatus } from '../../workloads/mail/warm/index.ts';
import { amber, fromError, green, named, red, type Subject } from './finding.ts';
import type { ReadinessPorts } from './ports.ts';
import type { Finding } from './types.ts';

const DAY_MS = 86_400_000;
/** The journal shall have room for so long, as it grew in the last day. */
const ROOM_DAYS = 7;
/** Behind by more, a failover loses that much. */
const LAG_AMBER_MS = 60_000;
const LAG_RED_MS = 15 * 60_000;

/** Looks every secret up that plans will need. */
export function secretFindings(places: Readonly<Record<string, unknown>>): Finding[] {
  const subject = { id: 'secrets', title: 'secrets can be read' };
  const failed = Object.values(places).flatMap((place) => {
    try {
      checkSecrets(place);
      return [];
    } catch (error) {
      return [fromError(subject, error)];
    }
  });
  return failed.length > 0 ? failed : [green(subject, `of ${named(Object.keys(places))}`)];
}

/** Room for the journal, beside what it grew by in the last day. */
export async function diskFindings(ports: ReadinessPorts, servers: readonly string[]): Promise<Finding[]> {
  const subject = { id: 'disk', title: 'the journal has room' };
  const { dataDir, journal } = ports.config;
  let free: number;
  try {
    const { bavail, bsize } = await statfs(dataDir);
    free = bavail * bsize;
  } catch (error) {
    const isNew = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const detail = isNew ? `${dataDir} does not exist yet` : messageOf(error);
    return [
      (isNew ? amber : red)(subject, detail, 'Make the folder, for the user that runs understudy alone.'),
    ];
  }
  const growth = await growthOfLastDay(ports, servers);
  return [judgeDisk(subject, { free, growth, segmentBytes: journal.segmentSize, dataDir })];
}

/** Pure. `growth` in bytes per day; undefined where it cannot be told yet. */
export function judgeDisk(
  subject: { readonly id: string; readonly title: string },
  room: {
    readonly free: number;
    readonly growth: number | undefined;
    readonly segmentBytes: number;
    readonly dataDir: string;
  },
): Finding {
  const { free, growth, segmentBytes, dataDir } = room;
  const days = growth === undefined || growth === 0 ? undefined : free / growth;
  const detail = `${bytes(free)} free on ${dataDir}${growth === undefined ? '' : `, ${bytes(growth)} written in the last day`}`;
  const remedy = `Give ${dataDir} more room: when it is full, nothing is followed any more.`;
  if (free < 2 * segmentBytes) return red(subject, detail, remedy);
  if (days !== undefined && days < ROOM_DAYS) {
    return amber(subject, `${detail}: enough for ${days.toFixed(1)} days`, remedy);
  }
  return green(subject, detail);
}

/** By the segments that were written in the last day; those of the first pass say nothing about tomorrow. */
async function growthOfLastDay(
  ports: ReadinessPorts,
  servers: readonly string[],
): Promise<number | undefined> {
  const since = ports.clock.wallMs() - DAY_MS;
  let total: number | undefined;
  for (const server of servers) {
    const folder = join(ports.config.dataDir, server, 'journal');
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const files = await Promise.all(names.map((name) => stat(join(folder, name))));
    if (files.length === 0 || files.every(({ mtimeMs }) => mtimeMs > since)) continue;
    const recent = files.filter(({ mtimeMs }) => mtimeMs > since);
    total = (total ?? 0) + recent.reduce((sum, { size }) => sum + size, 0);
  }
  return total;
}

/** Is there a replica, is it complete, and how far behind? */
export async function journalFindings(ports: ReadinessPorts, server: string): Promise<Finding[]> {
  const subject = { id: 'journal', title: `${server}: its journal is not behind` };
  let newest: { committedAt: number; accounts: number; messages: number } | undefined;
  try {
    newest = await ports.withReader(server, async ({ catalog }) => {
      const last = catalog.lastCommit();
      const { accounts, messages } = catalog.totals();
      return last === undefined ? undefined : { committedAt: last.time, accounts, messages };
    });
  } catch (error) {
    if (!hasCode(error, 'CATALOG_VAULT_MISSING')) return [fromError(subject, error)];
  }
  if (newest === undefined) {
    return [
      red(
        subject,
        `there is no replica of ${server}: nothing could be brought up`,
        `Follow it: understudy run, or once: understudy shadow ${server} --once`,
      ),
    ];
  }
  const held = `${newest.messages} messages in ${newest.accounts} accounts`;
  const following = await ports.following(server);
  if (following === undefined) {
    const ageMs = Math.max(0, ports.clock.wallMs() - newest.committedAt);
    return [
      amber(
        subject,
        `nothing follows ${server} now; the replica (${held}) is ${duration(ageMs)} old`,
        'Start the service: understudy run',
      ),
    ];
  }
  const { problem, lagMs, firstPassDone } = following;
  if (problem !== undefined) {
    return [red(subject, `it does not go on: ${problem.code}: ${problem.message}`, problem.remedy)];
  }
  if (firstPassDone === false) {
    return [
      amber(
        subject,
        `the first pass is not done yet; so far ${held}`,
        'Wait for it: understudy status. What it has not reached would be missing.',
      ),
    ];
  }
  const behind = `${duration(lagMs)} behind (${held})`;
  const remedy = `See understudy status: what slows the following of ${server} down?`;
  if (lagMs > LAG_RED_MS) return [red(subject, behind, remedy)];
  return [lagMs > LAG_AMBER_MS ? amber(subject, behind, remedy) : green(subject, behind)];
}

/**
 * Is the standby as warm as the pair asks for, with every account? Nothing for a pair that does not. Never red: a takeover restores what is not
 * there yet. Pure.
 * `status`: undefined where nothing keeps it warm.
 */
export function warmFindings(
  status: WarmStatus | undefined,
  place: { readonly pair: string; readonly wanted: boolean; readonly source: string },
): Finding[] {
  if (!place.wanted) return [];
  const subject = { id: 'standby.warm', title: 'the standby is kept warm' };
  if (status === undefined) {
    return [
      amber(
        subject,
        'nothing keeps it warm now: a takeover restores what it lacks first',
        'Start the service: understudy run',
      ),
    ];
  }
  if (status.source !== place.source) {
    return [
      amber(subject, `it still follows ${status.source}`, 'Wait a moment: the service is turning round.'),
    ];
  }
  const { phase, lagMs, accountsBehind, held, problem } = status;
  const notFollowed = accountsNotFollowed(subject, status);
  if (held.length > 0) {
    return [
      amber(
        subject,
        `bursts of removals are held back in ${named(held.map(({ account }) => account))}: after a failover those are as they were before`,
        `If they are right: understudy standby accept ${place.pair}; if not, restore those accounts on the live server.`,
      ),
      ...notFollowed,
    ];
  }
  if (phase === 'stalled') {
    return [
      amber(
        subject,
        problem === undefined ? 'it takes nothing' : `${problem.code}: ${problem.message}`,
        problem?.remedy ?? 'See understudy status.',
      ),
      ...notFollowed,
    ];
  }
  const detail = `${phase}, ${duration(lagMs)} behind, ${accountsBehind} accounts with something to come`;
  if (phase !== 'following' || lagMs > LAG_AMBER_MS) {
    return [amber(subject, detail, 'Wait for it: understudy status --watch'), ...notFollowed];
  }
  return notFollowed.length > 0 ? notFollowed : [green(subject, detail)];
}

/** Accounts that the phase and the lag leave out. */
function accountsNotFollowed(subject: Subject, { problems, incomplete }: WarmStatus): Finding[] {
  const findings: Finding[] = [];
  const [first] = problems;
  if (first !== undefined) {
    const names = named([...new Set(problems.map(({ account }) => account))]);
    const why = `${first.account}: ${first.code}: ${first.message}`;
    findings.push(
      amber(
        subject,
        `it does not have all of ${names}, which a takeover restores first; ${why}`,
        first.remedy,
      ),
    );
  }
  if (incomplete.length > 0) {
    findings.push(
      amber(
        subject,
        `the journal does not hold all of ${named(incomplete)} yet, and the standby less`,
        'Wait for the first pass: understudy status. What it has not reached would be missing.',
      ),
    );
  }
  return findings;
}
