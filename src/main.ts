#!/usr/bin/env node
/**
 * The composition root: puts real vaults, workloads and directories behind the ports of the API, and begins. The
 * threads of the service begin here too. Everything is loaded when it is first used.
 */
import { enableCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { Adapters, ThreadStart } from './api/index.ts';
import type { DirectoryConfig } from './config/index.ts';
import type { Log } from './lib/index.ts';

// Compiled code is kept between runs: a command starts in half the time.
enableCompileCache();

const { hasCode, systemClock } = await import('./lib/index.ts');

const adapters: Adapters = {
  clock: systemClock,

  async openVault({ config, dir, log, progress, mustExist }) {
    // By itself the heap grows to four times of what lives in it before it is cleared: a first shadow has much that lives for a moment, and took 80 MB
    // more for no time won. Commands that only read start 40 ms sooner without.
    setFlagsFromString('--heap-growing-percent=60');
    const { Vault } = await import('./catalog/index.ts');
    const { compressionLevel, segmentSize } = config.journal;
    return Vault.open({
      dir,
      clock: systemClock,
      log,
      compressionLevel,
      segmentBytes: segmentSize,
      ...(mustExist === undefined ? {} : { mustExist }),
      ...(progress === undefined ? {} : { onProgress: progress }),
      ...(await journalKey(config)),
    });
  },

  async removeEmptyVault({ config, dir }) {
    const { removeEmptyVault } = await import('./catalog/index.ts');
    await removeEmptyVault({ dir, clock: systemClock, ...(await journalKey(config)) });
  },

  async openReader({ config, dir, log }) {
    const { rebuildCatalog, VaultReader } = await import('./catalog/index.ts');
    const place = { dir, clock: systemClock, log, ...(await journalKey(config)) };
    try {
      return await VaultReader.open(place);
    } catch (error) {
      if (!hasCode(error, 'CATALOG_MISSING')) throw error;
      log.warn({ dir }, 'the catalog is missing; it is rebuilt from the journal');
      try {
        await rebuildCatalog(place);
      } catch (rebuilding) {
        // Somebody else has begun to; the reader waits for that.
        if (!hasCode(rebuilding, 'CATALOG_VAULT_LOCKED')) throw rebuilding;
      }
      return VaultReader.open(place);
    }
  },

  mail: () => import('./workloads/mail/index.ts'),

  async openControl(config, log) {
    const { ControlJournal, controlDirOf } = await import('./control/index.ts');
    const dir = controlDirOf(config.dataDir);
    return ControlJournal.open({ dir, clock: systemClock, log, ...(await journalKey(config)) });
  },

  async readControl(config) {
    const { ControlReader, controlDirOf } = await import('./control/index.ts');
    return ControlReader.open({ dir: controlDirOf(config.dataDir), ...(await journalKey(config)) });
  },

  openDirectory,

  async planKinds(wiring) {
    const { planKinds } = await import('./plans/index.ts');
    const { takeOverPlans } = await import('./plans/mail/index.ts');
    const { takeOverPorts } = await import('./api/take-over/index.ts');
    const ports = takeOverPorts(wiring, {
      entry: new URL(import.meta.url),
      directory: (pair) => wiring.core.pairDirectory(pair),
    });
    return planKinds(...(await takeOverPlans(ports)));
  },
};

async function openDirectory(config: DirectoryConfig, log: Log) {
  const { ldapDirectory } = await import('./directory/index.ts');
  const { bindDn, bindSecret, ca, ...rest } = config;
  return ldapDirectory({
    ...rest,
    log,
    ...(bindDn === undefined ? {} : { bindDn }),
    ...(bindSecret === undefined ? {} : { bindSecret: bindSecret.reveal() }),
    ...(ca === undefined ? {} : { caFile: ca }),
  });
}

async function journalKey(config: Parameters<Adapters['openVault']>[0]['config']) {
  const keyFile = config.journal.encryption?.keyFile;
  if (keyFile === undefined) return {};
  const { loadKeyFile } = await import('./journal/index.ts');
  return { key: await loadKeyFile(keyFile) };
}

if (isMainThread) {
  const { runCommandLine } = await import('./cli/index.ts');
  const entry = new URL(import.meta.url);
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    adapters,
    entry,
    runDemo: async (options) => (await import('./demo/index.ts')).runDemo({ ...options, entry }),
  });
} else if (parentPort !== null) {
  const { runServiceThread } = await import('./api/index.ts');
  await runServiceThread(parentPort, workerData as ThreadStart, adapters);
}
