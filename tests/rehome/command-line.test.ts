/** Goal: `understudy proxy PAIR` runs the front door in the foreground, as a unit file wants it. Method: the command itself. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadConfig } from '../../src/config/index.ts';
import { ensureProxy, proxyStats } from '../../src/rehome/index.ts';
import { understudy, understudyJson } from '../cli/service.ts';
import { freePort } from '../lab/address.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { deps, leadsTo, PAIR, until } from './world.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

describe('understudy proxy', () => {
  const folder = temporaryDirectory('door-command');
  process.once('exit', folder.remove);
  const file = join(folder.path, 'understudy.yaml');
  let port = 0;

  before(async () => {
    const backend = createServer((socket) => {
      socket.on('error', () => {});
      socket.write('* OK a ready\r\n');
    }).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    backend.unref();
    port = await freePort();
    const { port: to } = backend.address() as { port: number };
    writeFileSync(
      file,
      `dataDir: data
servers:
  a: { workload: mail, host: 127.0.0.1, imap: { port: ${to}, security: none } }
  b: { workload: mail, host: 127.0.0.1, imap: { port: 1, security: none } }
pairs:
  ${PAIR}: { live: a, standby: b, rehome: [{ kind: proxy, listen: "127.0.0.1:${port}", to: imap }] }
  bare: { live: a, standby: b }
`,
    );
  });

  const startForeground = async () => {
    const child = spawn(process.execPath, [MAIN, 'proxy', PAIR], { cwd: folder.path, stdio: 'ignore' });
    const config = loadConfig(file);
    await until('the front door', async () =>
      (await proxyStats(config, PAIR, deps))?.pid === child.pid ? true : undefined,
    );
    return child;
  };

  it('runs until SIGTERM, and there is one per pair', async () => {
    const child = await startForeground();
    assert.equal(await leadsTo(port), 'a');
    const second = await understudyJson(folder.path, 'proxy', PAIR);
    assert.deepEqual([second.status, second.output.error.code], [3, 'REHOME_PROXY_RUNNING']);
    assert.equal(second.output.error.details.pid, child.pid);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(await leadsTo(port), undefined);
  });

  it('--stop ends it, also where none runs', async () => {
    const child = await startForeground();
    const stopped = await understudyJson(folder.path, 'proxy', PAIR, '--stop');
    assert.deepEqual([stopped.status, stopped.output], [0, { pair: PAIR, stopped: child.pid }]);
    const again = await understudy(folder.path, 'proxy', PAIR, '--stop');
    assert.deepEqual([again.status, again.stdout], [0, `no front door of ${PAIR} runs\n`]);
  });

  it('is what is started in the background', async () => {
    const entry = pathToFileURL(MAIN);
    await ensureProxy(loadConfig(file), PAIR, { ...deps, entry });
    assert.equal(await leadsTo(port), 'a');
    assert.equal((await understudy(folder.path, 'proxy', PAIR, '--stop')).status, 0);
  });

  it('refuses a pair without a front door, and one that is not there', async () => {
    const bare = await understudyJson(folder.path, 'proxy', 'bare');
    assert.deepEqual([bare.status, bare.output.error.code], [2, 'REHOME_NO_PROXY']);
    const absent = await understudyJson(folder.path, 'proxy', 'mial');
    assert.equal(absent.output.error.code, 'CONFIG_UNKNOWN_PAIR');
  });
});
