/** Goal: the header is byte for byte what haproxy.org's proxy-protocol.txt (2.2) says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyHeader } from './proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';

test('IPv4: version 2, PROXY, TCP over IPv4, 12 bytes', () => {
  const header = proxyHeader({ host: '192.0.2.1', port: 56324 }, { host: '198.51.100.7', port: 143 });
  assert.equal(header.toString('hex'), `${SIGNATURE}2111000cc0000201c6336407dc04008f`);
});

test('IPv6: version 2, PROXY, TCP over IPv6, 36 bytes', () => {
  const header = proxyHeader({ host: '2001:db8::1', port: 1 }, { host: 'fe80::2:3%eth0', port: 65535 });
  const source = '20010db8000000000000000000000001';
  const destination = 'fe800000000000000000000000020003';
  assert.equal(header.toString('hex'), `${SIGNATURE}21210024${source}${destination}0001ffff`);
});

test('IPv4 on a dual-stack socket is sent as IPv4', () => {
  const header = proxyHeader({ host: '::ffff:192.0.2.1', port: 1 }, { host: '::ffff:198.51.100.7', port: 2 });
  assert.equal(header.toString('hex'), `${SIGNATURE}2111000cc0000201c633640700010002`);
});

test('IPv4 and IPv6 mixed are sent as IPv6, with the IPv4 address mapped', () => {
  const header = proxyHeader({ host: '192.0.2.1', port: 1 }, { host: '::1', port: 2 });
  const mapped = '00000000000000000000ffffc0000201';
  assert.equal(
    header.toString('hex'),
    `${SIGNATURE}21210024${mapped}0000000000000000000000000000000100010002`,
  );
});

test('all forms of an IPv6 address', () => {
  const bytesOf = (host: string) =>
    proxyHeader({ host, port: 0 }, { host: '::1', port: 0 }).subarray(16, 32).toString('hex');
  assert.equal(bytesOf('::'), '0'.repeat(32));
  assert.equal(bytesOf('1::'), `0001${'0'.repeat(28)}`);
  assert.equal(bytesOf('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008');
  assert.equal(bytesOf('64:ff9b::192.0.2.33'), '0064ff9b0000000000000000c0000221');
});

test('an address that is not known any more: LOCAL, no addresses', () => {
  assert.equal(proxyHeader(undefined, { host: '::1', port: 2 }).toString('hex'), `${SIGNATURE}20000000`);
  assert.equal(
    proxyHeader({ host: 'a path', port: 1 }, { host: '::1', port: 2 }).toString('hex'),
    `${SIGNATURE}20000000`,
  );
});
