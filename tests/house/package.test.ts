/**
 * Goal: `npm pack` yields a package that installs and whose command works outside the checkout. Method: do it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../lab/temp.ts';

const root = resolve(import.meta.dirname, '../..');
const skip = existsSync(join(root, 'src/main.ts')) ? false : 'there is no src/main.ts to pack';

describe('the npm package', { skip }, () => {
  it('installs from its tarball, and its command runs outside the checkout', (t) => {
    const folder = temporaryDirectory('package', t).path;
    // `npm test` tells its children where its own package is; these are about others.
    const { npm_config_local_prefix: _, npm_config_prefix: __, ...environment } = process.env;
    const npm = (cwd: string, ...args: string[]) =>
      execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
        cwd,
        env: environment,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    npm(root, 'pack', '--pack-destination', folder);
    const { name, version, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const tarball = join(folder, `${name}-${version}.tgz`);

    const packed = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).split('\n');
    assert.ok(packed.includes(`package/${bin.understudy}`));
    assert.ok(packed.includes('package/dist/main.d.ts'));
    assert.ok(packed.includes('package/LICENSE'));
    const unwanted = packed.filter((file) => /\.test\.|^package\/(src|tests|node_modules)\//.test(file));
    assert.deepEqual(unwanted, []);

    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    npm(folder, 'install', '--prefer-offline', '--ignore-scripts', tarball);
    const help = execFileSync(join(folder, 'node_modules/.bin/understudy'), ['--help'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` },
    });
    assert.match(help, /understudy/);
    assert.match(help, /restore/);
  });
});
