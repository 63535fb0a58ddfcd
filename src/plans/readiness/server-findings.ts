/** A server by itself, and the standby beside the live server: judged from what they say. Pure. */
import { UnderstudyError } from '../../lib/index.ts';
import { amber, fromError, green, named, red } from './finding.ts';
import type { Survey } from './survey.ts';
import type { Finding } from './types.ts';

export type Role = 'live' | 'standby';

/** Codes that speak of the server, not of one account. */
const UNREACHED = new Set([
  'MAIL_UNREACHABLE',
  'MAIL_NO_ANSWER',
  'MAIL_UNAVAILABLE',
  'MAIL_CONNECTION_LOST',
  'MAIL_PROTOCOL_ERROR',
  'MAIL_TLS_NOT_OFFERED',
  'MAIL_TLS_FAILED',
  'MAIL_TLS_UNVERIFIED',
  'MAIL_LOGIN_DISABLED',
]);

/** IMAP, the right to act for accounts, the doveadm API. */
export function serverFindings(role: Role, survey: Survey): Finding[] {
  return [...imapFindings(role, survey), ...doveadmFindings(role, survey)];
}

function imapFindings(role: Role, { server, config, logins }: Survey): Finding[] {
  const imap = { id: `${role}.imap`, title: `${server}: IMAP answers` };
  const rights = { id: `${role}.login`, title: `${server}: may act for its accounts` };
  const place = `${config.host}:${config.imap.port}`;
  if (logins.size === 0) {
    return [
      amber(
        imap,
        `no account is known that could be tried on ${place}`,
        'Name one: `pairs.NAME.probe.account`, or follow the live server first.',
      ),
    ];
  }
  const failed = [...logins].filter(([, { error }]) => error !== undefined);
  const unreached = failed.find(
    ([, { error }]) => error instanceof UnderstudyError && UNREACHED.has(error.code),
  );
  if (unreached) return [fromError(imap, unreached[1].error)];
  const fastest = Math.min(...[...logins.values()].map(({ ms }) => ms));
  const answers = green(imap, `${place} answers (login in ${Math.round(fastest)} ms)`);
  const [first] = failed;
  if (!first) return [answers, green(rights, `logged in as ${named([...logins.keys()])}`)];
  const finding = fromError(rights, first[1].error);
  if (failed.length === logins.size) return [answers, finding];
  return [
    answers,
    {
      ...finding,
      state: 'amber',
      detail: `${failed.length} of ${logins.size} accounts tried: ${finding.detail}`,
    },
  ];
}

function doveadmFindings(role: Role, { server, config, doveadm }: Survey): Finding[] {
  const subject = { id: `${role}.doveadm`, title: `${server}: doveadm API answers` };
  if (doveadm === undefined) {
    if (role === 'live') return [];
    return [
      amber(
        subject,
        `the configuration names no doveadm API of ${server}: restored mailboxes get other UIDs there, and clients download everything again`,
        `Where it is Dovecot, give \`servers.${server}.doveadm\` its url and apiKey.`,
      ),
    ];
  }
  if (doveadm.error !== undefined) return [fromError(subject, doveadm.error)];
  return [green(subject, `${config.doveadm?.url} answers, ${doveadm.users?.size ?? 0} users`)];
}

/** Extensions that are worth something, and what is missed without. */
const WORTH: readonly (readonly [string, string])[] = [
  ['CONDSTORE', 'clients look at every flag again'],
  ['QRESYNC', 'clients look at every message again after each connect'],
  ['UIDPLUS', 'restored UIDs cannot be proved as they are given'],
  ['MULTIAPPEND', 'restoring is slower'],
  ['LITERAL+', 'restoring is slower'],
  ['MOVE', 'clients copy and delete instead'],
  ['SPECIAL-USE', 'clients look for Sent, Trash and the like by name'],
  ['LIST-STATUS', 'clients ask mailbox by mailbox'],
  ['IDLE', 'clients see new mail late'],
  ['NOTIFY', 'clients see new mail in other mailboxes late'],
  ['NAMESPACE', 'clients cannot tell shared mailboxes'],
  ['SORT', 'webmail sorts by itself'],
  ['THREAD=REFERENCES', 'webmail threads by itself'],
  ['METADATA', 'annotations are not kept'],
  ['QUOTA', 'people do not see how full their mailbox is'],
  ['ACL', 'shared mailboxes cannot be managed by clients'],
];

/** Releases, where both tell; and what clients would notice: capabilities, namespaces and separators. Nothing where one of the two was not reached. */
export function likenessFindings(live: Survey, standby: Survey): Finding[] {
  return [...versionFindings(live, standby), ...sessionFindings(live, standby)];
}

function versionFindings(live: Survey, standby: Survey): Finding[] {
  const [old, next] = [live.doveadm?.series, standby.doveadm?.series];
  if (old === undefined || next === undefined) return [];
  const subject = { id: 'pair.versions', title: 'the releases of the two servers go together' };
  if (old === next) return [green(subject, `both are Dovecot ${old}`)];
  return [
    green(
      subject,
      `${live.server} is Dovecot ${old}, ${standby.server} is Dovecot ${next}: UIDs, flags, dates and bytes are kept, there and back`,
    ),
  ];
}

function sessionFindings(live: Survey, standby: Survey): Finding[] {
  const [old, next] = [live.session, standby.session];
  if (!old || !next) return [];
  const capabilities = { id: 'pair.capabilities', title: 'the standby can what the live server can' };
  const namespaces = { id: 'pair.namespaces', title: 'namespaces and separators match' };
  const missing = WORTH.filter(([name]) => old.capabilities.has(name) && !next.capabilities.has(name));
  const shape = ({ prefix, separator }: typeof old) =>
    `prefix ${JSON.stringify(prefix)}, separator ${separator === null ? 'none' : JSON.stringify(separator)}`;
  return [
    missing.length === 0
      ? green(
          capabilities,
          `${WORTH.filter(([name]) => old.capabilities.has(name)).length} extensions compared`,
        )
      : amber(
          capabilities,
          `${standby.server} lacks ${missing.map(([name, loss]) => `${name} (${loss})`).join(', ')}`,
          `Configure ${standby.server} like ${live.server}: plugins, \`imap_capability\`, versions.`,
        ),
    shape(old) === shape(next)
      ? green(namespaces, shape(old))
      : red(
          namespaces,
          `${live.server} has ${shape(old)}; ${standby.server} has ${shape(next)}: clients would find every mailbox under another name`,
          `Give ${standby.server} the same \`namespace\` block (prefix, separator) as ${live.server}.`,
        ),
  ];
}
