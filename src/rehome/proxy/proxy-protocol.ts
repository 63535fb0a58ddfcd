/**
 * The header of PROXY protocol version 2, by which a server learns the address of the client behind a proxy.
 * Source: haproxy.org, proxy-protocol.txt, section 2.2. No TLVs: Dovecot and Postfix need none.
 *
 * | bytes | what |
 * | --- | --- |
 * | 0–11 | signature |
 * | 12 | version 2 (high four bits), command: 0 LOCAL, 1 PROXY |
 * | 13 | family and transport: 0x00 unspecified, 0x11 TCP over IPv4, 0x21 TCP over IPv6 |
 * | 14–15 | length of what follows, big-endian |
 * | 16– | source address, destination address, source port, destination port |
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPECIFIED = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;

/**
 * `source`: the client; `destination`: the address that it connected to. An IPv4 address that a dual-stack socket
 * shows as `::ffff:192.0.2.1` is sent as IPv4 when both are, so that the server's rules for it match. Without both
 * addresses the header says LOCAL: the server then takes the proxy for the client.
 */
export function proxyHeader(source: Endpoint | undefined, destination: Endpoint | undefined): Buffer {
  if (source === undefined || destination === undefined) return header(LOCAL, UNSPECIFIED, Buffer.alloc(0));
  const hosts = [unmapped(source.host), unmapped(destination.host)] as const;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const both4 = hosts.every((host) => isIPv4(host));
  const addresses = hosts.map((host) => (both4 ? ipv4Bytes(host) : ipv6Bytes(host)));
  if (addresses.some((address) => address === undefined)) return header(LOCAL, UNSPECIFIED, Buffer.alloc(0));
  return header(PROXY, both4 ? TCP4 : TCP6, Buffer.concat([...(addresses as Buffer[]), ports]));
}

function header(command: number, family: number, rest: Buffer): Buffer {
  const fixed = Buffer.from([command, family, rest.length >> 8, rest.length & 0xff]);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

/** `::ffff:192.0.2.1` as `192.0.2.1`; a zone (`fe80::1%eth0`) means nothing on another machine. */
function unmapped(host: string): string {
  const plain = host.replace(/%.*$/, '');
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1] ?? plain;
}

function ipv4Bytes(host: string): Buffer {
  return Buffer.from(host.split('.').map(Number));
}

/** The 16 bytes of an IPv6 address, or of an IPv4 address mapped into it (RFC 4291, 2.5.5.2); nothing when it is neither. */
function ipv6Bytes(host: string): Buffer | undefined {
  const text = isIPv4(host) ? `::ffff:${host}` : host;
  if (!isIPv6(text)) return undefined;
  // The last 32 bits may be written as IPv4.
  const groups = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a, b, c, d] = bytes.slice(0, 4).map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [left, right] = groups.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = right === undefined ? 0 : 8 - (left?.length ?? 0) - right.length;
  const all = [...(left ?? []), ...Array.from({ length: zeros }, () => '0'), ...(right ?? [])];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes;
}
