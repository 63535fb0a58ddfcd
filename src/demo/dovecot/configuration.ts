/** The configuration of a Dovecot of ours: everything in its own folder, on its own address. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DovecotOptions, StoreFormat } from './dovecot.ts';

/** Owner of all mail. A number is enough for Dovecot; nothing is added to the machine's users. */
export const MAIL_UID = 5000;
export const MAIL_GID = 5000;

/** What a server without CONDSTORE and its relatives announces: the plain path of a client. */
export const PLAIN_CAPABILITY =
  'IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ CHILDREN NAMESPACE UIDPLUS UNSELECT';

export interface Ports {
  imap: number;
  imaps: number;
  lmtp: number;
  doveadm: number;
}

export const storeFolder: Record<StoreFormat, string> = {
  maildir: 'Maildir',
  mdbox: 'mdbox',
  sdbox: 'sdbox',
};

export interface ConfigurationOptions extends DovecotOptions {
  address: string;
  ports: Ports;
  format: StoreFormat;
  /** Of the server: its users, its run and state folders. */
  directory: string;
  mailRoot: string;
  doveadmKey: string;
  logFile: string;
}

/** The text of dovecot.conf. */
export function configuration(o: ConfigurationOptions): string {
  const plugins = [
    ...(o.mailPlugins ?? []),
    ...(o.push ? ['notify', 'push_notification', 'mail_lua', 'push_notification_lua'] : []),
  ];
  const capability = o.capability ?? (o.hideCondstore ? PLAIN_CAPABILITY : undefined);
  const auto = o.autoMailboxes ? 'auto = subscribe\n    ' : '';
  const processLimit = o.processLimit ?? 2500;
  // One login process serves all connections, as large installations have it.
  const loginService = 'service_count = 0\n  client_limit = 10000\n  process_min_avail = 1';
  return `base_dir = ${o.directory}/run
state_dir = ${o.directory}/state
instance_name = ${o.address}
listen = ${o.address}
protocols = imap lmtp
log_path = ${o.logFile}
log_timestamp = "%Y-%m-%d %H:%M:%S.%{usecs} "
auth_verbose = yes
${o.ssl ? `ssl = yes\nssl_cert = <${o.directory}/cert.pem\nssl_key = <${o.directory}/key.pem` : 'ssl = no'}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_master_user_separator = *
auth_username_format = %u
auth_failure_delay = 0
default_vsz_limit = 1G
default_process_limit = ${processLimit}
default_client_limit = 20000
passdb {
  driver = passwd-file
  master = yes
  args = ${o.directory}/masters
  result_success = continue
}
passdb {
  driver = passwd-file
  args = username_format=%u ${o.directory}/users
}
passdb {
  driver = passwd-file
  args = username_format=%u ${o.directory}/readiness
}
userdb {
  driver = passwd-file
  args = username_format=%u ${o.directory}/users
}
first_valid_uid = ${MAIL_UID}
mail_location = ${o.format}:~/${storeFolder[o.format]}
mail_attribute_dict = file:%h/dovecot-attributes
mail_max_userip_connections = 0
${o.fsync ? `mail_fsync = ${o.fsync}\n` : ''}mail_plugins = ${plugins.join(' ')}
namespace inbox {
  type = private
  separator = /
  prefix =
  inbox = yes
  mailbox Drafts {
    ${auto}special_use = \\Drafts
  }
  mailbox Sent {
    ${auto}special_use = \\Sent
  }
  mailbox Trash {
    ${auto}special_use = \\Trash
  }
  mailbox Junk {
    ${auto}special_use = \\Junk
  }
}
${capability ? `imap_capability = ${capability}\n` : ''}protocol imap {
  imap_metadata = yes
}
protocol lmtp {
  postmaster_address = postmaster@example.test
}
doveadm_api_key = ${o.doveadmKey}
service doveadm {
  inet_listener http {
    address = ${o.address}
    port = ${o.ports.doveadm}
  }
}
service imap-login {
  ${loginService}
  inet_listener imap {
    port = ${o.ports.imap}
  }
  inet_listener imaps {
    port = ${o.ssl ? o.ports.imaps : 0}
  }
}
service imap {
  process_limit = ${processLimit}
}
service lmtp {
  inet_listener lmtp {
    address = ${o.address}
    port = ${o.ports.lmtp}
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
${o.push ? `plugin {\n  push_notification_driver = lua:file=${o.directory}/push.lua\n}\n` : ''}${o.extraConfig ?? ''}
`;
}

/** A CA of its own and a certificate for the address and for `localhost`. */
export function makeCertificate(directory: string, address: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-subj', '/CN=Test CA');
  writeFileSync(join(directory, 'san'), `subjectAltName=IP:${address},DNS:localhost\n`);
  openssl('req', ...newKey, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', `/CN=${address}`);
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '30', '-extfile', 'san'];
  openssl('x509', '-req', '-in', 'request.pem', ...sign, '-out', 'cert.pem');
}
