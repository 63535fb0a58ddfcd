/** Goal: whatever an OpenLDAP server refuses or loses is told with its code and remedy, per account or once for all. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import test, { after, before, type TestContext } from 'node:test';
import { type LdapOptions, ldapDirectory } from '../../src/directory/index.ts';
import { UnderstudyError } from '../../src/lib/index.ts';
import { startFaultyProxy } from '../lab/faulty-proxy.ts';
import { PEOPLE, type Slapd, type SlapdOptions, SUFFIX, startSlapd, WRITER } from './slapd.ts';

const LIVE = 'mail-a.example.org';
const STANDBY = 'mail-b.example.org';

async function slapdFor(t: TestContext, options: Partial<SlapdOptions>): Promise<Slapd> {
  const slapd = await startSlapd({ accounts: 20, mailHost: LIVE, ...options });
  t.after(() => slapd.stop());
  return slapd;
}

async function wishes(options: LdapOptions) {
  const bindings = await ldapDirectory(options).bindings();
  return bindings.map(({ account, dn, values }) => ({ account, dn, from: values, to: [STANDBY] }));
}

/** Writes are refused with this code and a remedy like that, and nothing is changed. */
async function assertHopeless(slapd: Slapd, how: Partial<LdapOptions>, code: string, remedy: RegExp) {
  const options = { ...slapd.options, ...how };
  const changes = await wishes(options);
  const expected = (error: unknown) => {
    assert.ok(error instanceof UnderstudyError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.remedy, remedy);
    return true;
  };
  await assert.rejects(ldapDirectory(options).rebind(changes), expected);
  await assert.rejects(ldapDirectory(options).tryWrite(), expected);
  assert.deepEqual(slapd.read('u00000'), [LIVE]);
}

test('no right to write is said once, with the rule that is missing', async (t) => {
  const slapd = await slapdFor(t, { access: 'access to * by * read' });
  const rule = new RegExp(`access to dn.subtree="${PEOPLE}" attrs=mailHost by dn.exact="${WRITER}" write`);
  await assertHopeless(slapd, {}, 'DIRECTORY_NO_WRITE_RIGHTS', rule);
  const { bindDn: _, bindSecret: __, ...anonymous } = slapd.options;
  await assert.rejects(ldapDirectory(anonymous).tryWrite(), { code: 'DIRECTORY_NO_WRITE_RIGHTS' });
});

test('a right that is missing on some entries only fails those only', async (t) => {
  const slapd = await slapdFor(t, {
    accounts: 1_200,
    database: `limits dn.exact="${WRITER}" size.prtotal=unlimited`,
    access: `access to dn.regex="^uid=u0000[0-4],${PEOPLE}$" by * read`,
  });
  const outcomes = await ldapDirectory(slapd.options).rebind(await wishes(slapd.options));
  assert.deepEqual(
    outcomes.filter(({ result }) => result !== 'changed').map(({ account, code }) => [account, code]),
    ['u00000', 'u00001', 'u00002', 'u00003', 'u00004'].map((account) => [
      account,
      'DIRECTORY_NO_WRITE_RIGHTS',
    ]),
  );
});

test('a directory that takes no changes is said once', async (t) => {
  await assertHopeless(await slapdFor(t, { database: 'readonly on' }), {}, 'DIRECTORY_READ_ONLY', /readonly/);
});

test('a replica that refers to its provider is said once', async (t) => {
  const provider = 'ldap://127.0.0.1:9';
  const consumer = `syncrepl rid=001 provider=${provider} type=refreshOnly interval=01:00:00:00 searchbase="${SUFFIX}" bindmethod=simple
updateref ${provider}`;
  await assertHopeless(await slapdFor(t, { database: consumer }), {}, 'DIRECTORY_REFERRAL', /provider/);
});

test('an account that was moved to another directory fails alone', async (t) => {
  const slapd = await slapdFor(t, {});
  const changes = await wishes(slapd.options);
  slapd.modify(`dn: ${slapd.dn('u00003')}\nchangetype: delete\n`);
  slapd.modify(
    `dn: ${slapd.dn('u00003')}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nuid: u00003\nref: ldap://127.0.0.1:9/${slapd.dn('u00003')}\n`,
  );
  const outcomes = await ldapDirectory(slapd.options).rebind(changes);
  assert.deepEqual(
    outcomes.filter(({ result }) => result !== 'changed').map(({ account, code }) => [account, code]),
    [['u00003', 'DIRECTORY_REFERRAL']],
  );
  const warned: unknown[] = [];
  const log = { warn: (values: unknown) => warned.push(values), debug: () => {} };
  const listed = await ldapDirectory({ ...slapd.options, log: log as never }).bindings();
  assert.equal(listed.length, 19);
  assert.match(JSON.stringify(warned), /ldap:\/\/127.0.0.1:9/);
});

test('a size limit stops a listing with its remedy, but not a rebinding', async (t) => {
  const slapd = await slapdFor(t, { accounts: 600 });
  const directory = ldapDirectory(slapd.options);
  await assert.rejects(directory.bindings(), (error: unknown) => {
    assert.ok(error instanceof UnderstudyError);
    assert.equal(error.code, 'DIRECTORY_SIZE_LIMIT');
    assert.match(error.remedy, new RegExp(`limits dn.exact="${WRITER}" size.prtotal=unlimited`));
    return true;
  });
  const names = Array.from({ length: 600 }, (_, index) => `u${String(index).padStart(5, '0')}`);
  const changes = (await directory.bindings(names)).map((binding) => ({
    ...binding,
    from: binding.values,
    to: [STANDBY],
  }));
  const outcomes = await directory.rebind(changes);
  assert.equal(outcomes.filter(({ result }) => result === 'changed').length, 600);
});

test('an attribute that must have a value cannot be unbound', async (t) => {
  const slapd = await slapdFor(t, {});
  // `sn` is what inetOrgPerson must have.
  const options = {
    ...slapd.options,
    bindDn: `cn=admin,${SUFFIX}`,
    bindSecret: 'secret',
    serverAttribute: 'sn',
  };
  const [first] = await ldapDirectory(options).bindings(['u00000']);
  assert.ok(first);
  const [outcome] = await ldapDirectory(options).rebind([{ ...first, from: first.values, to: [] }]);
  assert.equal(outcome?.code, 'DIRECTORY_SCHEMA_REFUSES');
  assert.match(outcome?.remedy ?? '', /unbind: false/);
});

test('several values are taken off and put back together; one more by somebody else is kept', async (t) => {
  const slapd = await slapdFor(t, {
    perAccount: () => 'mailLocalAddress: One.example.org\nmailLocalAddress: two.example.org\n',
  });
  const options = { ...slapd.options, serverAttribute: 'mailLocalAddress' };
  const directory = ldapDirectory(options);
  const accounts = ['u00000', 'u00001', 'u00002'];
  const changes = (await directory.bindings(accounts, 'TWO.example.org')).map(({ account, dn, values }) => ({
    account,
    dn,
    from: values,
    to: ['two.example.org', 'three.example.org'],
  }));
  assert.equal(changes.length, 3);
  slapd.set('u00001', ['one.example.org', 'two.example.org', 'four.example.org'], 'mailLocalAddress');
  let meddled = false;
  const outcomes = await directory.rebind(changes, {
    progress: () => {
      if (meddled) return;
      meddled = true;
      slapd.modify(
        `dn: ${slapd.dn('u00002')}\nchangetype: modify\nadd: mailLocalAddress\nmailLocalAddress: five.example.org\n-\n`,
      );
    },
  });
  assert.deepEqual(
    outcomes.map(({ result }) => result),
    ['changed', 'conflict', 'conflict'],
  );
  assert.deepEqual(slapd.read('u00000', 'mailLocalAddress').sort(), ['three.example.org', 'two.example.org']);
  assert.equal(slapd.read('u00001', 'mailLocalAddress').length, 3);
  assert.ok(outcomes[2]?.found?.includes('five.example.org'));
  assert.ok(slapd.read('u00002', 'mailLocalAddress').includes('five.example.org'));
  const back = changes.slice(0, 1).map((change) => ({ ...change, from: change.to, to: change.from }));
  assert.equal((await directory.rebind(back))[0]?.result, 'changed');
  assert.deepEqual(slapd.read('u00000', 'mailLocalAddress').sort(), ['One.example.org', 'two.example.org']);
});

test('TLS is verified for every change: another name, another authority and plain text are refused', async (t) => {
  const slapd = await slapdFor(t, { database: 'security simple_bind=128' });
  const { certificate: caFile, secureUrl, options, url } = slapd;
  const localhost = (address: string) => address.replace('127.0.0.1', 'localhost');
  for (const wrong of [
    { url: localhost(secureUrl), caFile },
    { url: localhost(url), caFile, startTls: true },
    { url: secureUrl },
    { startTls: true },
    {},
  ]) {
    const directory = ldapDirectory({ ...options, ...wrong });
    await assert.rejects(directory.tryWrite(), { code: 'DIRECTORY_TLS_FAILED' }, JSON.stringify(wrong));
    const change = { account: 'u00000', dn: slapd.dn('u00000'), from: [LIVE], to: [STANDBY] };
    await assert.rejects(directory.rebind([change]), { code: 'DIRECTORY_TLS_FAILED' });
  }
  for (const right of [
    { url: secureUrl, caFile },
    { startTls: true, caFile },
  ]) {
    await ldapDirectory({ ...options, ...right }).tryWrite();
  }
});

test('where no account is bound or none exists, the right to write is still answered', async (t) => {
  const slapd = await slapdFor(t, {});
  for (const index of Array.from({ length: 20 }, (_, number) => number)) {
    slapd.set(`u${String(index).padStart(5, '0')}`, []);
  }
  await ldapDirectory(slapd.options).tryWrite();
  const nobody = { ...slapd.options, accountFilter: '(uid=nobody)' };
  await assert.rejects(ldapDirectory(nobody).tryWrite(), { code: 'DIRECTORY_ACCOUNTS_ABSENT' });
});

/** Passes on what a client sends as `toServer` has it. */
async function relay(t: TestContext, port: number, toServer: (bytes: Buffer, server: Socket) => void) {
  const sockets: Socket[] = [];
  const listening = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    sockets.push(client, server);
    for (const socket of [client, server]) socket.on('error', () => {});
    client.on('data', (bytes: Buffer) => toServer(bytes, server));
    server.pipe(client);
  }).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  t.after(() => {
    listening.close();
    for (const socket of sockets) socket.destroy();
  });
  return `ldap://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

test('a TLS handshake that does not end is given up in time, or with the signal', {
  timeout: 20_000,
}, async (t) => {
  const slapd = await slapdFor(t, {});
  // StartTLS is asked for and answered; what follows never arrives.
  const url = await relay(t, slapd.port, (bytes, server) => {
    if (bytes[0] !== 0x16) server.write(bytes);
  });
  const options = { ...slapd.options, url, startTls: true, caFile: slapd.certificate };
  const impatient = ldapDirectory({ ...options, timeoutMs: 300 });
  await assert.rejects(impatient.tryWrite(), { code: 'DIRECTORY_UNREACHABLE' });
  const signal = AbortSignal.timeout(300);
  await assert.rejects(ldapDirectory(options).tryWrite(signal), { name: 'TimeoutError' });
});

test('an abort waits for the answers to what was sent, also on the first connection', async (t) => {
  const slapd = await slapdFor(t, {});
  const stop = new AbortController();
  // Changes take their time on the way, and arrive also when nobody waits for them any more.
  const url = await relay(t, slapd.port, (bytes, server) => {
    if (!bytes.includes(STANDBY)) server.write(bytes);
    else {
      stop.abort(new Error('enough'));
      setTimeout(() => server.write(bytes), 300);
    }
  });
  const directory = ldapDirectory({ ...slapd.options, url });
  const changes = await wishes(slapd.options);
  await assert.rejects(directory.rebind(changes, { signal: stop.signal }), /enough/);
  assert.deepEqual(slapd.read('u00000'), [STANDBY]);
});

let shared: Slapd;
before(async () => {
  shared = await startSlapd({ accounts: 400, mailHost: LIVE });
});
after(() => shared?.stop());

for (const what of ['reset', 'end', 'half-open'] as const) {
  test(`a connection that ends with ${what} is made again`, async (t) => {
    // Past the look at 400 entries, in the middle of the answers to changes.
    const proxy = await startFaultyProxy(
      { host: '127.0.0.1', port: shared.port },
      { faults: [{ connection: 0, afterBytes: 44_000, what }] },
    );
    t.after(() => proxy.close());
    const options = {
      ...shared.options,
      url: `ldap://${proxy.host}:${proxy.port}`,
      timeoutMs: 1_000,
    };
    const names = Array.from({ length: 400 }, (_, index) => `u${String(index).padStart(5, '0')}`);
    const bindings = await ldapDirectory(shared.options).bindings(names);
    const changes = bindings.map((binding) => ({
      ...binding,
      from: binding.values,
      to: binding.values[0] === LIVE ? [STANDBY] : [LIVE],
    }));
    const outcomes = await ldapDirectory(options).rebind(changes);
    assert.equal(proxy.struck, 1);
    assert.equal(outcomes.filter(({ result }) => result === 'changed').length, 400);
  });
}
