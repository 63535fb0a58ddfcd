/**
 * The stage of the second act: an empty standby, a directory that says where each account is, and a front door. The service
 * starts again with them in its configuration, and fills the standby.
 */
import { join } from 'node:path';
import { duration, messageOf } from '../../lib/index.ts';
import { nodeCommand } from '../commands.ts';
import { listens, type Slapd, startSlapd } from '../directory/index.ts';
import {
  type Dovecot,
  freePort,
  freshLoopbackAddress,
  type ProcessGroup,
  startProcessGroup,
} from '../dovecot/index.ts';
import { demoErrors } from '../errors.ts';
import { ACCOUNTS, startMailServer } from '../mail-server.ts';
import {
  type Door,
  NearLine,
  PAIR,
  PUSH_TIMEOUT_MS,
  pushUrl,
  STANDBY,
  type TakeOverSetting,
  writeConfiguration,
} from '../near-line.ts';
import type { Running } from '../running.ts';
import type { Begun } from '../steps.ts';

const DOOR_WITHIN_MS = 20_000;
const WARM_WITHIN_MS = 120_000;
const USUAL_PORTS = { imapPort: 143, lmtpPort: 24 };

export interface Stage extends TakeOverSetting {
  readonly nearLine: NearLine;
}

/** Errors: DEMO_SERVER_FAILED, DEMO_SERVICE_FAILED. */
export async function setTheStage(
  begun: Begun,
  { dovecot, nearLine }: Pick<Running, 'dovecot' | 'nearLine'>,
  listen: string,
): Promise<Stage> {
  const { folder, screen, clock, cleanUp, options } = begun;
  options.signal.throwIfAborted();
  screen.step('A standby with another name, a directory, and a front door for the clients');
  const standby = await startMailServer(folder, STANDBY, {
    url: pushUrl(listen, STANDBY),
    timeoutMs: PUSH_TIMEOUT_MS + 500,
  });
  cleanUp.add('the standby', () => standby.stop());
  const directory = await startDirectory(folder, dovecot);
  cleanUp.add('the directory', () => directory.stop());
  const door = await chooseDoor();
  screen.note(
    `the standby at ${standby.address} is empty; ${directory.url} says mailHost: ${dovecot.address} for all; clients will connect to ${door.address}`,
  );

  await nearLine.stop();
  const setting = { standby, directory, door };
  writeConfiguration(folder, listen, dovecot, setting);
  // A process of its own, which outlives the service; here it must not outlive us.
  screen.command(`understudy proxy ${PAIR} &`);
  const [node, ...args] = nodeCommand(options.entry);
  const proxy = startProcessGroup(node, [...args, 'proxy', PAIR], {
    cwd: folder,
    logFile: join(folder, 'proxy.log'),
  });
  cleanUp.add('the front door', () => proxy.stop());
  await open(door, proxy, begun);
  screen.command('understudy run &');
  const began = clock.monotonicMs();
  const restarted = await NearLine.start({
    folder,
    entry: options.entry,
    clock,
    signal: options.signal,
    begun: (stop) => cleanUp.add('the near-line service of the second act', stop),
  });
  await filled(begun, restarted);
  screen.good(
    `the standby holds what the journal holds, ${duration(clock.monotonicMs() - began)} after the start of the service, and is kept so`,
  );
  return { ...setting, nearLine: restarted };
}

async function startDirectory(folder: string, live: Dovecot): Promise<Slapd> {
  try {
    return await startSlapd({
      folder: join(folder, 'directory'),
      accounts: ACCOUNTS,
      mailHost: live.address,
    });
  } catch (error) {
    throw demoErrors.make('DEMO_SERVER_FAILED', messageOf(error), { cause: error });
  }
}

async function chooseDoor(): Promise<Door> {
  const address = await freshLoopbackAddress(Object.values(USUAL_PORTS));
  if (address !== undefined) return { address, ...USUAL_PORTS };
  return { address: '127.0.0.1', imapPort: await freePort(), lmtpPort: await freePort() };
}

/** The service would start one itself where none answers yet. */
async function open(door: Door, proxy: ProcessGroup, { clock, options }: Begun): Promise<void> {
  const deadline = clock.monotonicMs() + DOOR_WITHIN_MS;
  while (!(await listens(door.address, door.lmtpPort))) {
    const ended = proxy.ended();
    if (ended !== undefined || clock.monotonicMs() > deadline) {
      throw demoErrors.make(
        'DEMO_SERVER_FAILED',
        `the front door did not come up: ${ended ?? 'it does not listen'}\n${proxy.stderr()}`,
      );
    }
    await clock.sleep(50, options.signal);
  }
}

async function filled({ screen, clock, options }: Begun, nearLine: NearLine): Promise<void> {
  const deadline = clock.monotonicMs() + WARM_WITHIN_MS;
  for (;;) {
    const { warm } = await nearLine.pairStatus();
    if (warm?.phase === 'following' && warm.accountsBehind === 0) return;
    if (clock.monotonicMs() > deadline) {
      throw nearLine.failure(`its standby is not filled within ${duration(WARM_WITHIN_MS)}`);
    }
    if (warm) screen.progress(`filling: ${warm.accountsBehind} accounts to go`);
    await clock.sleep(100, options.signal);
  }
}
