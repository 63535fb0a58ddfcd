/**
 * How long it takes to rebind every account of a server, with the proof, next to `ldapmodify` with the same changes on the same
 * OpenLDAP server, which waits for its disk with every change as installations do. Both go there and back in turn, so that
 * the disk's mood meets both.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ldapDirectory } from '../src/directory/index.ts';
import { startSlapd, WRITER } from '../tests/directory/slapd.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { Report } from './lib/report.ts';
import { onStage } from './lib/stage.ts';
import { median } from './lib/statistics.ts';

const flags = readFlags('Rebinding every account of a server.', {
  accounts: { default: 10_000, what: 'Accounts.' },
  rounds: { default: 3, what: 'Times there and back.' },
});

const LIVE = 'mail-a.example.org';
const STANDBY = 'mail-b.example.org';
const report = new Report('rebind', flags);

await onStage('rebind', async (stage) => {
  const missing = requirePackages(['slapd', 'ldap-utils', 'openssl']);
  if (missing) throw new Error(missing);
  report.say(`starting OpenLDAP with ${flags.accounts} accounts`);
  const slapd = await startSlapd({
    accounts: flags.accounts,
    mailHost: LIVE,
    durable: true,
    database: `limits dn.exact="${WRITER}" size.prtotal=unlimited`,
  });
  stage.after(() => slapd.stop());
  const bindings = await ldapDirectory(slapd.options).bindings(undefined, LIVE);
  const directions = [
    [LIVE, STANDBY],
    [STANDBY, LIVE],
  ] as const;

  const ours = async (from: string, to: string) => {
    const changes = bindings.map(({ account, dn }) => ({ account, dn, from: [from], to: [to] }));
    const outcomes = await ldapDirectory(slapd.options).rebind(changes);
    const changed = outcomes.filter(({ result }) => result === 'changed').length;
    if (changed !== bindings.length) throw new Error(`${changed} of ${bindings.length} were changed`);
  };
  const ldif = (from: string) => join(stage.folder, `${from}.ldif`);
  for (const [from, to] of directions) {
    const change = (dn: string) =>
      `dn: ${dn}\nchangetype: modify\ndelete: mailHost\nmailHost: ${from}\n-\nadd: mailHost\nmailHost: ${to}\n-\n\n`;
    writeFileSync(ldif(from), bindings.map(({ dn }) => change(dn)).join(''));
  }
  const ldapmodify = async (from: string) => {
    const login = ['-x', '-H', slapd.url, '-D', WRITER, '-w', 'writer'];
    execFileSync('ldapmodify', [...login, '-f', ldif(from)], { stdio: 'pipe', maxBuffer: 1 << 28 });
  };
  const contenders = [
    { name: 'understudy', run: ours, seconds: [] as number[] },
    { name: 'ldapmodify', run: ldapmodify, seconds: [] as number[] },
  ];
  for (let round = 1; round <= flags.rounds && !stage.signal.aborted; round += 1) {
    for (const { name, run, seconds } of contenders) {
      for (const [from, to] of directions) {
        const start = performance.now();
        await run(from, to);
        seconds.push((performance.now() - start) / 1000);
      }
      report.say(
        `round ${round}: ${name} ${seconds
          .slice(-2)
          .map((value) => value.toFixed(1))
          .join(' s, ')} s`,
      );
    }
  }

  const figures = contenders.map(({ name, seconds }) => ({ name, seconds, median: median(seconds) }));
  const [here, theirs] = figures.map((figure) => figure.median) as [number, number];
  report.table(
    `${bindings.length} accounts rebound; seconds, of ${flags.rounds * 2} runs`,
    ['', 'median', 'least', 'most', 'by ldapmodify'],
    figures.map(({ name, seconds, median: middle }) => [
      name,
      middle,
      Math.min(...seconds),
      Math.max(...seconds),
      middle / theirs,
    ]),
  );
  report.figure('rebind', { accounts: bindings.length, figures });
  report.bar('rebinding by ldapmodify', here / theirs, '≤', 1.5);
  report.finish();
});
