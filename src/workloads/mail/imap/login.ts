/** From a TCP address to a logged-in connection: greeting, TLS, authentication (RFC 9051 section 6.2). */
import type { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapAuth, ImapConnectOptions } from './options.ts';
import type { StatusResponse } from './responses.ts';
import { openTcp, openTls } from './socket.ts';
import { type CommandPart, refusal, Wire } from './wire.ts';

const CONNECT_MS = 10_000;
const GREETING_MS = 30_000;
const IDLE_MS = 120_000;

export async function logIn(options: ImapConnectOptions): Promise<Wire> {
  const place = {
    host: options.host,
    port: options.port,
    connectMs: options.timeouts?.connectMs ?? CONNECT_MS,
  };
  const wire = new Wire({
    ...options,
    place: `${options.host}:${options.port}`,
    idleMs: options.timeouts?.idleMs ?? IDLE_MS,
  });
  const { signal } = options;
  const aborted = () =>
    wire.fail(
      mailErrors.make('MAIL_CONNECTION_LOST', `${wire.place}: ended by us`, { cause: signal?.reason }),
    );
  signal?.throwIfAborted();
  signal?.addEventListener('abort', aborted, { once: true });
  wire.closed.then(() => signal?.removeEventListener('abort', aborted));
  try {
    if (options.security === 'tls') wire.attach(await openTls(place, options.tls), false);
    else {
      const direct = options.security === 'none';
      wire.attach(await openTcp(place, direct ? wire : undefined), direct);
    }
    if (wire.failure) throw wire.failure;
    const greeting = await wire.greeting(options.timeouts?.greetingMs ?? GREETING_MS);
    if (greeting.status === 'BYE') {
      throw mailErrors.make('MAIL_UNAVAILABLE', `${wire.place} refuses connections: ${greeting.text}`, {
        details: { place: wire.place, text: greeting.text },
      });
    }
    if (options.security === 'starttls') await startTls(wire, place, options);
    if (wire.capabilities.size === 0) await wire.ok('CAPABILITY', ['CAPABILITY']);
    if (greeting.status !== 'PREAUTH') await authenticate(wire, options.auth);
    return wire;
  } catch (error) {
    wire.fail(error as UnderstudyError);
    throw error;
  }
}

async function startTls(
  wire: Wire,
  place: Parameters<typeof openTls>[0],
  options: ImapConnectOptions,
): Promise<void> {
  if (wire.capabilities.size === 0) await wire.ok('CAPABILITY', ['CAPABILITY']);
  if (!wire.has('STARTTLS')) {
    throw mailErrors.make('MAIL_TLS_NOT_OFFERED', `${wire.place} does not offer STARTTLS`, {
      details: { place: wire.place },
    });
  }
  await wire.ok('STARTTLS', ['STARTTLS']);
  wire.attach(await openTls(place, options.tls, wire.detach()), false);
  // What was said in clear may come from anybody.
  await wire.ok('CAPABILITY', ['CAPABILITY']);
}

async function authenticate(wire: Wire, auth: ImapAuth): Promise<void> {
  const before = wire.capabilities;
  const plain = wire.has('AUTH=PLAIN');
  if (!plain && wire.has('LOGINDISABLED')) {
    throw mailErrors.make('MAIL_LOGIN_DISABLED', `${wire.place} takes no password on this connection`, {
      details: { place: wire.place },
    });
  }
  const status = plain
    ? await wire.command('AUTHENTICATE', saslPlain(wire.has('SASL-IR'), auth))
    : await wire.command('LOGIN', loginCommand(auth));
  if (status.status !== 'OK') throw loginRefusal(wire, auth, status);
  // Most servers tell the new capabilities with their OK; the old ones are of no use now.
  if (wire.capabilities === before) await wire.ok('CAPABILITY', ['CAPABILITY']);
}

/** RFC 4616: authorization identity, authentication identity, password. The account itself needs no authorization. */
function saslPlain(initialResponse: boolean, auth: ImapAuth): CommandPart[] {
  const byIdentity = auth.authUser !== undefined && auth.separator === undefined;
  const identities = byIdentity ? `${auth.account}\0${auth.authUser}` : `\0${loginName(auth)}`;
  const token = Buffer.from(`${identities}\0${auth.secret}`).toString('base64');
  return initialResponse ? [`AUTHENTICATE PLAIN ${token}`] : ['AUTHENTICATE PLAIN', 'wait', token];
}

function loginCommand(auth: ImapAuth): CommandPart[] {
  return ['LOGIN ', stringPart(Buffer.from(loginName(auth))), ' ', stringPart(Buffer.from(auth.secret))];
}

function loginName(auth: ImapAuth): string {
  return auth.authUser === undefined
    ? auth.account
    : `${auth.account}${auth.separator ?? '*'}${auth.authUser}`;
}

/** RFC 5530 section 3 says what each code means for a login. */
function loginRefusal(wire: Wire, auth: ImapAuth, status: StatusResponse): UnderstudyError {
  const code = status.code?.name ?? '';
  const who = auth.authUser === undefined ? auth.account : `${auth.authUser} for ${auth.account}`;
  const said = `${wire.place} refuses ${who}: ${code === '' ? '' : `[${code}] `}${status.text}`;
  const details = {
    place: wire.place,
    account: auth.account,
    authUser: auth.authUser,
    code,
    text: status.text,
  };
  switch (code) {
    case 'AUTHORIZATIONFAILED':
    case 'CONTACTADMIN':
    case 'NOPERM':
      return mailErrors.make('MAIL_ACCOUNT_REFUSED', said, { details });
    case 'EXPIRED':
      return mailErrors.make('MAIL_SECRET_EXPIRED', said, { details });
    case 'UNAVAILABLE':
    case 'LIMIT':
    case 'INUSE':
    case 'SERVERBUG':
      return mailErrors.make('MAIL_UNAVAILABLE', said, { details });
    case 'PRIVACYREQUIRED':
      return refusal(wire.place, 'login', status);
    default:
      return mailErrors.make('MAIL_AUTH_FAILED', said, { details });
  }
}

/** A quoted string where that can hold it (RFC 9051: 7-bit, no CR, LF, NUL), else a literal. */
export function stringPart(bytes: Buffer): CommandPart {
  if (bytes.length > 1000 || bytes.some((byte) => byte === 0 || byte === 10 || byte === 13 || byte >= 0x80)) {
    return { literal: bytes };
  }
  return `"${bytes.toString('latin1').replace(/["\\]/g, '\\$&')}"`;
}
