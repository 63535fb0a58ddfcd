/** The configuration of a Dovecot 2.4 of ours: what `configuration` says to a 2.3, in the words of 2.4. */
import { type ConfigurationOptions, MAIL_UID, PLAIN_CAPABILITY, storeFolder } from './dovecot.ts';

/** The text of dovecot.conf. `extraConfig` is in the words of 2.4. */
export function configuration24(o: ConfigurationOptions & { files: boolean }): string {
  const plugins = [
    ...(o.mailPlugins ?? []),
    ...(o.push ? ['notify', 'push_notification', 'mail_lua', 'push_notification_lua'] : []),
  ];
  const capability = o.capability ?? (o.hideCondstore ? PLAIN_CAPABILITY : undefined);
  const auto = o.autoMailboxes ? 'auto = subscribe\n    ' : '';
  const processLimit = o.processLimit ?? 2500;
  const loginService = 'restart_request_count = unlimited\n  client_limit = 10000\n  process_min_avail = 1';
  const yes = (names: readonly string[]) => names.map((name) => `  ${name} = yes\n`).join('');
  return `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = ${o.directory}/run
state_dir = ${o.directory}/state
instance_name = ${o.address}
listen = ${o.address}
protocols = imap lmtp
log_path = ${o.logFile}
log_timestamp = "%Y-%m-%d %H:%M:%S.%{usecs} "
auth_verbose = yes
${o.ssl ? `ssl = yes\nssl_server_cert_file = ${o.directory}/cert.pem\nssl_server_key_file = ${o.directory}/key.pem` : 'ssl = no'}
auth_allow_cleartext = yes
auth_mechanisms = plain login
auth_master_user_separator = *
auth_username_format = %{user}
auth_failure_delay = 0
default_vsz_limit = 1G
default_process_limit = ${processLimit}
default_client_limit = 20000
passdb masters {
  driver = passwd-file
  master = yes
  passwd_file_path = ${o.directory}/masters
  result_success = continue
}
passdb users {
  driver = passwd-file
  passwd_file_path = ${o.directory}/users
}
passdb readiness {
  driver = passwd-file
  passwd_file_path = ${o.directory}/readiness
}
userdb users {
  driver = passwd-file
  passwd_file_path = ${o.directory}/users
}
first_valid_uid = ${MAIL_UID}
mail_driver = ${o.format}
mail_path = ~/${storeFolder[o.format]}
mail_attribute {
  dict file {
    path = %{home}/dovecot-attributes
  }
}
mail_max_userip_connections = 0
${o.fsync ? `mail_fsync = ${o.fsync}\n` : ''}mail_plugins {
${yes(plugins)}}
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
protocol imap {
  imap_metadata = yes
${capability ? `  imap_capability = ${capability}\n` : ''}}
protocol lmtp {
  postmaster_address = postmaster@example.test
}
doveadm_api_key = ${o.doveadmKey}
${o.files ? 'protocol doveadm {\n  fs posix {\n  }\n}' : ''}
service doveadm {
  inet_listener http {
    listen = ${o.address}
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
    listen = ${o.address}
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
${o.push ? `push_notification lua {\n  driver = lua\n  lua_file = ${o.directory}/push.lua\n}\n` : ''}${o.extraConfig ?? ''}
`;
}
