/** Goal: what `init` writes is a right configuration, and what an operator wrote stays as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../config/index.ts';
import type { Answers } from './answers.ts';
import { dovecotConfiguration, pushSetup } from './dovecot-config.ts';
import { withServer } from './write-config.ts';

const answers: Answers = {
  server: 'mail-a',
  host: '127.0.1.1',
  port: 143,
  security: 'none',
  masterUser: 'understudy',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: references to secrets are written so
  masterSecret: '${file:/etc/understudy/master}',
  accounts: { list: ['alice', '1001'] },
  pushMode: 'synchronous',
};

test('a new file is right, commented, and says what was answered', () => {
  const text = withServer(undefined, answers);
  const config = parseConfig(text, 'understudy.yaml');
  assert.match(text, /^# Understudy's configuration/);
  assert.deepEqual(config.warnings, []);
  assert.equal(config.servers['mail-a']?.push.mode, 'synchronous');
  assert.deepEqual(
    config.servers['mail-a']?.accounts?.list.map((account) => account.name),
    ['alice', '1001'],
  );
});

test('a server added to a file leaves comments, order and spelling as they are', () => {
  const before = withServer(undefined, answers).replace('site: main', 'site:   main   # the cellar');
  const after = withServer(before, { ...answers, server: 'mail-b' });
  assert.match(after, /# the cellar/);
  assert.deepEqual(Object.keys(parseConfig(after, 'understudy.yaml').servers), ['mail-a', 'mail-b']);
});

test('a server that is there already is not changed', () => {
  assert.throws(() => withServer(withServer(undefined, answers), answers), {
    code: 'CLI_FILE_EXISTS',
    kind: 'refused',
  });
});

test('the push script waits longer than the service, and carries the secret', () => {
  const text = withServer(undefined, answers)
    .replace('mode: synchronous', 'mode: synchronous, timeout: 3s, secret: "a b"')
    .replace('push:\n', 'push:\n');
  const config = parseConfig(
    text.replace(/push:\n\s+mode: synchronous, (.*)/, 'push: { mode: synchronous, $1 }'),
    'understudy.yaml',
  );
  const server = config.servers['mail-a'];
  assert.ok(server);
  const push = pushSetup('mail-a', server, config.api.listen);
  assert.equal(push.url, 'http://127.0.0.1:7700/push/mail-a?token=a%20b');
  assert.match(push.script, /timeout_msecs = 3500/);
  assert.match(
    dovecotConfiguration('mail-a', server, config.api.listen),
    /push_notification_driver = lua:file=/,
  );
});
