/**
 * The configuration file: every key, its type, default and meaning. The reference page
 * (docs/reference/configuration.md) is generated from this table, so each description is written for the
 * operator: what the key is for, and when to change it.
 */
import { z } from 'zod';
import { isBrokenReference, Secret } from './secret.ts';
import { parseDuration, parseSize } from './units.ts';

/** A key's type as the reference page names it, where the schema alone would not tell. */
const typed = <T extends z.ZodType>(schema: T, type: string): T => schema.meta({ type }) as T;

const text = () => z.string().min(1, 'must not be empty');

/** None is a mistake where something is waited for, or done again and again. */
const duration = ({ mayBeNone } = { mayBeNone: false }) =>
  typed(
    z.string().transform((value, context) => {
      const ms = parseDuration(value);
      if (ms !== undefined && (ms > 0 || mayBeNone)) return ms;
      if (ms !== undefined) context.addIssue(`\`${value}\` is no time at all; write at least 1ms`);
      else context.addIssue(`\`${value}\` is not a duration; write a number and ms, s, m, h or d, as in 30s`);
      return z.NEVER;
    }),
    'duration',
  );

const size = () =>
  typed(
    z.string().transform((value, context) => {
      const bytes = parseSize(value);
      if (bytes !== undefined && bytes > 0) return bytes;
      if (bytes !== undefined) context.addIssue(`\`${value}\` is nothing at all; write at least 1B`);
      else context.addIssue(`\`${value}\` is not a size; write a number and KiB, MiB or GiB, as in 4MiB`);
      return z.NEVER;
    }),
    'size',
  );

const secret = () =>
  typed(
    text().transform((value, context) => {
      if (!isBrokenReference(value)) return new Secret(value);
      // The value is not repeated: it may be a real secret that happens to begin with `${`.
      context.addIssue(
        `a secret is \${file:PATH} or \${env:NAME}; write it so, or put the secret itself into a file`,
      );
      return z.NEVER;
    }),
    'secret',
  );

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const listenAddress = () =>
  typed(
    z.string().transform((value, context): ListenAddress => {
      const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value);
      const host = match?.[1] ?? match?.[2];
      if (host !== undefined && Number(match?.[3]) <= 65535) return { host, port: Number(match?.[3]) };
      context.addIssue(`\`${value}\` is not an address; write HOST:PORT, as in 127.0.0.1:7700`);
      return z.NEVER;
    }),
    'address',
  );

const port = () => z.int().min(1).max(65535);

const imap = z
  .strictObject({
    port: port()
      .optional()
      .describe('Port of the IMAP service. Default: 993 with `security: tls`, else 143.'),
    security: z
      .enum(['tls', 'starttls', 'none'])
      .default('tls')
      .describe(
        'How the connection is protected: `tls` from the first byte, `starttls` (refused when the server does not offer it), or `none`, for loopback and private networks only.',
      ),
    masterUser: text()
      .optional()
      .describe(
        'User that may log in on behalf of every account (a Dovecot master user, a Cyrus proxy admin). Without it each account of `accounts.list` needs its own secret.',
      ),
    masterSecret: secret().optional().describe('Password of `masterUser`.'),
    separator: text()
      .optional()
      .describe(
        'Log in as `ACCOUNT<separator>MASTERUSER`, as Dovecot’s `auth_master_user_separator` wants it (usually `*`). Without it the account is named by SASL PLAIN’s authorization identity, which Dovecot and Cyrus understand.',
      ),
    ca: text()
      .optional()
      .describe('PEM file of the authorities to trust instead of the system’s, for a private CA.'),
    servername: text().optional().describe('Name to expect in the certificate, where it is not `host`.'),
    timeout: duration()
      .prefault('120s')
      .describe(
        'Longest silence while an answer is awaited. Then the connection is given up and the account tried again later. Longer for a server that is slow to open huge mailboxes.',
      ),
    insecureSkipVerify: z
      .boolean()
      .default(false)
      .describe(
        'Accept any certificate. Anyone between here and the server can then read the mail and the password; only for tests.',
      ),
  })
  .superRefine((value, context) => {
    if (value.masterUser !== undefined && value.masterSecret === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['masterUser'],
        message: '`masterUser` is given without `masterSecret`',
      });
    }
  })
  .transform((value) => ({ ...value, port: value.port ?? (value.security === 'tls' ? 993 : 143) }));

const doveadm = z.strictObject({
  url: z
    .url({
      protocol: /^https?$/,
      error: 'must be an http or https URL, as in http://127.0.0.1:8080/doveadm/v1',
    })
    .describe('Where the server’s doveadm HTTP API answers, with its path: `http://HOST:8080/doveadm/v1`.'),
  apiKey: secret().describe('The server’s `doveadm_api_key`.'),
  ca: text().optional().describe('PEM file of the authorities to trust for an https URL.'),
});

const accountEntry = typed(
  z.union([
    text().transform((name): AccountEntry => ({ name })),
    z.strictObject({
      name: text().describe('The account’s login name.'),
      secret: secret().optional().describe('Its own password, for a server without a master user.'),
    }),
  ]),
  'name, or { name, secret }',
);

export interface AccountEntry {
  readonly name: string;
  readonly secret?: Secret | undefined;
}

const accounts = z
  .strictObject({
    list: z
      .array(accountEntry)
      .min(1)
      .optional()
      .describe('The accounts, by name. A name that looks like a number is written in quotes.'),
    from: z
      .enum(['directory', 'doveadm'])
      .optional()
      .describe(
        'Ask for the accounts instead of listing them: `directory` takes those that the directory binds to this server, `doveadm` those that the server itself lists. Asked again on every pass.',
      ),
    directory: text()
      .optional()
      .describe('Which of `directories` to ask; needed only where there are several.'),
    exclude: z.array(text()).default([]).describe('Accounts to leave out, by name.'),
  })
  .superRefine((value, context) => {
    if ((value.list === undefined) === (value.from === undefined)) {
      context.addIssue({ code: 'custom', message: 'needs either `list` or `from`' });
    }
    if (value.directory !== undefined && value.from !== 'directory') {
      context.addIssue({
        code: 'custom',
        path: ['directory'],
        message: '`directory` goes with `from: directory` only',
      });
    }
  })
  .transform((value) => ({
    from: value.from ?? ('list' as const),
    list: value.list ?? [],
    directory: value.directory,
    exclude: value.exclude,
  }));

const shadow = z.strictObject({
  connections: z
    .int()
    .min(1)
    .max(100)
    .default(4)
    .describe('IMAP connections that work at once. More helps on a server with many cores or far away.'),
  keepWarm: z
    .int()
    .min(0)
    .default(256)
    .describe(
      'Logged-in connections kept open for the accounts that changed last. Each saves the log-in at its next change, which costs the server more than the change itself; each keeps a process of the server. Well below the `process_limit` of its imap service (Dovecot: 1024).',
    ),
  sweep: duration()
    .prefault('30s')
    .describe(
      'How often every account is asked whether something changed: the upper bound of the lag of an account that nothing else watches.',
    ),
  watch: z
    .int()
    .min(0)
    .default(20)
    .describe(
      'IDLE or NOTIFY connections held for the most active accounts. 0 where the server pushes its changes.',
    ),
  bandwidth: size()
    .optional()
    .describe(
      'Bytes per second fetched at most, as in `20MiB`; of a standby, also those brought to it by `restore --to` and to keep it warm. A failover or switchover does not wait for it. Default: as fast as the server answers.',
    ),
  burst: z
    .strictObject({
      share: z
        .number()
        .gt(0)
        .max(1)
        .default(0.3)
        .describe('Share of an account’s messages that must go in one step to count as a burst.'),
      least: z.int().min(1).default(50).describe('Fewer removals than this are never a burst.'),
    })
    .prefault({})
    .describe(
      'When removals count as a burst: a checkpoint is then set just before them, and they are reported.',
    ),
});

const push = z.strictObject({
  mode: z
    .enum(['hint', 'synchronous'])
    .default('hint')
    .describe(
      '`hint` answers a pushed event at once. `synchronous` answers after the journal has committed it, so the server’s 250 waits for it and no acknowledged mail can be lost; needs the server’s script in the same mode.',
    ),
  timeout: duration()
    .prefault('2s')
    .describe(
      'Longest wait in synchronous mode. Then the server is let go on and the event is counted as unprotected.',
    ),
  secret: secret()
    .optional()
    .describe('Secret that the server’s push URL must carry. Set it wherever others can reach `api.listen`.'),
});

/** The services that a front door knows, by their names in /etc/services, and where they answer unless told otherwise. */
export const wellKnownPorts = {
  imap: 143,
  imaps: 993,
  pop3: 110,
  pop3s: 995,
  lmtp: 24,
  submission: 587,
  submissions: 465,
  sieve: 4190,
} as const;
export type ServiceName = keyof typeof wellKnownPorts;

const services = z
  .strictObject({
    imap: port().optional().describe('IMAP; default: the port above where that is not one of TLS.'),
    imaps: port().optional().describe('IMAP over TLS.'),
    pop3: port().optional().describe('POP3.'),
    pop3s: port().optional().describe('POP3 over TLS.'),
    lmtp: port()
      .optional()
      .describe('LMTP, where mail is delivered; a takeover is then probed with a delivery.'),
    submission: port().optional().describe('Submission.'),
    submissions: port().optional().describe('Submission over TLS.'),
    sieve: port().optional().describe('ManageSieve.'),
  })
  .prefault({});

const mailServer = z.strictObject({
  workload: z.literal('mail').describe('What runs on the server; `mail` is what this version knows.'),
  host: text().describe('Name or address of the server.'),
  imap: imap.describe('How to reach the mail.'),
  doveadm: doveadm
    .optional()
    .describe(
      'Where the server is Dovecot: one cheap request per pass, the list of accounts, and restored mailboxes keep their UIDVALIDITY and UIDs.',
    ),
  services: services.describe(
    'Where its services answer, if not at their usual ports; for the front door and for probes.',
  ),
  accounts: accounts
    .optional()
    .describe('Which accounts are shadowed. A server without this key, such as a standby, is not.'),
  shadow: shadow.prefault({}).describe('How hard the server is asked.'),
  push: push.prefault({}).describe('Changes that the server reports by itself; see docs/guides/push.md.'),
});

const directory = z.strictObject({
  kind: z.literal('ldap').describe('The kind of directory.'),
  url: z
    .url({ protocol: /^ldaps?$/, error: 'must be an ldap or ldaps URL, as in ldap://127.0.0.1:389' })
    .describe('`ldap://HOST:389` or `ldaps://HOST:636`.'),
  startTls: z.boolean().default(false).describe('Protect an `ldap://` connection with StartTLS.'),
  ca: text().optional().describe('PEM file of the authorities to trust instead of the system’s.'),
  bindDn: text().optional().describe('Who to bind as. Without it the directory is read anonymously.'),
  bindSecret: secret().optional().describe('Password of `bindDn`.'),
  baseDn: text().describe('Where the accounts are searched, with everything below it.'),
  accountFilter: text()
    .default('(objectClass=inetLocalMailRecipient)')
    .describe('LDAP filter (RFC 4515) that every account matches.'),
  accountAttribute: text().default('uid').describe('Attribute that holds the account’s login name.'),
  serverAttribute: text()
    .default('mailHost')
    .describe('Attribute that holds the `host` of the server with the account’s mail.'),
});

/** A program with its arguments; no shell is between. */
const program = () => typed(z.array(text()).min(1), 'list: program and arguments');

const commandHook = {
  run: program().describe(
    'Does it. Gets `UNDERSTUDY_PAIR`, `UNDERSTUDY_FROM`, `UNDERSTUDY_TO`, `UNDERSTUDY_FROM_HOST`, `UNDERSTUDY_TO_HOST` and `UNDERSTUDY_PLAN` in its environment; must end with status 0, and may be run again.',
  ),
  isDone: program()
    .optional()
    .describe(
      'Asks the world: status 0 when it is done already, 1 when not. Without it `run` is repeated after an interruption.',
    ),
  undo: program().optional().describe('Takes it back; without it the plan’s report asks a person to.'),
  timeout: duration().prefault('30s').describe('Longest run; then the step has failed.'),
};

const rehome = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z
      .literal('proxy')
      .describe('The built-in front door: clients stay with one address, which leads to the acting server.'),
    listen: listenAddress().describe('Where clients connect.'),
    to: z
      .enum(Object.keys(wellKnownPorts) as [ServiceName, ...ServiceName[]])
      .describe('The service they reach; its port is the server’s, from `services`.'),
    proxyProtocol: z
      .boolean()
      .default(false)
      .describe(
        'Tell the server the client’s address by PROXY protocol v2; the server must expect it (Dovecot: `haproxy = yes`, `haproxy_trusted_networks`).',
      ),
    maxConnections: z
      .int()
      .min(1)
      .default(20_000)
      .describe('More clients than this wait until others leave.'),
    drain: duration({ mayBeNone: true })
      .prefault('1s')
      .describe('How long connections to the old server may finish what they began when clients are moved.'),
  }),
  z.strictObject({
    kind: z.literal('command').describe('A program of yours: DNS, a virtual IP, a load balancer.'),
    ...commandHook,
  }),
]);

const pair = z.strictObject({
  live: text().describe('The server in use.'),
  standby: text().describe('The server to move to.'),
  directory: text().optional().describe('The directory that says which server has an account.'),
  warm: z.boolean().default(false).describe('Keep the standby restored continuously.'),
  rehome: z.array(rehome).default([]).describe('How clients follow a move.'),
  fence: z
    .array(
      z.strictObject({
        kind: z.literal('command').describe('A program of yours: power off, a switch port, a firewall.'),
        ...commandHook,
      }),
    )
    .default([])
    .describe(
      'What makes sure that the old server cannot serve before the new one does, besides the closed front door and the unbound directory.',
    ),
  probe: z
    .strictObject({
      account: text().describe('An account that is on both servers, kept for this.'),
      secret: secret().optional().describe('Its password; without it the server’s master user is used.'),
    })
    .optional()
    .describe(
      'Lets a takeover be tried with an append and a delivery; without it nothing is written to test it.',
    ),
  failover: z
    .strictObject({
      mode: z
        .enum(['manual', 'automatic'])
        .default('manual')
        .describe(
          'Who starts a failover. This version starts none by itself: `automatic` is taken, and warned about.',
        ),
      unbind: z
        .boolean()
        .default(true)
        .describe(
          'Take the accounts off the old server in the directory before the new one is finished, so that a front end that asks the directory reaches neither meanwhile. `false` where an MTA would bounce mail for accounts without a server.',
        ),
    })
    .prefault({})
    .describe('When to fail over, and how.'),
});

const serverName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    'a name has letters, digits, `.`, `_` and `-`, for it names a folder',
  );

/** What lies in the data folder beside the vaults: see "Data on disk" in ARCHITECTURE.md. */
const reservedNames = ['control', 'doors', 'reports', 'api-token'];
/** `service.json`, `service.sqlite` and their companions. */
const reservedPrefix = 'service.';
const vaultName = serverName.refine(
  (name) => !reservedNames.includes(name.toLowerCase()) && !name.toLowerCase().startsWith(reservedPrefix),
  `a server cannot be called ${reservedNames.join(', ')} or ${reservedPrefix}…: that name in \`dataDir\` is the service’s own`,
);

export const configSchema = z.strictObject({
  site: text().default('default').describe('Name of this location, shown in logs and reports.'),
  dataDir: text().describe(
    'Where journals, catalogs and the service’s token are kept. Give it a disk of its own; relative to the configuration file.',
  ),
  api: z
    .strictObject({
      listen: listenAddress()
        .prefault('127.0.0.1:7700')
        .describe(
          'Where the service answers: operations, metrics, and pushed events. Port 0 takes a free one. An address that others reach belongs behind TLS.',
        ),
    })
    .prefault({})
    .describe('The HTTP interface of `understudy run`.'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('Least severity that is logged; the environment variable `UNDERSTUDY_LOG` wins over it.'),
    })
    .prefault({})
    .describe('Logs, as JSON lines on stderr.'),
  journal: z
    .strictObject({
      compressionLevel: z
        .int()
        .min(1)
        .max(19)
        .default(1)
        .describe('zstd level. Higher levels save little on mail and cost much time in a baseline.'),
      segmentSize: size()
        .prefault('256MiB')
        .describe(
          'Size at which a segment file is sealed and the next one begun. A sealed file never changes.',
        ),
      encryption: z
        .strictObject({
          keyFile: text().describe(
            'File with a key of 32 bytes that only its owner can read: `openssl rand -hex 32 > FILE && chmod 600 FILE`. Without the key nothing can be restored: keep a copy elsewhere.',
          ),
        })
        .optional()
        .describe(
          'Encrypt journals with AES-256-GCM. Decide before the first shadow: a journal keeps what it began with.',
        ),
    })
    .prefault({})
    .describe('How journals are written.'),
  servers: z.record(vaultName, mailServer).describe('The servers, by the name that commands use.'),
  directories: z
    .record(serverName, directory)
    .prefault({})
    .describe('Directories that know which server has which account.'),
  pairs: z
    .record(serverName, pair)
    .prefault({})
    .describe(
      'A live server and its standby: who takes over from whom, and how clients and the directory follow.',
    ),
});

type Schema = z.output<typeof configSchema>;
export type MailServerConfig = Schema['servers'][string];
export type DirectoryConfig = Schema['directories'][string];
export type PairConfig = Schema['pairs'][string];
export type ConfigValues = Schema;
