/**
 * Goal: who may call, what is refused, and how answers look. Method: requests into the real server, without a
 * socket; behind it threads that answer what the test wants, since what they do is tested with real servers in tests/.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../config/index.ts';
import { silentLog, systemClock } from '../../lib/index.ts';
import type { PushAnswer, PushEvent } from '../../workloads/mail/index.ts';
import { apiErrors } from '../errors.ts';
import type { Operation, OperationContext } from '../operation.ts';
import type { ServiceThread } from '../threads.ts';
import { UnprotectedEvents } from '../unprotected.ts';
import { buildServer } from './server.ts';

const CONFIG = `dataDir: /nonexistent
servers:
  hinted:
    workload: mail
    host: 127.0.0.1
    imap: { security: none, masterUser: m, masterSecret: s }
    accounts: { list: [alice] }
    push: { secret: open-sesame }
  synchronous:
    workload: mail
    host: 127.0.0.1
    imap: { security: none, masterUser: m, masterSecret: s }
    accounts: { list: [alice] }
    push: { mode: synchronous, timeout: 50ms }
`;

type Operate = (operation: Operation, input: unknown, context: OperationContext) => Promise<unknown>;

async function serverWith(
  options: { operate?: Operate; push?: (event: PushEvent) => Promise<PushAnswer> } = {},
) {
  const thread = {
    up: true,
    call: async (method: string, params: unknown) => {
      if (method === 'push') return options.push?.(params as PushEvent);
      return { restarts: 0, errorsByCode: {} };
    },
    status: async () => ({ phase: 'down', problem: { code: 'X', message: 'x', remedy: 'x' } }),
  } as unknown as ServiceThread;
  const { server } = await buildServer({
    unprotected: new UnprotectedEvents(systemClock),
    config: parseConfig(CONFIG, 'understudy.yaml'),
    log: silentLog,
    clock: systemClock,
    token: 'right',
    threads: {
      vaults: new Map([
        ['hinted', thread],
        ['synchronous', thread],
      ]),
      operate: options.operate ?? (() => Promise.reject(new Error('not expected'))),
    },
  });
  return server;
}

const bearer = { authorization: 'Bearer right' };
const checkpointed = { server: 'a', label: 'l', lsn: 3, time: '2026-01-01T00:00:00.000Z' };

test('operations need the token', async () => {
  const server = await serverWith();
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic right' }]) {
    const answer = await server.inject({ method: 'POST', url: '/api/v1/status', headers, payload: {} });
    assert.equal(answer.statusCode, 401);
    assert.equal(answer.json().error.code, 'API_UNAUTHORIZED');
  }
});

test('an operation takes JSON and gives JSON', async () => {
  const calls: unknown[] = [];
  const server = await serverWith({
    operate: async (operation, input) => {
      calls.push([operation.name, input]);
      return checkpointed;
    },
  });
  const payload = { server: 'a', label: 'l' };
  const answer = await server.inject({ method: 'POST', url: '/api/v1/checkpoint', headers: bearer, payload });
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(answer.json(), checkpointed);
  assert.deepEqual(calls, [['checkpoint', payload]]);
});

const refusals: { what: string; payload: string; code: string; status: number }[] = [
  {
    what: 'an unknown key',
    payload: '{"server":"a","label":"l","x":1}',
    code: 'API_INVALID_INPUT',
    status: 400,
  },
  { what: 'a missing key', payload: '{"server":"a"}', code: 'API_INVALID_INPUT', status: 400 },
  { what: 'broken JSON', payload: '{"server":', code: 'API_BAD_REQUEST', status: 400 },
  {
    what: 'a huge body',
    payload: JSON.stringify({ server: 'a'.repeat(2 << 20) }),
    code: 'API_BODY_TOO_LARGE',
    status: 413,
  },
];
for (const { what, payload, code, status } of refusals) {
  test(`${what} is refused with ${code}`, async () => {
    const server = await serverWith();
    const headers = { ...bearer, 'content-type': 'application/json' };
    const answer = await server.inject({ method: 'POST', url: '/api/v1/checkpoint', headers, payload });
    assert.equal(answer.statusCode, status);
    assert.equal(answer.json().error.code, code);
    assert.notEqual(answer.json().error.remedy, '');
  });
}

test('an error of an operation keeps its code; a defect does not take the service down', async () => {
  const thrown = [apiErrors.make('API_VAULT_UNAVAILABLE', 'closed'), new Error('unforeseen')];
  const server = await serverWith({ operate: () => Promise.reject(thrown.shift()) });
  const request = { method: 'POST', url: '/api/v1/status', headers: bearer, payload: {} } as const;
  const first = await server.inject(request);
  assert.deepEqual([first.statusCode, first.json().error.code], [503, 'API_VAULT_UNAVAILABLE']);
  const second = await server.inject(request);
  assert.deepEqual([second.statusCode, second.json().error.code], [500, 'API_DEFECT']);
});

test('long work streams its progress, then its result or its error', async () => {
  const summary = {
    server: 'a',
    lsn: 1,
    accounts: 0,
    mailboxes: 0,
    messagesAdded: 0,
    flagsChanged: 0,
    messagesRemoved: 0,
    bytesFetched: 0,
    problems: [],
  };
  const endings: (() => Promise<unknown>)[] = [
    async () => summary,
    () => Promise.reject(apiErrors.make('API_INTERRUPTED', 'ended')),
  ];
  const server = await serverWith({
    operate: (_, __, { progress }) => {
      progress({ phase: 'baseline', messagesDone: 5 });
      return (endings.shift() as () => Promise<unknown>)();
    },
  });
  const request = {
    method: 'POST',
    url: '/api/v1/shadow',
    headers: { ...bearer, accept: 'application/x-ndjson' },
    payload: { server: 'a', once: true },
  } as const;
  const linesOf = async () =>
    (await server.inject(request)).payload
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  assert.deepEqual(await linesOf(), [
    { progress: { phase: 'baseline', messagesDone: 5 } },
    { result: summary },
  ]);
  assert.equal((await linesOf())[1].error.code, 'API_INTERRUPTED');
});

test('the description is OpenAPI 3.1 with every operation, its input and its output', async () => {
  const server = await serverWith();
  const document = (await server.inject({ method: 'GET', url: '/openapi.json' })).json();
  assert.match(document.openapi, /^3\.1\./);
  const paths = Object.keys(document.paths);
  assert.ok(paths.includes('/api/v1/journal-info') && paths.includes('/api/v1/restore'));
  assert.ok(!paths.some((path) => path.startsWith('/push')));
  for (const [path, { post }] of Object.entries<{ post: Record<string, never> }>(document.paths)) {
    const { requestBody, responses, security, operationId } = post as never as {
      requestBody: { content: { 'application/json': { schema: { type: string } } } };
      responses: Record<string, { content: { 'application/json': { schema: object } } }>;
      security: object[];
      operationId: string;
    };
    assert.equal(requestBody.content['application/json'].schema.type, 'object', path);
    assert.ok(responses['200']?.content['application/json'].schema, path);
    assert.deepEqual(security, [{ token: [] }], path);
    assert.equal(path, `/api/v1/${operationId}`);
  }
});

test('readiness names the vault that is not open', async () => {
  const answer = await (await serverWith()).inject({ method: 'GET', url: '/readyz' });
  assert.equal(answer.statusCode, 503);
  assert.deepEqual(answer.json().servers[0], { server: 'hinted', state: 'down', code: 'X' });
});

test('a hint is answered at once and passed on; it needs the push secret where there is one', async () => {
  const events: PushEvent[] = [];
  const server = await serverWith({
    push: async (event) => {
      events.push(event);
      return new Promise(() => {});
    },
  });
  const payload =
    '{"user":"alice","success":true,"events":[{"name":"MessageNew","mailbox":"INBOX","uid":"2.0"}]}';
  const push = (url: string) =>
    server.inject({ method: 'POST', url, payload, headers: { 'content-type': 'text/plain' } });
  assert.equal((await push('/push/hinted')).statusCode, 401);
  assert.equal((await push('/push/nobody')).statusCode, 404);
  assert.equal((await push('/push/hinted?token=open-sesame')).statusCode, 204);
  assert.deepEqual(events, [{ user: 'alice', changes: [{ name: 'MessageNew', mailbox: 'INBOX', uid: 2 }] }]);
});

test('a synchronous event is answered after the commit, or unprotected when that fails or takes too long', async () => {
  const outcomes: (() => Promise<PushAnswer>)[] = [
    async () => ({ committed: true }),
    () => Promise.reject(apiErrors.make('API_VAULT_UNAVAILABLE', 'closed')),
    () => new Promise(() => {}),
    async () => ({ committed: false }),
  ];
  const server = await serverWith({ push: () => (outcomes.shift() as () => Promise<PushAnswer>)() });
  const push = async () =>
    (
      await server.inject({
        method: 'POST',
        url: '/push/synchronous',
        payload: '{"user":"alice","events":[{}]}',
      })
    ).json();
  assert.deepEqual(
    [await push(), await push(), await push(), await push()],
    [{ protected: true }, { protected: false }, { protected: false }, { protected: false }],
  );
  const metrics = (await server.inject({ method: 'GET', url: '/metrics' })).payload;
  assert.match(metrics, /understudy_push_fail_open_total\{server="synchronous"\} 2/);
  assert.match(
    metrics,
    /understudy_push_requests_total\{server="synchronous",mode="synchronous",outcome="protected"\} 1/,
  );
  // What is not in the journal yet and holds no mail is not promised, and is no failure.
  assert.match(
    metrics,
    /understudy_push_requests_total\{server="synchronous",mode="synchronous",outcome="hinted"\} 1/,
  );
});
