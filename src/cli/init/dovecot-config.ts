/** What to paste into a Dovecot so that it lets itself be shadowed and brought up, and tells what changes. */
import type { ListenAddress, MailServerConfig } from '../../config/index.ts';
import { pushScript, TIMEOUT_MARGIN_MS } from '../../workloads/mail/push/index.ts';

export interface PushSetup {
  /** The lua script, for /etc/dovecot/understudy-push.lua. */
  readonly script: string;
  readonly url: string;
  /** Lines of Dovecot configuration. */
  readonly configuration: string;
}

/** Whose words the lines are in. */
export type DovecotSeries = '2.3' | '2.4';

const SCRIPT_FILE = '/etc/dovecot/understudy-push.lua';

/** The whole server-side configuration, as text with comments. */
export function dovecotConfiguration(
  name: string,
  server: MailServerConfig,
  api: ListenAddress,
  series: DovecotSeries = '2.3',
): string {
  const parts = [masterUserPart(server, series), doveadmPart(server, series)];
  const push = pushSetup(name, server, api, series);
  parts.push(push.configuration);
  return parts.filter((part) => part !== '').join('\n');
}

function masterUserPart(server: MailServerConfig, series: DovecotSeries): string {
  const { masterUser, separator } = server.imap;
  if (masterUser === undefined) return '';
  return `# A user that may read every account. It needs no place in your user database.
#   install -m 640 -o root -g dovecot /dev/null /etc/dovecot/understudy-master
#   echo "${masterUser}:$(doveadm pw -s SHA512-CRYPT)" > /etc/dovecot/understudy-master
passdb${series === '2.3' ? '' : ' understudy'} {
  driver = passwd-file
  master = yes
  ${series === '2.3' ? 'args' : 'passwd_file_path'} = /etc/dovecot/understudy-master
  result_success = continue
}
${separator === undefined ? '# It names the account by SASL PLAIN: auth_mechanisms must have "plain".' : `auth_master_user_separator = ${separator}`}
# With the acl plugin the master user has only its own rights, unless accounts keep theirs:
${series === '2.3' ? 'plugin {\n  acl_user = %u\n}' : 'acl_user = %{user}'}
`;
}

function doveadmPart(server: MailServerConfig, series: DovecotSeries): string {
  if (server.doveadm === undefined) return '';
  const url = new URL(server.doveadm.url);
  return `# The doveadm HTTP API: one request per pass, and restored mailboxes keep their UIDs.
# doveadm_api_key is the same as the apiKey in understudy.yaml.
doveadm_api_key = …
service doveadm {
  inet_listener http {
    port = ${url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port}${url.protocol === 'https:' ? '\n    ssl = yes' : ''}
  }
}
${series === '2.3' ? '' : FILES_24}`;
}

/** 2.3 needs no leave for it. */
const FILES_24 = `# As a standby: an INBOX in Maildir that got mail of its own can begin anew.
protocol doveadm {
  fs posix {
  }
}
`;

/** The script, where it posts to, and the configuration that makes Dovecot run it. */
export function pushSetup(
  name: string,
  server: MailServerConfig,
  api: ListenAddress,
  series: DovecotSeries = '2.3',
): PushSetup {
  const { mode, timeout, secret } = server.push;
  const token = secret === undefined ? '' : `?token=${encodeURIComponent(secret.reveal())}`;
  const url = `http://${hostFor(api)}:${api.port}/push/${encodeURIComponent(name)}${token}`;
  const timeoutMs = timeout + TIMEOUT_MARGIN_MS;
  const effect =
    mode === 'synchronous'
      ? `# A delivery's 250 waits until the journal has the message, at most ${timeoutMs} ms; then it goes on without.`
      : '# The near-line service answers at once and looks by itself.';
  return {
    url,
    script: pushScript({ url, timeoutMs }),
    configuration: `# Every change is told to the near-line service (mode: ${mode}).
${effect}
# The script goes to ${SCRIPT_FILE}: understudy init --print-push ${name}
${series === '2.3' ? PLUGINS_23 : PLUGINS_24}`,
  };
}

const PLUGINS_23 = `# Debian: the package dovecot-core has it all. If a protocol block sets mail_plugins itself, add them there too.
mail_plugins = $mail_plugins notify push_notification mail_lua push_notification_lua
plugin {
  push_notification_driver = lua:file=${SCRIPT_FILE}
}
`;

const PLUGINS_24 = `# Debian: the package dovecot-core has it all.
mail_plugins {
  notify = yes
  push_notification = yes
  mail_lua = yes
  push_notification_lua = yes
}
push_notification understudy {
  driver = lua
  lua_file = ${SCRIPT_FILE}
}
`;

/** Addresses that mean "all" are no address to post to: the operator puts this machine's name there. */
function hostFor(api: ListenAddress): string {
  if (api.host === '0.0.0.0' || api.host === '::') return 'NEAR-LINE-HOST';
  return api.host.includes(':') ? `[${api.host}]` : api.host;
}
